"""Blur kernels, many at a time: Gaussians of three families, and the sinc.

Formulas of the Gaussian families: Real-ESRGAN (Wang et al., ICCVW 2021), section 3.1 and equations 2 to 4; with the
squared distance `d = x' S^-1 x` and S the covariance of the standard deviations and angle,

- Gaussian: exp(-d / 2)
- generalised Gaussian: exp(-d^beta / 2); beta 1 is the Gaussian, less has a peak, more a flat top
- plateau: 1 / (1 + d^beta)
- sinc, the circular ideal low-pass with cut-off w in radians per pixel: w J1(w r) / (2 pi r) (their equation 6)
"""

import math
from typing import Literal

import torch
from torch import Tensor

Family = Literal["gaussian", "generalised", "plateau"]


def gaussian_kernels(family: Family, *, width: int, size: Tensor, sigma: Tensor, angle: Tensor, beta: Tensor) -> Tensor:
    """Kernels of one family that sum to 1, each zero outside its own size.

    Args:
        family: see the module.
        width: of what is returned, odd, in pixels.
        size: `(N,)`, the odd width of each kernel, up to `width`.
        sigma: `(N, 2)` standard deviations along the kernel's two axes, in pixels, above 0.
        angle: `(N,)` of the first axis against the image's x axis, in radians; towards the image's y axis, which points
            down.
        beta: `(N,)` shape; the plain Gaussian does not look at it.

    Returns:
        `(N, width, width)` float64.
    """
    y, x = _grid(width)
    cos, sin = (part[:, None, None] for part in (angle.cos(), angle.sin()))
    along, across = cos * x + sin * y, cos * y - sin * x
    distance = (along / sigma[:, 0, None, None]) ** 2 + (across / sigma[:, 1, None, None]) ** 2
    if family == "gaussian":
        kernels = torch.exp(-distance / 2)
    elif family == "generalised":
        kernels = torch.exp(-(distance ** beta[:, None, None]) / 2)
    else:
        kernels = 1 / (1 + distance ** beta[:, None, None])
    return _within(kernels, size)


def sinc_kernels(*, width: int, size: Tensor, cutoff: Tensor) -> Tensor:
    """Sinc kernels that sum to 1, each zero outside its own size.

    Args:
        width: of what is returned, odd, in pixels.
        size: `(N,)`, the odd width of each kernel, up to `width`.
        cutoff: `(N,)` in radians per pixel, above 0 and up to pi.

    Returns:
        `(N, width, width)` float64.
    """
    y, x = _grid(width)
    radius = torch.hypot(x, y)
    cutoff = cutoff[:, None, None]
    kernels = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * math.pi * radius)
    # The limit at radius 0, where the formula is 0 / 0.
    kernels[:, width // 2, width // 2] = (cutoff**2 / (4 * math.pi))[:, 0, 0]
    return _within(kernels, size)


def gaussian_1d(size: int, sigma: float) -> Tensor:
    """A Gaussian `(size,)` in float64 that sums to 1; its outer product is MATLAB's `fspecial("gaussian")`."""
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    kernel = torch.exp(-((x / sigma) ** 2) / 2)
    return kernel / kernel.sum()


def _grid(width: int) -> tuple[Tensor, Tensor]:
    """Rows and columns counted from the middle pixel, `(width, 1)` and `(1, width)`."""
    offsets = torch.arange(width, dtype=torch.float64) - width // 2
    return offsets[:, None], offsets[None, :]


def _within(kernels: Tensor, size: Tensor) -> Tensor:
    offsets = (torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2).abs()
    inside = offsets <= (size // 2)[:, None]
    kernels = kernels * (inside[:, :, None] & inside[:, None, :])
    return kernels / kernels.sum((-2, -1), keepdim=True)
