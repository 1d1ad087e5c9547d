"""What several papers' networks share: the float32 island at the end, and sub-pixel upsampling."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def in_full_precision(layer: nn.Conv2d | nn.Linear, features: Tensor) -> Tensor:
    """Runs `layer` in the precision of its weights (float32 as a rule), also under bf16 or fp16 autocast.

    A network's last layer goes through here. bf16 keeps 8 bits of mantissa, about what an image has of grey
    levels: rounding the output, or the global skip that is added to it, costs up to 0.13 dB (VDSR x4).
    Everything before the last layer may round.

    Args:
        layer: The last layer.
        features: Its input, of any floating-point type.

    Returns:
        The layer's output in the type of its weights.
    """
    device = features.device.type
    # Asked first: an exported graph then holds no autocast region, and "meta" tensors, which know none, pass.
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return _apply(layer, features)
    return _apply(layer, features)


def _apply(layer: nn.Module, features: Tensor) -> Tensor:
    output: Tensor = layer(features.to(next(layer.parameters()).dtype))
    return output


class SubpixelUpsampler(nn.Sequential):
    """`(N, width, H, W)` to `(N, width, scale*H, scale*W)` by 3x3 convolutions and pixel shuffles.

    One stage per factor of two; a scale of 3 is one stage of three (ESPCN's shuffle, as SRGAN, EDSR and their
    successors stack it).

    Args:
        width: Channels in and out.
        scale: A power of two from 2 upwards, or 3.
        activation: Makes the activation that follows each shuffle; none for EDSR.
    """

    def __init__(self, *, width: int, scale: int, activation: Callable[[], nn.Module] | None = None) -> None:
        layers: list[nn.Module] = []
        for factor in subpixel_factors(scale):
            layers += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
            if activation is not None:
                layers.append(activation())
        super().__init__(*layers)


def subpixel_factors(scale: int) -> list[int]:
    """The pixel shuffles that make up `scale`: 8 gives [2, 2, 2], 3 gives [3].

    Raises:
        ValueError: `scale` is neither 3 nor a power of two from 2 upwards.
    """
    if scale == 3:
        return [3]
    if scale >= 2 and scale.bit_count() == 1:
        return [2] * (scale.bit_length() - 1)
    raise ValueError(f"Sub-pixel upsampling supports scale 3 or a power of two (2, 4, 8, ...), got {scale}.")
