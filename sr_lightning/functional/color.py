"""RGB and YCbCr of ITU-R BT.601 in limited range: MATLAB's ``rgb2ycbcr``, the Y of super-resolution papers.

All values are the 0..255 ones of the standard divided by 255, so black has Y 16/255 and white 235/255.
OpenCV, Pillow and kornia convert with JPEG's full range, which lowers a PSNR by more than 1 dB: never use
theirs for a score.
"""

import torch
from torch import Tensor

# Rows Y, Cb, Cr; columns R, G, B in [0, 1]; results 0..255. The three decimals are MATLAB's.
_FROM_RGB = (
    (65.481, 128.553, 24.966),
    (-37.797, -74.203, 112.0),
    (112.0, -93.786, -18.214),
)
_OFFSET = (16.0, 128.0, 128.0)
# The inverse of that very matrix, not the standard's (it differs in the sixth digit): a round trip is exact.
_TO_RGB: list[list[float]] = torch.linalg.inv(torch.tensor(_FROM_RGB, dtype=torch.float64)).tolist()


def rgb_to_y(image: Tensor) -> Tensor:
    """Luma of an RGB image, not rounded: ``(..., 3, H, W)`` in [0, 1] to ``(..., 1, H, W)``, [16, 235] / 255.

    Raises:
        ValueError: The channel axis (third from the end) does not have 3 channels.

    Example:
        >>> white = torch.ones(1, 3, 1, 1, dtype=torch.float64)
        >>> round(rgb_to_y(white).item() * 255, 9)
        235.0
    """
    return _from_rgb(image, 0).unsqueeze(-3)


def rgb_to_ycbcr(image: Tensor) -> Tensor:
    """RGB ``(..., 3, H, W)`` in [0, 1] to Y in [16, 235] / 255 and Cb, Cr in [16, 240] / 255, same shape.

    Raises:
        ValueError: The channel axis (third from the end) does not have 3 channels.
    """
    return torch.stack([_from_rgb(image, row) for row in range(3)], dim=-3)


def ycbcr_to_rgb(image: Tensor) -> Tensor:
    """The exact inverse of `rgb_to_ycbcr`, not clamped: colours outside RGB leave [0, 1].

    Raises:
        ValueError: The channel axis (third from the end) does not have 3 channels.
    """
    channels = _channels(image)
    centred = [channel * 255.0 - offset for channel, offset in zip(channels, _OFFSET, strict=True)]
    return torch.stack([_weighted(row, centred) for row in _TO_RGB], dim=-3)


def _from_rgb(image: Tensor, row: int) -> Tensor:
    return (_weighted(_FROM_RGB[row], _channels(image)) + _OFFSET[row]) / 255.0


def _weighted(weights: tuple[float, ...] | list[float], channels: list[Tensor]) -> Tensor:
    # Written out, not as a matrix product: autocast and TF32 would turn that into 10 bits.
    return weights[0] * channels[0] + weights[1] * channels[1] + weights[2] * channels[2]


def _channels(image: Tensor) -> list[Tensor]:
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"expected an image (..., 3, H, W), got shape {tuple(image.shape)}.")
    return list(image.unbind(-3))
