"""The resizes that people take for MATLAB's, each to the bit where it works on 8 bits."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.degradations.base import Fixed, check_call, check_scale
from sr_lightning.functional.quantize import round_to_uint8_grid, to_uint8

Kind = Literal["pil", "cv2", "bilinear"]

_KINDS = get_args(Kind)
# Bits behind the point of the weights: Pillow's PRECISION_BITS and OpenCV's INTER_RESIZE_COEF_BITS.
_PILLOW_BITS = 22
_OPENCV_BITS = 11


class Resize(Fixed):
    """LR by one of the resizes that tutorials use instead of MATLAB's bicubic.

    A network trained on one and evaluated on another loses up to several dB, which is why this exists: to measure the
    loss, or to train for images that were made so.

    - ``pil``: Pillow's ``BICUBIC`` of an 8-bit image, bit for bit: Keys' kernel with a = -0.5 widened by the factor as
      MATLAB's, but cut off at the image's border and normalised there, and rounded after the horizontal pass, which
      comes first.
    - ``cv2``: OpenCV's ``INTER_CUBIC`` of an 8-bit image: a = -0.75 on four pixels whatever the factor, so that it
      aliases; edge pixels are repeated.
    - ``bilinear``: ``F.interpolate(mode="bilinear")`` without antialiasing: at even factors the mean of the two pixels
      around each centre, at odd ones every scale-th pixel.

    All end in 8-bit levels, as an LR file would. LR of a patch is the patch of LR with one exception: at the border of
    an image, where ``pil`` cuts its kernel off while a patch gets mirrored pixels, two LR pixels on each side differ.

    Args:
        scale: The integer factor to shrink by.
        kind: ``pil``, ``cv2`` or ``bilinear``.

    Raises:
        ValueError: Another kind or scale.
    """

    stored = False

    def __init__(self, *, scale: int, kind: Kind = "pil") -> None:
        check_scale(scale)
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}.")
        self.scale = scale
        self.kind: Kind = kind
        # Pillow's kernel reaches 1.5 * scale beyond a block, OpenCV's one pixel at x2 and none at other factors.
        self.margin = {"pil": 2 * scale if scale > 1 else 0, "cv2": scale if scale == 2 else 0, "bilinear": 0}[kind]

    @property
    def name(self) -> str:
        """Kind and scale."""
        return f"resize_{self.kind}_x{self.scale}"

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """LR in 8-bit levels; see `Degradation.__call__`."""
        check_call(hr, samples, self.scale)
        height, width = hr.shape[-2] // self.scale, hr.shape[-1] // self.scale
        if self.kind == "bilinear":
            return round_to_uint8_grid(F.interpolate(hr, size=(height, width), mode="bilinear"))
        make, bits = (_pillow_weights, _PILLOW_BITS) if self.kind == "pil" else (_opencv_weights, _OPENCV_BITS)
        # Whole numbers below 2^53 throughout: float64 is exact, on any device and in any order of summation.
        levels = to_uint8(hr).to(torch.float64)
        rows = levels @ _matrix(make, hr.shape[-1], self.scale, hr.device).T
        columns = _matrix(make, hr.shape[-2], self.scale, hr.device)
        if self.kind == "pil":
            lr = _round_half_up(columns @ _round_half_up(rows, bits), bits)
        else:
            # OpenCV keeps the fraction of the first pass and rounds once, half to even where it is vectorised.
            lr = (columns @ rows).mul_(2.0 ** (-2 * bits)).round_().clamp_(0, 255)
        return lr.div_(255.0).to(torch.float32)


def _round_half_up(sums: Tensor, bits: int) -> Tensor:
    """Takes the bits behind the point off, and clips to 0..255."""
    return sums.mul_(2.0**-bits).add_(0.5).floor_().clamp_(0, 255)


def _matrix(make: Callable[[int, int], NDArray[np.float64]], size: int, scale: int, device: torch.device) -> Tensor:
    return torch.from_numpy(make(size, scale)).to(device)


@functools.lru_cache(maxsize=16)
def _pillow_weights(size: int, scale: int) -> NDArray[np.float64]:
    """Pillow's weights `(size / scale, size)` as whole numbers; after `precompute_coeffs` of its Resample.c."""
    weights = np.zeros((size // scale, size))
    for row in range(size // scale):
        centre = (row + 0.5) * scale
        first = max(int(centre - 2 * scale + 0.5), 0)
        last = min(int(centre + 2 * scale + 0.5), size)
        kernel = _keys((np.arange(first, last) - centre + 0.5) / scale, a=-0.5)
        weights[row, first:last] = kernel / kernel.sum()
    whole: NDArray[np.float64] = np.trunc(weights * 2**_PILLOW_BITS + np.copysign(0.5, weights))
    return whole


@functools.lru_cache(maxsize=16)
def _opencv_weights(size: int, scale: int) -> NDArray[np.float64]:
    """OpenCV's weights `(size / scale, size)` as whole numbers."""
    weights = np.zeros((size // scale, size))
    for row in range(size // scale):
        centre = (row + 0.5) * scale - 0.5
        first = math.floor(centre)
        kernel = np.rint(_keys(np.arange(-1.0, 3.0) - (centre - first), a=-0.75) * 2**_OPENCV_BITS)
        np.add.at(weights[row], np.clip(np.arange(first - 1, first + 3), 0, size - 1), kernel)
    return weights


def _keys(x: NDArray[np.float64], *, a: float) -> NDArray[np.float64]:
    """Cubic convolution: R. Keys, IEEE TASSP 29(6), 1981, equation 4."""
    x = np.abs(x)
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))
