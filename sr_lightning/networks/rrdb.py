"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, arXiv 1809.00219) and Real-ESRGAN (2021, arXiv 2107.10833)."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.geometry import crop_to
from sr_lightning.functional.resize import extend_to
from sr_lightning.networks.blocks import NearestUpsampler, in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count

# Of the leaky rectifiers, of each branch, and of the blocks' first weights, as in the authors' code.
SLOPE = 0.2
RESIDUAL_SCALE = 0.2
INITIAL_SCALE = 0.1
# Real-ESRGAN's networks for smaller scales are that for x4, on pixels shuffled into channels.
_LARGEST_SHUFFLED = 4
_STAGES = 2


def _layouts() -> Iterator[Layout]:
    """BasicSR's, which Real-ESRGAN and mmagic have too; ESRGAN's of 2019 and, by number of upsamplings, of 2018."""
    newest = (
        (r"head\.(.+)", r"conv_first.\1"),
        (r"body\.(\d+)\.dense(\d)\.(.+)", r"body.\1.rdb\2.\3"),
        (r"body\.\d+\.(weight|bias)", r"conv_body.\1"),
        *((rf"upsample\.{stage}\.(.+)", rf"conv_up{stage + 1}.\1") for stage in range(3)),
        (r"refine\.(.+)", r"conv_hr.\1"),
        (r"tail\.(.+)", r"conv_last.\1"),
    )
    yield Layout(name="BasicSR", rename=newest, settings=_newest_settings, spandrel=True)
    yield Layout(
        name="ESRGAN 2019",
        rename=(
            (r"head\.(.+)", r"conv_first.\1"),
            (r"body\.(\d+)\.dense(\d)\.(.+)", r"RRDB_trunk.\1.RDB\2.\3"),
            (r"body\.\d+\.(weight|bias)", r"trunk_conv.\1"),
            *((rf"upsample\.{stage}\.(.+)", rf"upconv{stage + 1}.\1") for stage in range(3)),
            (r"refine\.(.+)", r"HRconv.\1"),
            (r"tail\.(.+)", r"conv_last.\1"),
        ),
        settings=_newest_settings,
        spandrel=True,
    )
    # Layers without weights count too: an upsampling, its convolution and activation are three.
    for stages in (2, 1, 0, 3):
        yield Layout(
            name=f"ESRGAN 2018, x{2**stages}",
            rename=(
                (r"head\.(.+)", r"model.0.\1"),
                (r"body\.(\d+)\.dense(\d)\.conv(\d)\.(.+)", r"model.1.sub.\1.RDB\2.conv\3.0.\4"),
                (r"body\.(\d+)\.(weight|bias)", r"model.1.sub.\1.\2"),
                *((rf"upsample\.{stage}\.(.+)", rf"model.{3 * stage + 3}.\1") for stage in range(stages)),
                (r"refine\.(.+)", rf"model.{3 * stages + 2}.\1"),
                (r"tail\.(.+)", rf"model.{3 * stages + 4}.\1"),
            ),
            settings=_oldest_settings,
            spandrel=True,
        )


def _newest_settings(tensors: Tensors) -> dict[str, Any]:
    stages = count(tensors, r"(?:conv_up|upconv)(\d)\.weight")
    return _settings(tensors, head="conv_first.weight", tail="conv_last.weight", stages=stages)


def _oldest_settings(tensors: Tensors) -> dict[str, Any]:
    last = max(int(name.split(".")[1]) for name in tensors)
    return _settings(tensors, head="model.0.weight", tail=f"model.{last}.weight", stages=(last - 4) // 3)


def _settings(tensors: Tensors, *, head: str, tail: str, stages: int) -> dict[str, Any]:
    width, inputs = tensors[head].shape[:2]
    channels = tensors[tail].shape[0]
    first = [tensor for name, tensor in tensors.items() if ".conv1." in name and tensor.ndim == 4]
    settings = {"channels": channels, "width": width, "depth": len(first) // 3, "growth": first[0].shape[0]}
    if inputs != channels:
        settings["unshuffle"] = True
    elif stages < _STAGES:
        # With more of them nothing is shuffled, whatever the setting.
        settings["unshuffle"] = False
    return settings


class RRDBNet(nn.Module):
    """Residual in residual dense blocks, one long skip, nearest-neighbour upsampling by two before convolutions.

    Scales 2 and 1 are Real-ESRGAN's: the same network for x4, on an image whose pixels have been shuffled into
    channels, mirrored first to a size that this divides. `unshuffle=False` makes it on the image as it is, with as
    many upsamplings as the scale needs, as networks of ESRGAN's first code have it.

    Args:
        scale: Upscaling factor: 4 (the papers'), 2 and 1 (Real-ESRGAN's), 3 (upsampled once, by three) or 8.
        channels: 3 for RGB (as in the papers) or 1 for Y.
        width: Channels of the features.
        depth: Blocks of three dense blocks: 23 in the papers, 6 in Real-ESRGAN's network for anime.
        growth: Channels that each convolution of a dense block adds.
        unshuffle: Whether scales 2 and 1 shuffle pixels into channels.

    Raises:
        ValueError: The scale is none of these.
    """

    layouts: ClassVar[tuple[Layout, ...]] = tuple(_layouts())

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 3,
        width: int = 64,
        depth: int = 23,
        growth: int = 32,
        unshuffle: bool = True,
    ) -> None:
        super().__init__()
        if scale not in (1, 2, 3, 4, 8):
            raise ValueError(f"RRDBNet supports scale 1, 2, 3, 4 or 8, got {scale}.")
        self.scale = scale
        self.channels = channels
        self.shuffle = max(_LARGEST_SHUFFLED // scale, 1) if unshuffle else 1
        self.head = nn.Conv2d(channels * self.shuffle**2, width, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualInResidual(width=width, growth=growth) for _ in range(depth)),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.upsample = NearestUpsampler(width=width, scale=scale * self.shuffle)
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        height, width = lr.shape[-2:]
        if self.shuffle > 1:
            # At least two pixels are left: an exported graph takes a side of one for another case.
            lr = extend_to(lr, border="reflect", multiple=self.shuffle, smallest=2 * self.shuffle)
            lr = F.pixel_unshuffle(lr, self.shuffle)
        shallow = self.head(lr)
        features = self.upsample(self.body(shallow) + shallow)
        sr = in_full_precision(self.tail, F.leaky_relu(self.refine(features), SLOPE, inplace=True))
        return crop_to(sr, self.scale * height, self.scale * width)


class ResidualInResidual(nn.Module):
    """`x + 0.2 * dense(dense(dense(x)))`."""

    def __init__(self, *, width: int, growth: int) -> None:
        super().__init__()
        self.dense1 = ResidualDense(width=width, growth=growth)
        self.dense2 = ResidualDense(width=width, growth=growth)
        self.dense3 = ResidualDense(width=width, growth=growth)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual: Tensor = self.dense3(self.dense2(self.dense1(features)))
        return torch.add(features, residual, alpha=RESIDUAL_SCALE)


class ResidualDense(nn.Module):
    """Five convolutions, each of which sees all before it; `x + 0.2 *` the last."""

    def __init__(self, *, width: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(width + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(width + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(width + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(width + 4 * growth, width, 3, padding=1)
        self._initialise()

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        seen = features
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, F.leaky_relu(convolution(seen), SLOPE, inplace=True)], dim=1)
        return torch.add(features, self.conv5(seen), alpha=RESIDUAL_SCALE)

    @torch.no_grad()
    def _initialise(self) -> None:
        """He's initialisation, made ten times smaller, so that the block starts near the identity (section 3.1)."""
        for layer in self.children():
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.mul_(INITIAL_SCALE)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
