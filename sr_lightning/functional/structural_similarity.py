"""SSIM's formula as maps, for what combines them in ways of its own."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# Wang et al. 2004: a Gaussian window of 11x11 with sigma 1.5, K = (0.01, 0.03).
WINDOW = 11
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


class Similarity(NamedTuple):
    """Maps `(N, C, H - 10, W - 10)`: of SSIM, and of its factor for contrast and structure, without luminance."""

    whole: Tensor
    contrast: Tensor


def structural_similarity(first: Tensor, second: Tensor, *, peak: float = 1.0) -> Similarity:
    """SSIM of each channel, at each place where the window lies inside the image.

    Means and (co)variances are of the population within the window. Variances are differences of nearly equal numbers:
    half precision cannot tell them apart.

    Args:
        first: `(N, C, H, W)` float32 or float64, sides of at least 11 pixels, in the range that `peak` says.
        second: The same shape.
        peak: The greatest value a pixel may have.
    """
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    stacked = torch.stack([first, second, first * first, second * second, first * second])
    mean_1, mean_2, square_1, square_2, product = _window_means(stacked)
    covariance = product - mean_1 * mean_2
    variances = (square_1 - mean_1.square()) + (square_2 - mean_2.square())
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1.square() + mean_2.square() + c1)
    return Similarity(luminance * contrast, contrast)


def _window_means(images: Tensor) -> Tensor:
    """Gaussian means `(..., H - 10, W - 10)` of images `(..., H, W)`."""
    places = torch.arange(WINDOW, device=images.device, dtype=images.dtype) - (WINDOW - 1) / 2
    taps = torch.exp(-places.square() / (2 * _SIGMA**2))
    taps = taps / taps.sum()
    # A group for each plane: on a CPU, for patches, twenty times quicker than a batch of planes of one channel.
    planes = images.reshape(1, -1, *images.shape[-2:])
    count = planes.shape[1]
    planes = F.conv2d(planes, taps.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    planes = F.conv2d(planes, taps.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    return planes.reshape(*images.shape[:-2], *planes.shape[-2:])
