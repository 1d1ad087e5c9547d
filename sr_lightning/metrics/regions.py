"""Where an image is wrong: PSNR on its edges, its texture and its flat parts."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.geometry import shave
from sr_lightning.functional.resize import extend
from sr_lightning.metrics.protocol import Planes

REGIONS = ("edges", "texture", "flat")
# Of the largest gradient of an image: what is above the first is an edge, what is below the second is flat.
_EDGE, _FLAT = 0.12, 0.06
# A single pixel that is one level off its neighbours has a gradient of 0.0005; what is smaller is rounding.
_NOTHING = 1e-6


class RegionError(NamedTuple):
    """The mean squared error within a region of one image, and how many pixels it has; no number where it has none."""

    error: float
    pixels: int

    @property
    def psnr(self) -> float:
        """PSNR in dB for a peak of 1; infinity where the region is perfect, no number where it has no pixel."""
        return -10.0 * math.log10(self.error) if self.error else math.inf


def region_masks(hr: Tensor) -> dict[str, Tensor]:
    """Which pixels are edges, texture and flat, by the gradient of HR alone, so that they are the same for any SR.

    The parts of Li and Bovik's three-component SSIM (J. Electronic Imaging 19, 2010), after Ran and Farvardin: with
    ``g`` the length of Sobel's gradient of the luma (the border mirrored) and ``G`` its maximum over the image, edges
    have ``g > 0.12 G``, flat parts ``g < 0.06 G``, and the rest is texture. They look at the distorted image too; here
    that would let each network choose what it is judged by. An image without any gradient is flat.

    Args:
        hr: `(1, C, H, W)` in [0, 1], RGB, luma or other bands, of which the mean is taken.

    Returns:
        `{"edges", "texture", "flat"}`, bool `(1, 1, H, W)` each: every pixel is in one of them.
    """
    luma = rgb_to_y(hr.double()) if hr.shape[1] == 3 else hr.double().mean(dim=1, keepdim=True)
    smooth, slope = hr.new_tensor([1.0, 2.0, 1.0]).double() / 4, hr.new_tensor([-1.0, 0.0, 1.0]).double() / 2
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    gradient = F.conv2d(extend(luma, 1, "symmetric"), kernels).square().sum(dim=1, keepdim=True).sqrt()
    largest = gradient.max()
    edges = (gradient > _EDGE * largest) & (largest > _NOTHING)
    flat = (gradient < _FLAT * largest) | (largest <= _NOTHING)
    return {"edges": edges, "texture": ~(edges | flat), "flat": flat}


def region_errors(planes: Planes, masks: Mapping[str, Tensor], *, border: int) -> dict[str, RegionError]:
    """The error of one image in each region.

    Weighted by their pixels, the errors add up to the error of the whole image.

    Args:
        planes: What the protocol compares, without the border.
        masks: As `region_masks` returns them, of the whole image.
        border: Pixels that the planes have lost on each side.
    """
    errors = (planes.sr.double() - planes.hr.double()).square().mean(dim=1, keepdim=True)
    inside = {name: shave(mask, border) for name, mask in masks.items()}
    return {name: RegionError(errors[mask].mean().item(), int(mask.sum())) for name, mask in inside.items()}
