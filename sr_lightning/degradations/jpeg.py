"""JPEG, there and back, for a batch with a quality for each image, on any device.

Baseline JPEG as libjpeg does it (ITU-T T.81; tables of its annex K, scaled by quality as in libjpeg's jcparam.c): 8-bit
input, YCbCr, colour at half the size (4:2:0), 8x8 DCT, quantisation by hard rounding, and the decoder's smooth
upsampling of colour. Entropy coding loses nothing and is left out. kornia's `jpeg_codec_differentiable` is not used: it
rounds softly, so that gradients pass, which puts it 41 to 46 dB from libjpeg's images at qualities 30 to 95 (this: 49
to 51), and takes seven times as long.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.degradations.noise import check_probability, check_range
from sr_lightning.functional.draws import Draws

# ITU-T T.81, tables K.1 (luminance) and K.2 (chrominance).
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
# JFIF 1.02: full-range YCbCr in levels of 255, without the offset of colour that the DCT takes off again.
_TO_YCBCR = (
    (0.299 * 255, 0.587 * 255, 0.114 * 255),
    (-0.168735892 * 255, -0.331264108 * 255, 0.5 * 255),
    (0.5 * 255, -0.418687589 * 255, -0.081312411 * 255),
)
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


# More than float32 is off at values up to 1024, less than any distance from a half that is none.
_TIE = 2e-4


@dataclass(frozen=True, kw_only=True)
class RandomJpeg:
    """What the JPEG compression of an image is drawn from.

    Args:
        probability: that an image is compressed at all.
        quality: lowest and highest quality, both included, whole numbers in 1..100; uniform.

    Raises:
        ValueError: A probability outside 0..1, a range outside 1..100.
    """

    probability: float
    quality: Sequence[int]

    def __post_init__(self) -> None:
        check_probability(probability=self.probability)
        check_range(quality=self.quality)
        if self.quality[0] < 1 or self.quality[1] > 100:
            raise ValueError(f"quality must lie in 1..100, got {list(self.quality)}.")

    def draw(self, draws: Draws) -> NDArray[np.int64]:
        """The quality of each sample of `draws`; 0 where it is not compressed."""
        compressed = draws.chance(self.probability)
        quality = self.quality[0] + draws.below(self.quality[1] - self.quality[0] + 1)
        return np.where(compressed, quality, 0)


def compress(images: Tensor, quality: NDArray[np.int64]) -> Tensor:
    """Encodes and decodes each image that has a quality; the others stay as they are.

    Three channels are RGB. Any other number has no colours that JPEG knows, so that each channel is compressed as a
    grey image of its own.

    Args:
        images: `(N, C, H, W)` float32, clipped to [0, 1]. They need no rounding to 8 bits: what is transformed, luma
            and colour, is rounded.
        quality: `(N,)` in 1..100, or 0 for an image that is not compressed.

    Returns:
        `(N, C, H, W)` float32; what was compressed in 8-bit levels of [0, 1].
    """
    chosen = np.flatnonzero(quality)
    if len(chosen) == 0:
        return images
    if len(chosen) == len(images):
        return _compress(images, quality)
    index = torch.from_numpy(chosen).to(images.device)
    return images.index_copy(0, index, _compress(images[index], quality[chosen]))


def _compress(images: Tensor, quality: NDArray[np.int64]) -> Tensor:
    channels, height, width = images.shape[1:]
    # Edge pixels fill the last blocks, of 16 pixels where colour has half the size.
    block = 16 if channels == 3 else 8
    padded = images.clamp(0, 1)
    if height % block or width % block:
        padded = F.pad(padded, (0, -width % block, 0, -height % block), mode="replicate")
    if channels != 3:
        planes = padded.mul_(255).round_().sub_(128)
        return _code(planes, _LUMINANCE, quality)[..., :height, :width].add(128).div_(255)
    ycbcr = _round(_matmul(_TO_YCBCR, padded))
    luma = _code(ycbcr[:, :1] - 128, _LUMINANCE, quality)
    chroma = _code(_halve(ycbcr[:, 1:]), _CHROMINANCE, quality)
    half = -(-height // 2), -(-width // 2)
    # Each pixel takes 9/16 of its own colour pixel, 3/16 of two neighbours and 1/16 of a third.
    chroma = F.interpolate(chroma[..., : half[0], : half[1]], size=(2 * half[0], 2 * half[1]), mode="bilinear")
    ycbcr = torch.cat((luma[..., :height, :width], chroma[..., :height, :width].round_()), dim=1)
    return _round(_matmul(_TO_RGB, ycbcr).add_(128)).clamp_(0, 255).div_(255)


def quantisation_table(base: Sequence[Sequence[int]], quality: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tables as libjpeg scales them, `(N, 64)` for qualities `(N,)` in 1..100, rows first."""
    percent = np.where(quality < 50, 5000 // np.maximum(quality, 1), 200 - 2 * quality)
    tables: NDArray[np.int64] = np.clip((np.ravel(base) * percent[:, None] + 50) // 100, 1, 255)
    return tables.astype(np.float64)


def _halve(chroma: Tensor) -> Tensor:
    """Means of 2x2 pixels, rounded down and up in turn from column to column, as libjpeg's h2v2_downsample."""
    bias = chroma.new_tensor((1.0, 2.0)).repeat(chroma.shape[-1] // 4)
    # On a CPU four times as fast as avg_pool2d.
    upper = chroma[..., ::2, ::2] + chroma[..., ::2, 1::2]
    return upper.add_(chroma[..., 1::2, ::2]).add_(chroma[..., 1::2, 1::2]).add_(bias).mul_(0.25).floor_()


def _round(values: Tensor) -> Tensor:
    """Rounds in place, halves up however float32 has come by them.

    Halves are frequent, since what comes in are whole levels: one block in 8 * table[0] has a mean between two. Were
    they left to the last bit, which depends on the number of images multiplied at once, an image would come out
    differently beside others.
    """
    return values.add_(_TIE).round_()


def _matmul(matrix: Sequence[Sequence[float]], images: Tensor) -> Tensor:
    """Applies a 3x3 matrix to the channels of each pixel."""
    return torch.matmul(images.new_tensor(matrix), images.flatten(2)).view(images.shape)


def _code(planes: Tensor, base: Sequence[Sequence[int]], quality: NDArray[np.int64]) -> Tensor:
    """DCT, quantisation and back of `(N, P, H, W)` around 0; rounded and clipped to -128..127."""
    number, count, height, width = planes.shape
    table = torch.from_numpy(quantisation_table(base, quality))[:, None]
    transform = _transform()
    # Quantisation is folded into the transforms, so that each way is one product of matrices.
    forward = (transform.T / table).to(planes)
    backward = (transform * table.transpose(1, 2)).to(planes)
    blocks = planes.view(number, count, height // 8, 8, width // 8, 8).transpose(3, 4).reshape(number, -1, 64)
    decoded = _round(torch.bmm(_round(torch.bmm(blocks, forward)), backward)).clamp_(-128, 127)
    return decoded.view(number, count, height // 8, width // 8, 8, 8).transpose(3, 4).reshape(planes.shape)


@functools.cache
def _transform() -> Tensor:
    """The orthonormal two-dimensional DCT of 8x8 blocks, `(64 frequencies, 64 pixels)`: T.81, A.3.3."""
    frequency, place = torch.arange(8, dtype=torch.float64)[:, None], torch.arange(8, dtype=torch.float64)
    cosines = torch.cos((2 * place + 1) * frequency * torch.pi / 16) / 2
    cosines[0] /= 2**0.5
    return torch.kron(cosines, cosines)
