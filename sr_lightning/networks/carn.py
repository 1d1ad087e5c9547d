"""CARN and CARN-M (Ahn et al. 2018, "Fast, Accurate, and Lightweight Super-Resolution ...", arXiv 1803.08664)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import SubpixelUpsampler, div2k_mean, in_full_precision, scale_name
from sr_lightning.networks.edsr import shifts_by
from sr_lightning.networks.layout import Layout, Tensors, count

# Blocks of each cascade, in the paper and in all published files.
DEPTH = 3


def _layout(name: str, *upsample: tuple[str, str]) -> Layout:
    """The authors' names; those of the upsamplers depend on whether there are several (`--multi_scale`)."""
    return Layout(
        name,
        rename=(
            (r"head\.(\w+)", r"entry.\1"),
            *(
                (rf"body\.units\.{i}\.units\.{j}\.layers\.(.+)", rf"b{i + 1}.b{j + 1}.body.\1")
                for i in range(DEPTH)
                for j in range(DEPTH)
            ),
            *(
                (rf"body\.units\.{i}\.fusions\.{j}\.(.+)", rf"b{i + 1}.c{j + 1}.body.0.\1")
                for i in range(DEPTH)
                for j in range(DEPTH)
            ),
            *((rf"body\.fusions\.{j}\.(.+)", rf"c{j + 1}.body.0.\1") for j in range(DEPTH)),
            *upsample,
            (r"tail\.(\w+)", r"exit.\1"),
        ),
        constants=(r"(sub|add)_mean\.shifter\.(weight|bias)",),
        settings=_settings,
        make_constants=_mean_shifts,
    )


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["entry.weight"].shape[:2]
    several = [scale for scale in (2, 3, 4) if f"upsample.up{scale}.body.0.weight" in tensors]
    return {
        "scales": several or [_scale(tensors, width)],
        "width": width,
        "channels": channels,
        "groups": width // tensors["b1.b1.body.0.weight"].shape[1],
        "recursive": count(tensors, r"b1\.b(\d)\.body\.0\.weight") == 1,
    }


def _scale(tensors: Tensors, width: int) -> int:
    """The factor of the one upsampler: a stage of three, or as many of two as there are convolutions."""
    if tensors["upsample.up.body.0.weight"].shape[0] == 9 * width:
        return 3
    return int(2 ** count(tensors, r"upsample\.up\.body\.(\d+)\.weight"))


def _mean_shifts(tensors: Tensors) -> dict[str, Tensor]:
    """The frozen convolutions of the mean colour, on 0..1; networks of other than three channels have none."""
    return shifts_by(div2k_mean(3).flatten(), inside="shifter.") if tensors["entry.weight"].shape[1] == 3 else {}


class CARN(nn.Module):
    """Cascades of cascades: the outputs of all earlier blocks enter a 1x1 convolution behind each block.

    Inside it works on [0, 1] minus DIV2K's mean. With several `scales` it is the paper's network, which shares all but
    the upsamplers.

    Args:
        scale: The factor of a `forward` that is not told another; one of `scales`.
        scales: The factors that it has upsamplers for (the paper's: 2, 3 and 4); None has `scale` alone.
        channels: 3 for RGB (as in the paper), 1 for Y, or the number of bands.
        width: Channels of the features.
        depth: Cascading blocks, and residual blocks in each of them: the paper's 3.
        groups: Of the convolutions of 3x3. With more than one the blocks are the paper's efficient ones, which mix the
            groups by a third, 1x1 convolution: 4 for CARN-M, 1 for CARN.
        recursive: The residual blocks of a cascading block share one set of weights: true for CARN-M, false for CARN.

    Raises:
        ValueError: `scale`, here or in `forward`, is not one of `scales`.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        _layout("CARN-pytorch", (r"upsample\.x(\d)\.(.+)", r"upsample.up\1.body.\2")),
        _layout("CARN-pytorch, one scale", (r"upsample\.x\d\.(.+)", r"upsample.up.body.\1")),
    )
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        scales: Sequence[int] | None = None,
        channels: int = 3,
        width: int = 64,
        depth: int = DEPTH,
        groups: int = 4,
        recursive: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.scales = tuple(scales or (scale,))
        scale_name(scale, self.scales)
        self.channels = channels
        self.register_buffer("mean", div2k_mean(channels), persistent=False)
        block = partial(ResidualBlock, width=width, groups=groups)
        local = partial(Cascade, width=width, depth=depth, make_unit=block, recursive=recursive)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = Cascade(width=width, depth=depth, make_unit=local, recursive=False)
        self.upsample = nn.ModuleDict(
            {
                f"x{each}": SubpixelUpsampler(width=width, scale=each, activation=nn.ReLU, groups=groups)
                for each in self.scales
            }
        )
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped.

        Args:
            lr: Images.
            scale: One of `scales`; None takes the network's `scale`.
        """
        name = scale_name(self.scale if scale is None else scale, self.scales)
        deep = self.body(self.head(lr - self.mean))
        return in_full_precision(self.tail, self.upsample[name](deep)) + self.mean


class Cascade(nn.Module):
    """Units in a row; behind each, a 1x1 convolution sees the input and the outputs of all units so far (figure 3).

    Args:
        width: Channels in and out.
        depth: Units.
        make_unit: Makes one; it keeps the shape.
        recursive: One unit takes the place of all.
    """

    def __init__(self, *, width: int, depth: int, make_unit: Callable[[], nn.Module], recursive: bool) -> None:
        super().__init__()
        self.units = nn.ModuleList(make_unit() for _ in range(1 if recursive else depth))
        self.fusions = nn.ModuleList(nn.Conv2d((number + 2) * width, width, 1) for number in range(depth))

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        seen = features
        for number, fusion in enumerate(self.fusions):
            unit = self.units[number % len(self.units)]
            seen = torch.cat([seen, unit(features)], dim=1)  # (N, (number + 2) * width, H, W)
            features = F.relu(fusion(seen))
        return features


class ResidualBlock(nn.Module):
    """`relu(x + convolutions(x))`: two of 3x3, or two in groups and one of 1x1 that mixes them (figure 4)."""

    def __init__(self, *, width: int, groups: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, groups=groups),
        )
        if groups > 1:
            self.layers.extend([nn.ReLU(inplace=True), nn.Conv2d(width, width, 1)])

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual: Tensor = self.layers(features)
        return F.relu(features + residual)
