"""Between floats in [0, 1] and the 256 levels of a file."""

import torch
from torch import Tensor


def to_uint8(image: Tensor) -> Tensor:
    """Clamps a float image to [0, 1] and rounds it half up to uint8: what a file would hold."""
    return _levels(image).to(torch.uint8)


def to_8_bits(image: Tensor) -> Tensor:
    """Rounds a uint16 image to the nearest levels of uint8; one of uint8 stays as it is."""
    if image.dtype == torch.uint8:
        return image
    # 65535 = 257 * 255, and no value lies in the middle, 257 being odd.
    return ((image.to(torch.int32) + 128) // 257).to(torch.uint8)


def from_uint8(image: Tensor) -> Tensor:
    """Uint8 to float32 in [0, 1].

    Raises:
        ValueError: Another dtype; a float image divided by 255 once more would go unnoticed.
    """
    if image.dtype != torch.uint8:
        raise ValueError(f"expected a uint8 image, got {image.dtype}.")
    return image.to(torch.float32) / 255.0


def round_to_uint8_grid(image: Tensor) -> Tensor:
    """What a float image would be after a trip through a uint8 file: clamped, a multiple of 1/255.

    float32 and float64 are kept; half precision, which cannot hold the levels, comes back as float32.
    """
    return _levels(image) / 255.0


def _levels(image: Tensor) -> Tensor:
    """Levels 0..255 as whole floats."""
    # bf16 has 8 significant bits: times 255 it would round to the wrong level.
    precise = image.to(torch.promote_types(image.dtype, torch.float32))
    return precise.clamp(0.0, 1.0).mul(255.0).add(0.5).floor()
