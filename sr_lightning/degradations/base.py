"""What every degradation is to those who use it."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

Parameters = dict[str, float | str]


class Degradation(Protocol):
    """Makes LR images from HR images, on whatever device they are.

    Attributes:
        scale: HR is so many times as large as LR.
        margin: HR pixels around a patch, on each side, that its LR depends on; a multiple of `scale`, 0 for none. Where
            a patch is cut with them and its LR loses `margin // scale` pixels on each side, LR of the patch is the
            patch of LR. Beyond the border of an image, pixels are mirrored with the edge doubled.
        stored: LR is one fixed 8-bit image for each HR image and is made once, when the store is built.
    """

    scale: int
    margin: int
    stored: bool

    @property
    def name(self) -> str:
        """Kind and parameters in one line: two of one name make the same LR."""

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """Makes LR of a batch; what is drawn for an image depends on the seed and its sample number alone.

        Args:
            hr: `(N, C, scale * H, scale * W)` float32 in [0, 1].
            samples: the number of each image in the global stream of samples, `N` of them, at least 0.
            seed: any integer.

        Returns:
            `(N, C, H, W)` float32 in [0, 1] on the device of `hr`. It does not depend on what else is in the batch, up
            to the rounding of float32.

        Raises:
            ValueError: another dtype or number of samples, or a size that `scale` does not divide.
        """

    def target(self, hr: Tensor) -> Tensor:
        """What a network is to make of LR, `(N, C, H, W)` float32: `hr` itself but for degradations that sharpen it."""

    def parameters(self, *, samples: Sequence[int], seed: int) -> list[Parameters]:
        """What is drawn for each sample, in words and numbers for people; empty where nothing is."""


class Fixed:
    """The part of a degradation that draws nothing which one can name and leaves the target alone."""

    def target(self, hr: Tensor) -> Tensor:
        """`hr` itself."""
        return hr

    def parameters(self, *, samples: Sequence[int], seed: int) -> list[Parameters]:
        """An empty dictionary for each sample."""
        return [{} for _ in samples]


def check_call(hr: Tensor, samples: Sequence[int], scale: int) -> None:
    """Raises ValueError unless `hr` and `samples` are what `Degradation.__call__` takes."""
    if hr.dtype != torch.float32 or hr.ndim != 4:
        raise ValueError(f"expected hr (N, C, H, W) in float32, got {hr.dtype} of shape {tuple(hr.shape)}.")
    if len(samples) != len(hr):
        raise ValueError(f"expected one sample number for each of {len(hr)} images, got {len(samples)}.")
    height, width = hr.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"expected height and width divisible by {scale}, got {height}x{width}; modcrop first.")


def check_scale(scale: int) -> None:
    """Raises ValueError unless `scale` is a whole number from 1 on."""
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale must be a whole number from 1 on, got {scale!r}.")


def up_to_multiple(pixels: int, scale: int) -> int:
    """The smallest multiple of `scale` that is at least `pixels`."""
    return -(-pixels // scale) * scale


def digest(*parameters: object) -> str:
    """Eight hexadecimal digits that stand for parameters too many to be spelt out in a name."""
    return hashlib.sha256(repr(parameters).encode()).hexdigest()[:8]
