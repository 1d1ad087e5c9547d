"""Unsharp masking of HR, the target of Real-ESRGAN."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.degradations.kernels import gaussian_1d
from sr_lightning.functional.resize import extend

_SIZE = 51
# What OpenCV's getGaussianKernel takes for this size where no sigma is given.
_SIGMA = 0.3 * ((_SIZE - 1) * 0.5 - 1) + 0.8
_WEIGHT = 0.5
_THRESHOLD = 10.0


def sharpen(image: Tensor) -> Tensor:
    """Sharpens where an image differs from its blurred self by more than 10 levels.

    With `blurred` by a Gaussian of 51x51 and sigma 8, `residual = image - blurred` and `mask` the pixels, channel by
    channel, where it is more than 10/255, blurred in the same way: `mask * clip(image + residual / 2) + (1 - mask) *
    image`. Real-ESRGAN's USMSharp with its defaults; borders are reflected as there.

    Args:
        image: `(N, C, H, W)` float32 in [0, 1].

    Returns:
        Of the same shape, in [0, 1].
    """
    residual = image - _blur(image)
    mask = _blur((residual.abs() * 255 > _THRESHOLD).to(image.dtype))
    sharp = torch.clamp(image + _WEIGHT * residual, 0, 1)
    return torch.lerp(image, sharp, mask)


def _blur(image: Tensor) -> Tensor:
    channels = image.shape[1]
    kernel = _kernel().to(image).expand(channels, 1, 1, -1)
    padded = extend(image, _SIZE // 2, "reflect")
    rows = F.conv2d(padded, kernel, groups=channels)
    return F.conv2d(rows, kernel.transpose(-2, -1), groups=channels)


@functools.cache
def _kernel() -> Tensor:
    return gaussian_1d(_SIZE, _SIGMA)
