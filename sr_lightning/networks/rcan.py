"""RCAN (Zhang et al. 2018, "Image Super-Resolution Using Very Deep Residual Channel ...", arXiv 1807.02758)."""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import SubpixelUpsampler, div2k_mean, in_full_precision
from sr_lightning.networks.edsr import MEAN_SHIFTS, mean_shifts, on_255
from sr_lightning.networks.layout import Layout, Tensors, count


def _official_settings(tensors: Tensors) -> dict[str, Any]:
    return _settings(
        head=tensors["head.0.weight"],
        squeeze=tensors["body.0.body.0.body.3.conv_du.0.weight"],
        groups=count(tensors, r"body\.(\d+)\.body\.0\.body\.0\.weight"),
        depth=count(tensors, r"body\.0\.body\.(\d+)\.body\.0\.weight"),
    )


def _basicsr_settings(tensors: Tensors) -> dict[str, Any]:
    return _settings(
        head=tensors["conv_first.weight"],
        squeeze=tensors["body.0.residual_group.0.rcab.3.attention.1.weight"],
        groups=count(tensors, r"body\.(\d+)\.conv\.weight"),
        depth=count(tensors, r"body\.0\.residual_group\.(\d+)\.rcab\.0\.weight"),
    )


def _settings(*, head: Tensor, squeeze: Tensor, groups: int, depth: int) -> dict[str, Any]:
    width, channels = head.shape[:2]
    reduction = width // squeeze.shape[0]
    return {"width": width, "channels": channels, "groups": groups, "depth": depth, "reduction": reduction}


class RCAN(nn.Module):
    """Groups of residual blocks with channel attention, a skip around each group and one around all.

    Inside it works on 0..255 minus DIV2K's mean, as the authors' code does. The attention averages over the whole
    image, so that tiles of an image do not give the same as the image.

    The authors start scales 3, 4 and 8 from the trained x2 network.

    Args:
        scale: Upscaling factor: 2, 3, 4 or 8.
        channels: 3 for RGB (as in the paper), 1 for Y, or the number of bands.
        width: Channels of the features.
        groups: Residual groups.
        depth: Residual blocks in each group.
        reduction: The attention's inner layer has `width // reduction` channels.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            "EDSR-PyTorch",
            rename=(
                (r"head\.(\w+)", r"head.0.\1"),
                (r"body\.(\d+)\.(\d+)\.conv1\.(\w+)", r"body.\1.body.\2.body.0.\3"),
                (r"body\.(\d+)\.(\d+)\.conv2\.(\w+)", r"body.\1.body.\2.body.2.\3"),
                (r"body\.(\d+)\.(\d+)\.attention\.squeeze\.(\w+)", r"body.\1.body.\2.body.3.conv_du.0.\3"),
                (r"body\.(\d+)\.(\d+)\.attention\.excite\.(\w+)", r"body.\1.body.\2.body.3.conv_du.2.\3"),
                (r"body\.(\d+)\.(\d+)\.(\w+)", r"body.\1.body.\2.\3"),
                (r"upsample\.(\d+)\.(\w+)", r"tail.0.\1.\2"),
                (r"tail\.(\w+)", r"tail.1.\1"),
            ),
            constants=(MEAN_SHIFTS,),
            settings=_official_settings,
            make_constants=mean_shifts,
            convert=partial(on_255, tail="tail.1"),
            spandrel=True,
        ),
        Layout(
            "BasicSR",
            rename=(
                (r"head\.(\w+)", r"conv_first.\1"),
                (r"body\.(\d+)\.(\d+)\.conv1\.(\w+)", r"body.\1.residual_group.\2.rcab.0.\3"),
                (r"body\.(\d+)\.(\d+)\.conv2\.(\w+)", r"body.\1.residual_group.\2.rcab.2.\3"),
                (r"body\.(\d+)\.(\d+)\.attention\.squeeze\.(\w+)", r"body.\1.residual_group.\2.rcab.3.attention.1.\3"),
                (r"body\.(\d+)\.(\d+)\.attention\.excite\.(\w+)", r"body.\1.residual_group.\2.rcab.3.attention.3.\3"),
                (r"body\.(\d+)\.(\d+)\.(\w+)", r"body.\1.conv.\3"),
                (r"body\.\d+\.(\w+)", r"conv_after_body.\1"),
                (r"tail\.(\w+)", r"conv_last.\1"),
            ),
            settings=_basicsr_settings,
        ),
    )
    mean: Tensor

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 3,
        width: int = 64,
        groups: int = 10,
        depth: int = 20,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        # On 0..255 already, and subtracted and added in the authors' order: equal to theirs in float64 too.
        self.register_buffer("mean", 255 * div2k_mean(channels), persistent=False)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualGroup(width=width, depth=depth, reduction=reduction) for _ in range(groups)),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.upsample = SubpixelUpsampler(width=width, scale=scale)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        shallow = self.head(lr * 255 - self.mean)
        deep = self.body(shallow) + shallow
        return (in_full_precision(self.tail, self.upsample(deep)) + self.mean) / 255


class ResidualGroup(nn.Sequential):
    """`x + conv(block(...block(x)))` (figure 2)."""

    def __init__(self, *, width: int, depth: int, reduction: int) -> None:
        super().__init__(
            *(ChannelAttentionBlock(width=width, reduction=reduction) for _ in range(depth)),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual = features
        for layer in self:
            residual = layer(residual)
        return features + residual


class ChannelAttentionBlock(nn.Module):
    """`x + attention(conv(relu(conv(x))))` (figure 4)."""

    def __init__(self, *, width: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.attention = ChannelAttention(width=width, reduction=reduction)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual: Tensor = self.attention(self.conv2(F.relu(self.conv1(features), inplace=True)))
        return features + residual


class ChannelAttention(nn.Module):
    """Weighs each channel by what the means of all channels say (figure 3; squeeze-and-excitation)."""

    def __init__(self, *, width: int, reduction: int) -> None:
        super().__init__()
        inner = width // reduction
        if inner < 1:
            raise ValueError(f"ChannelAttention needs width >= reduction, got width {width} and reduction {reduction}.")
        self.squeeze = nn.Conv2d(width, inner, 1)
        self.excite = nn.Conv2d(inner, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        means = features.mean((2, 3), keepdim=True)
        return features * torch.sigmoid(self.excite(F.relu(self.squeeze(means))))
