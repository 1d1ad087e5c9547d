"""EDSR (Lim et al. 2017, "Enhanced Deep Residual Networks for Single Image ...", arXiv 1707.02921)."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.blocks import SubpixelUpsampler, div2k_mean, in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count

# The frozen convolutions that subtract and add the mean colour, in files of EDSR-PyTorch and its kin.
MEAN_SHIFTS = r"(sub|add)_mean\.(weight|bias)"


def mean_shifts(tensors: Tensors) -> dict[str, Tensor]:
    """Those convolutions, on 0..255; networks of other than three channels have none."""
    if tensors["head.0.weight"].shape[1] != 3:
        return {}
    return shifts_by(255 * div2k_mean(3).flatten())


def shifts_by(mean: Tensor, *, inside: str = "") -> dict[str, Tensor]:
    """Frozen convolutions that subtract and add a colour, `inside` a module or not."""
    return {
        f"{name}_mean.{inside}{part}": value
        for name, bias in (("sub", -mean), ("add", mean))
        for part, value in (("weight", torch.eye(3).view(3, 3, 1, 1)), ("bias", bias))
    }


def on_255(tensors: Tensors, *, tail: str) -> Tensors:
    """Tensors of a file of another `--rgb_range` (its mean colour tells) as those of the same network on 0..255.

    What enters the first convolution then is larger by a factor, what leaves the last one has to be.

    Args:
        tensors: By EDSR-PyTorch's names.
        tail: The last convolution.
    """
    bias = tensors.get("add_mean.bias")
    if bias is None or bias.shape != (3,):
        return tensors
    # Some programs save parameters as such.
    ranges = bias.detach().double() / div2k_mean(3).flatten().double()
    factor = 255 / float(ranges.mean())
    if not (factor > 0 and torch.allclose(ranges * factor, torch.full_like(ranges, 255), rtol=1e-2)):
        # Another colour: no factor makes it ours.
        return tensors
    if abs(factor - 1) < 1e-2:
        return tensors
    shifts = {name: tensors[name].float() * factor for name in ("sub_mean.bias", "add_mean.bias") if name in tensors}
    return {**by_range(tensors, head="head.0", tail=tail, factor=factor), **shifts}


def by_range(tensors: Tensors, *, head: str, tail: str, factor: float) -> Tensors:
    """Tensors of a network as those that compute the same on a range of pixels that is larger by a factor."""
    factors = {f"{head}.weight": 1 / factor, f"{tail}.weight": factor, f"{tail}.bias": factor}
    return {name: each.float() * factors[name] if name in factors else each for name, each in tensors.items()}


def _settings(tensors: Tensors, *, head: str, block: str) -> dict[str, Any]:
    width, channels = tensors[head].shape[:2]
    return {"width": width, "channels": channels, "depth": count(tensors, block)}


def _assumed(tensors: Tensors, *, head: str) -> dict[str, Any]:
    """What all published networks of these widths were trained with."""
    known = {64: 1.0, 256: 0.1}
    width = tensors[head].shape[0]
    return {"residual_scale": known[width]} if width in known else {}


_BASICSR = Layout(
    "BasicSR",
    rename=(
        (r"head\.(\w+)", r"conv_first.\1"),
        (r"body\.\d+\.(weight|bias)", r"conv_after_body.\1"),
        (r"tail\.(\w+)", r"conv_last.\1"),
    ),
    settings=partial(_settings, head="conv_first.weight", block=r"body\.(\d+)\.conv1\.weight"),
    assumed=partial(_assumed, head="conv_first.weight"),
    untold=("residual_scale",),
)


class EDSR(nn.Module):
    """Residual blocks without batch normalisation, one long skip, sub-pixel upsampling.

    Inside it works on 0..255 minus DIV2K's mean, as the authors' code does; outside it is [0, 1] like every
    network. The mean is a constant that checkpoints do not carry (the authors' do, as frozen convolutions).

    The authors start scales 3 and 4 from the trained x2 network.

    Args:
        scale: Upscaling factor: 2, 3, 4 or 8.
        channels: 3 for RGB (as in the paper), 1 for Y, or the number of bands, each of which is taken to have DIV2K's
            mean over all colours.
        width: Channels of the features: 64 for the baseline, 256 for the full model.
        depth: Residual blocks: 16 for the baseline, 32 for the full model.
        residual_scale: Factor on each block's branch: 1 for the baseline, 0.1 keeps the full model stable.
        image_skip: Adds the bicubically upscaled `lr` to the output instead of the mean, so that the network learns
            what bicubic lacks (VDSR's skip; BasicSR's MSRResNet has a bilinear one). Not in the paper: off there, but
            a run of minutes gains by it.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            "EDSR-PyTorch",
            rename=(
                (r"head\.(\w+)", r"head.0.\1"),
                (r"body\.(\d+)\.conv1\.(\w+)", r"body.\1.body.0.\2"),
                (r"body\.(\d+)\.conv2\.(\w+)", r"body.\1.body.2.\2"),
                (r"upsample\.(\d+)\.(\w+)", r"tail.0.\1.\2"),
                (r"tail\.(\w+)", r"tail.1.\1"),
            ),
            constants=(MEAN_SHIFTS,),
            settings=partial(_settings, head="head.0.weight", block=r"body\.(\d+)\.body\.0\.weight"),
            assumed=partial(_assumed, head="head.0.weight"),
            untold=("residual_scale",),
            make_constants=mean_shifts,
            convert=partial(on_255, tail="tail.1"),
        ),
        _BASICSR,
        # BasicSR's names but for the upsampling, and on 0..1.
        replace(
            _BASICSR,
            name="mmagic",
            rename=(
                *_BASICSR.rename,
                *((rf"upsample\.{2 * stage}\.(\w+)", rf"upsample.{stage}.upsample_conv.\1") for stage in range(3)),
            ),
            convert=partial(by_range, head="conv_first", tail="conv_last", factor=255),
            only_read=True,
        ),
    )
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 3,
        width: int = 64,
        depth: int = 16,
        residual_scale: float = 1.0,
        image_skip: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.image_skip = image_skip
        self.channels = channels
        self.register_buffer("mean", div2k_mean(channels), persistent=False)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(width=width, residual_scale=residual_scale) for _ in range(depth)),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.upsample = SubpixelUpsampler(width=width, scale=scale)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        shallow = self.head((lr - self.mean) * 255)
        deep = self.body(shallow) + shallow
        base = imresize(lr, self.scale) if self.image_skip else self.mean
        return in_full_precision(self.tail, self.upsample(deep)) / 255 + base


class ResidualBlock(nn.Module):
    """`x + residual_scale * conv(relu(conv(x)))`."""

    def __init__(self, *, width: int, residual_scale: float = 1.0, kernel: int = 3) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.conv1 = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.conv2 = nn.Conv2d(width, width, kernel, padding=kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual = self.conv2(F.relu(self.conv1(features), inplace=True))
        return torch.add(features, residual, alpha=self.residual_scale)
