"""IMDN (Hui et al. 2019, "Lightweight Image Super-Resolution with Information Multi-distillation Network").

ACM Multimedia 2019, arXiv 1909.11856.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count

# Of the leaky rectifiers, as in the authors' code.
SLOPE = 0.05
# Added to a variance before its root, which has no finite gradient at zero; far below what float32 sees of it.
_SMALLEST_VARIANCE = 1e-12


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["fea_conv.weight"].shape[:2]
    return {
        "channels": channels,
        "width": width,
        "depth": count(tensors, r"IMDB(\d+)\..+"),
        "reduction": width // tensors["IMDB1.cca.conv_du.0.weight"].shape[0],
    }


class IMDN(nn.Module):
    """Blocks that split off a quarter of their channels three times, all of them fused, sub-pixel output.

    Args:
        scale: Upscaling factor: 2, 3 or 4 in the paper.
        channels: 3 for RGB (as in the paper) or 1 for Y.
        width: Channels of the features; divisible by 4.
        depth: Blocks.
        reduction: The attention's inner layer has `width // reduction` channels, at least one.

    Raises:
        ValueError: 4 does not divide `width`.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            name="IMDN",
            rename=(
                (r"head\.(.+)", r"fea_conv.\1"),
                (r"body\.block(\d+)\.step(\d)\.(.+)", r"IMDB\1.c\2.\3"),
                (r"body\.block(\d+)\.attention\.(\d)\.(.+)", r"IMDB\1.cca.conv_du.\2.\3"),
                (r"body\.block(\d+)\.fusion\.(.+)", r"IMDB\1.c5.\2"),
                (r"fusion\.(.+)", r"c.0.\1"),
                (r"smoothing\.(.+)", r"LR_conv.\1"),
                (r"tail\.(.+)", r"upsampler.0.\1"),
            ),
            settings=_settings,
        ),
    )

    def __init__(self, *, scale: int, channels: int = 3, width: int = 64, depth: int = 6, reduction: int = 16) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(
                f"IMDN keeps a quarter of its channels at each step: width must be a multiple of 4, got {width}."
            )
        self.scale = scale
        self.channels = channels
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        # Counted from one, as in the authors' files.
        self.body = nn.ModuleDict(
            {f"block{index}": DistillationBlock(width=width, reduction=reduction) for index in range(1, depth + 1)}
        )
        self.fusion = nn.Conv2d(depth * width, width, 1)
        self.smoothing = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, channels * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        shallow = features = self.head(lr)
        outputs: list[Tensor] = []
        for block in self.body.values():
            features = block(features)
            outputs.append(features)
        fused = F.leaky_relu(self.fusion(torch.cat(outputs, dim=1)), SLOPE, inplace=True)
        deep = self.smoothing(fused) + shallow
        return F.pixel_shuffle(in_full_precision(self.tail, deep), self.scale)


class DistillationBlock(nn.Module):
    """Three convolutions of which each keeps a quarter of its channels back, a fourth that makes one, attention.

    The attention weighs channels by their contrast, the sum of mean and standard deviation.
    """

    def __init__(self, *, width: int, reduction: int) -> None:
        super().__init__()
        self.kept = width // 4
        passed_on = width - self.kept
        self.step1 = nn.Conv2d(width, width, 3, padding=1)
        self.step2 = nn.Conv2d(passed_on, width, 3, padding=1)
        self.step3 = nn.Conv2d(passed_on, width, 3, padding=1)
        self.step4 = nn.Conv2d(passed_on, self.kept, 3, padding=1)
        inner = max(1, width // reduction)
        self.attention = nn.Sequential(nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1), nn.Sigmoid())
        self.fusion = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        parts: list[Tensor] = []
        remaining = features
        for step in (self.step1, self.step2, self.step3):
            active = F.leaky_relu(step(remaining), SLOPE, inplace=True)
            parts.append(active[:, : self.kept])
            remaining = active[:, self.kept :]
        distilled = torch.cat([*parts, self.step4(remaining)], dim=1)
        variance, mean = torch.var_mean(distilled, dim=(-2, -1), correction=0, keepdim=True)
        weights: Tensor = self.attention((variance + _SMALLEST_VARIANCE).sqrt() + mean)
        fused: Tensor = self.fusion(distilled * weights)
        return features + fused
