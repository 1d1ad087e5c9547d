"""Blur, downsampling, noise and JPEG, each drawn at random: the classical model of an unknown degradation."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.degradations.base import Fixed, Parameters, check_call, check_scale, digest, up_to_multiple
from sr_lightning.degradations.blur import Blurs, RandomBlur
from sr_lightning.degradations.jpeg import RandomJpeg, compress
from sr_lightning.degradations.noise import Noises, RandomNoise
from sr_lightning.functional.draws import Draws
from sr_lightning.functional.quantize import round_to_uint8_grid
from sr_lightning.functional.resize import imresize

_KINDS = ("bicubic", "bilinear", "area")


class Classical(Fixed):
    """Random blur, downsampling of a random kind, noise, JPEG: `y = jpeg((x * k) downsampled + n)`.

    The model of SRMD (Zhang et al., CVPR 2018, equation 1), with the ranges of BSRGAN (Zhang et al., ICCV 2021, section
    3) in the yaml but none of its shuffling and second round. LR ends in 8-bit levels. Images of other than three
    channels are compressed channel by channel, as grey images.

    Args:
        scale: HR is so many times as large as LR.
        blur: arguments of `RandomBlur`; its pixels are HR's.
        downsample: the weight of each kind: bicubic (MATLAB's, antialiased), bilinear (without antialiasing: the blur
            before is all there is) and area (the mean of a block); those left out do not occur.
        noise: arguments of `RandomNoise`.
        jpeg: arguments of `RandomJpeg`.

    Raises:
        ValueError: A value that one of these refuses, an unknown kind.
        TypeError: An argument that one of these does not have.
    """

    stored = False

    def __init__(
        self,
        *,
        scale: int,
        blur: Mapping[str, Any],
        downsample: Mapping[str, float],
        noise: Mapping[str, Any],
        jpeg: Mapping[str, Any],
    ) -> None:
        check_scale(scale)
        unknown = sorted(set(downsample) - set(_KINDS))
        if unknown:
            raise ValueError(f"downsample: expected some of {', '.join(_KINDS)}; got {unknown[0]!r}.")
        if min(downsample.values(), default=0.0) < 0 or sum(downsample.values()) <= 0:
            raise ValueError(f"downsample: expected weights from 0 on, one of them above 0; got {dict(downsample)}.")
        self.scale = scale
        self.blur = RandomBlur(**blur)
        self.downsample = dict(downsample)
        self.noise = RandomNoise(**noise)
        self.jpeg = RandomJpeg(**jpeg)
        # The blur reaches half a kernel beyond what MATLAB's bicubic reaches beyond a block.
        self.margin = up_to_multiple(self.blur.sizes[1] // 2 + 2 * scale, scale)

    @property
    def name(self) -> str:
        """Kind and scale; the digits at the end stand for all parameters."""
        return f"classical_x{self.scale}_{digest(self.blur, self.downsample, self.noise, self.jpeg)}"

    def parameters(self, *, samples: Sequence[int], seed: int) -> list[Parameters]:
        """Blur, kind of downsampling, noise and JPEG quality of each sample."""
        blur, kind, noise, quality = self._draw(samples, seed)
        return [
            {
                "blur": blur.describe(n),
                "downsample": str(kind[n]),
                "noise": noise.describe(n),
                "jpeg": int(quality[n]) or "none",
            }
            for n in range(len(samples))
        ]

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """LR in 8-bit levels; see `Degradation.__call__`."""
        check_call(hr, samples, self.scale)
        blur, kind, noise, quality = self._draw(samples, seed)
        blurred = blur.apply(hr, "symmetric")
        lr = hr.new_empty((*hr.shape[:2], hr.shape[-2] // self.scale, hr.shape[-1] // self.scale))
        for one in np.unique(kind):
            index = torch.from_numpy(np.flatnonzero(kind == one)).to(hr.device)
            lr[index] = self._downsample(blurred[index], str(one))
        lr = noise.add(lr, Draws(samples, seed=seed, purpose="classical pixels"))
        return round_to_uint8_grid(compress(lr, quality))

    def _draw(self, samples: Sequence[int], seed: int) -> "tuple[Blurs, NDArray[np.str_], Noises, NDArray[np.int64]]":
        blur, kind, noise, jpeg = (
            Draws(samples, seed=seed, purpose=f"classical {what}") for what in ("blur", "downsample", "noise", "jpeg")
        )
        kinds = np.array([*self.downsample])[kind.choice([*self.downsample.values()])]
        return self.blur.draw(blur), kinds, self.noise.draw(noise), self.jpeg.draw(jpeg)

    def _downsample(self, images: Tensor, kind: str) -> Tensor:
        if kind == "bicubic":
            return imresize(images, Fraction(1, self.scale))
        if kind == "area":
            return F.avg_pool2d(images, self.scale)
        size = images.shape[-2] // self.scale, images.shape[-1] // self.scale
        return F.interpolate(images, size=size, mode="bilinear")
