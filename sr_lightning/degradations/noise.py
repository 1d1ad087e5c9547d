"""Gaussian and Poisson noise, for each image from its own generator.

Formulas: Real-ESRGAN (Wang et al., ICCVW 2021), section 3.1, and for what the paper leaves open its published code:
Poisson noise is that of the 8-bit image at as many photons as the next power of two above its number of distinct
levels, times a scale; grey noise is one for all channels.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.functional.draws import Draws

# Poisson counts are drawn by the alias method (Walker 1974; Vose 1991) from one table for each 8-bit level and each
# number of photons 2^0 ... 2^8: torch.poisson takes 30 ns for a pixel on a CPU, this 6.
_OUTCOMES = 256
_LEVELS = 256
_EXPONENTS = 9
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class RandomNoise:
    """What the noise of an image is drawn from.

    Args:
        gaussian: the probability of Gaussian noise, else it is Poisson noise.
        sigma: lowest and highest standard deviation of the Gaussian, in levels of 255; uniform.
        poisson: lowest and highest scale of the Poisson noise; uniform.
        grey: the probability that the noise is the same in all channels.

    Raises:
        ValueError: A probability outside 0..1, a range that is negative or falls.
    """

    gaussian: float
    sigma: Sequence[float]
    poisson: Sequence[float]
    grey: float

    def __post_init__(self) -> None:
        check_probability(gaussian=self.gaussian, grey=self.grey)
        check_range(sigma=self.sigma, poisson=self.poisson)

    def draw(self, draws: Draws) -> "Noises":
        """The noise of each sample of `draws`."""
        gaussian = draws.chance(self.gaussian)
        sigma, scale = draws.uniform(*self.sigma), draws.uniform(*self.poisson)
        return Noises(gaussian=gaussian, strength=np.where(gaussian, sigma, scale), grey=draws.chance(self.grey))


@dataclass(frozen=True, kw_only=True)
class Noises:
    """The noise drawn for each of N images: kind, strength (sigma in levels of 255, or scale), and whether grey."""

    gaussian: NDArray[np.bool_]
    strength: NDArray[np.float64]
    grey: NDArray[np.bool_]

    def add(self, images: Tensor, pixels: Draws) -> Tensor:
        """Adds the noise to `(N, C, H, W)` and clips to [0, 1]; `pixels` gives each image's generator."""
        noisy = torch.empty_like(images)
        for n, image in enumerate(images):
            generator = pixels.generator(n, images.device)
            seen = grey(image) if self.grey[n] else image
            if self.gaussian[n]:
                torch.add(image, gaussian(seen, generator), alpha=self.strength[n] / 255.0, out=noisy[n])
            else:
                torch.add(image, poisson(seen, generator), alpha=self.strength[n], out=noisy[n])
        return noisy.clamp_(0, 1)

    def take(self, members: NDArray[np.int64]) -> "Noises":
        """The noise of some of the images."""
        return Noises(gaussian=self.gaussian[members], strength=self.strength[members], grey=self.grey[members])

    def describe(self, n: int) -> str:
        """The n-th noise in words."""
        kind = "gaussian" if self.gaussian[n] else "poisson"
        return f"{kind} {self.strength[n]:.3g}{' grey' if self.grey[n] else ''}"


def check_probability(**probabilities: float) -> None:
    """Raises ValueError unless each is in 0..1."""
    for name, probability in probabilities.items():
        if not 0 <= probability <= 1:
            raise ValueError(f"{name} must be a probability in 0..1, got {probability}.")


def check_range(**ranges: Sequence[float]) -> None:
    """Raises ValueError unless each is a lowest and a highest value from 0 on."""
    for name, bounds in ranges.items():
        if len(bounds) != 2 or not 0 <= bounds[0] <= bounds[1]:
            raise ValueError(f"{name} must be [lowest, highest] with 0 <= lowest <= highest, got {list(bounds)}.")


def grey(image: Tensor) -> Tensor:
    """`(C, H, W)` to `(1, H, W)`: BT.601's luma of three channels, the mean of any other number."""
    if len(image) == 3:
        return (image * image.new_tensor(_LUMA)[:, None, None]).sum(0, keepdim=True)
    return image.mean(0, keepdim=True)


def gaussian(image: Tensor, generator: torch.Generator) -> Tensor:
    """White noise of variance 1 in the shape of `image`."""
    return torch.randn(image.shape, generator=generator, device=image.device)


def poisson(image: Tensor, generator: torch.Generator) -> Tensor:
    """The noise, not the noisy image, of photons counted in an 8-bit image.

    A pixel of value v in [0, 1] becomes Poisson(v * n) / n - v, with n the number of distinct levels in the image,
    rounded up to a power of two; its variance is v / n.

    Args:
        image: `(C, H, W)` float32; clipped to [0, 1] and rounded to 8 bits.
        generator: on the device of `image`.

    Returns:
        `(C, H, W)` float32.
    """
    tables, centres = _poisson_tables(image.device)
    rows = image.mul(255).round_().clamp_(0, 255)
    distinct = (torch.histc(rows, _LEVELS, -0.5, 255.5) > 0).sum()
    # All on the device: the CPU need not wait for the number.
    exponent = (distinct > 2 ** torch.arange(_EXPONENTS - 1, device=image.device)).sum()
    rows.add_(exponent * _LEVELS)
    rest = torch.rand(image.shape, generator=generator, device=image.device).mul_(_OUTCOMES)
    outcome = rest.floor()
    rest.sub_(outcome)
    place = torch.add(outcome, rows, alpha=_OUTCOMES).to(torch.int32)
    alias = tables.index_select(0, place.flatten()).view_as(rows)
    other = alias.floor()
    counts = torch.where(rest < alias.sub_(other), outcome, other)
    # Outcomes are counted from near the expected one.
    centre = centres.index_select(0, rows.to(torch.int32).flatten()).view_as(rows)
    return centre.addcmul_(counts, torch.exp2(-exponent.to(torch.float32)))


@functools.cache
def _poisson_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Alias tables for the Poisson distributions of all levels and photon numbers.

    Returns:
        `(_EXPONENTS * _LEVELS * _OUTCOMES,)`: the other outcome plus the probability of the own one, below 1; and
        `(_EXPONENTS * _LEVELS,)`: what outcome 0 stands for, minus the expected count, by the number of photons. A
        table covers at least 7.9 standard deviations on each side of the expected count.
    """
    photons = 2.0 ** np.arange(_EXPONENTS)
    expected = (photons[:, None] * np.arange(_LEVELS) / (_LEVELS - 1)).ravel()
    first = np.maximum(np.floor(expected) - _OUTCOMES // 2, 0)
    counts = torch.from_numpy(first[:, None] + np.arange(_OUTCOMES))
    # x log y is 0 at 0 log 0: level 0 has no photon for certain.
    logarithms = torch.special.xlogy(counts, torch.from_numpy(expected[:, None])) - torch.lgamma(counts + 1)
    tables = alias_tables((logarithms - torch.from_numpy(expected[:, None])).exp().numpy())
    return (
        torch.from_numpy(tables.ravel()).to(device, torch.float32),
        torch.from_numpy((first - expected) / np.repeat(photons, _LEVELS)).to(device, torch.float32),
    )


def alias_tables(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alias tables (Walker 1974) of several distributions over the same number of outcomes.

    To draw: take an outcome i uniformly, look up t[i], and keep i with probability t[i] % 1, else take floor(t[i]).

    Args:
        weights: `(rows, outcomes)`, not negative, of any sum above 0.

    Returns:
        `(rows, outcomes)`: floor is the other outcome; the fraction is the probability of the own one.
    """
    rows, outcomes = weights.shape
    share = weights / weights.sum(1, keepdims=True) * outcomes
    # One pass over light and heavy outcomes at once (Huebschle-Schneider and Sanders, 2019), all rows in step: the
    # lightest outcome left is filled up by the heaviest, until that is light itself.
    order = np.argsort(share, 1, kind="stable")
    every = np.arange(rows)
    low, high = np.zeros(rows, np.int64), np.full(rows, outcomes - 1)
    table = np.tile(np.arange(outcomes, dtype=np.float64), (rows, 1))
    rest = share[every, order[:, -1]]  # what the heaviest outcome still has
    spill = np.zeros(rows, np.bool_)  # whether it has become light, so that the next heaviest fills it up
    for _ in range(outcomes - 1):
        heavy = order[every, high]
        following = order[every, high - 1]
        light = np.where(spill, heavy, order[every, low])
        filler = np.where(spill, following, heavy)
        own = np.where(spill, rest, share[every, light])
        has = np.where(spill, share[every, following], rest)
        table[every, light] = filler + np.clip(own, 0.0, 1.0 - 2.0**-16)
        rest = has - (1.0 - own)
        low, high = low + ~spill, high - spill
        spill = rest < 1.0
    return table
