"""Is the difference between two experiments real? A paired bootstrap over images and seeds, and what it can tell.

Images are paired: both sides are scored on the same ones. Seeds are repeated measures of a side: each of its runs is
scored on every image, so that images and seeds are crossed. Each resample therefore draws images of each set once for
both sides, and seeds for each side, independently (Owen and Eckles, "Bootstrapping data arrays of arbitrary order",
Annals of Applied Statistics 2012, which is mildly conservative).

A percentile interval is too narrow for few images or seeds, twice over (Hesterberg, "What teachers should know about
the bootstrap", The American Statistician 2015): resamples vary by (n - 1) / n of what they should, and their quantiles
are those of a normal distribution where a t distribution is due. Both are undone here: weights are widened by
sqrt(n / (n - 1)), and the quantiles lie as far out as the t distribution's with Welch and Satterthwaite's degrees of
freedom. In simulations of normal differences 91 to 95 % of the intervals then hold the truth, with 5 to 100 images and
1 to 5 seeds; of percentile intervals 84 % with 5 images, and 72 % with two seeds and 100 images. BCa (Efron and
Tibshirani, 1993, chapter 14) mends skewness, not these, and its acceleration is not defined for crossed factors.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
PerImage: TypeAlias = Mapping[str, float | None]

RESAMPLES = 10_000
LEVEL = 0.95
# Resamples of fewer images do not reach as far as the truth may lie: no interval is given.
_FEWEST = 5
# Fewer images are told apart from a benchmark in words.
_FEW = 30

Verdict = Literal["better", "worse", "cannot tell", "the same"]


@dataclass(frozen=True)
class Difference:
    """Mean of one experiment less that of another, over the images that both have.

    Attributes:
        mean: of all differences, in the metric's unit.
        low: lower end of the 95 % confidence interval; None with fewer than five images.
        high: its upper end.
        images: number of shared images, of all that either side has `all_images`.
        seeds: number of runs of each side.
    """

    mean: float
    low: float | None
    high: float | None
    images: int
    all_images: int
    seeds: tuple[int, int]

    def verdict(self, *, lower_is_better: bool = False) -> Verdict:
        """Say whether the first is better: only where the interval excludes 0."""
        if self.low is None or self.high is None:
            return "cannot tell"
        if self.low == self.high == 0:
            return "the same"
        if self.low <= 0 <= self.high:
            return "cannot tell"
        return "better" if (self.mean > 0) != lower_is_better else "worse"


def paired_difference(
    first: Sequence[Mapping[str, PerImage]], second: Sequence[Mapping[str, PerImage]], *, seed: int = 0
) -> Difference | None:
    """Bootstrap the difference of two experiments' means over sets of the means of per-image scores.

    Args:
        first: of each of its runs, which differ in the seed alone, {set: {image: score}}. Images that a run of either
            side has not, or without a finite score (PSNR of equal images), are left out, and sets without any left.
        second: the other experiment, likewise.
        seed: of the resamples.

    Returns:
        The difference, first less second; None where no image is shared.
    """
    runs = [*first, *second]
    names = sorted({(name, image) for run in runs for name, scores in run.items() for image in scores})
    shared: dict[str, list[str]] = {}
    for name, image in names:
        if all(_finite(run.get(name, {}).get(image)) for run in runs):
            shared.setdefault(name, []).append(image)
    if not shared:
        return None
    groups = [Group(*(_table(side, name, images) for side in (first, second))) for name, images in shared.items()]
    images = sum(group.images for group in groups)
    # How much a set of one image varies, nothing shows.
    enough = images >= _FEWEST and min(group.images for group in groups) > 1
    low, high = interval(groups, seed=seed) if enough else (None, None)
    return Difference(
        mean=float(np.mean([group.first.mean() - group.second.mean() for group in groups])),
        low=low,
        high=high,
        images=images,
        all_images=len(names),
        seeds=(len(first), len(second)),
    )


class Group(NamedTuple):
    """Scores (seeds, images) of both sides on the same images: those of one set."""

    first: Values
    second: Values

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.first.shape[1])


def interval(groups: Sequence[Group], *, seed: int = 0) -> tuple[float, float]:
    """Return the ends of the 95 % confidence interval of the difference of two means over groups.

    Args:
        groups: of two images or more, and five or more in all; each counts alike.
        seed: of the resamples.
    """
    outside = tail(groups)
    low, high = np.quantile(resampled(groups, seed=seed), [outside, 1 - outside])
    return float(low), float(high)


def resampled(groups: Sequence[Group], *, seed: int = 0, count: int = RESAMPLES) -> Values:
    """Return the difference of means in `count` resamples: of the images of each group, and of each side's seeds.

    A run is one network on all groups, so that seeds are drawn once for all.
    """
    first, second = (_weights(len(side), count, (seed, number)) for number, side in enumerate(groups[0]))
    total = np.zeros(count)
    for number, group in enumerate(groups, start=2):
        differences = first @ group.first - second @ group.second
        total += (_weights(group.images, count, (seed, number)) * differences).sum(axis=1)
    return total / len(groups)


def tail(groups: Sequence[Group]) -> float:
    """Return the share of resamples on each side of the interval: 0.025 for many images and seeds, less for few."""
    parts = [
        ((group.first.mean(0) - group.second.mean(0)).var(ddof=1) / group.images / len(groups) ** 2, group.images - 1)
        for group in groups
    ]
    for side in (0, 1):
        # Of each run its mean over the groups.
        means = np.mean([group[side].mean(1) for group in groups], axis=0)
        if len(means) > 1:
            parts.append((means.var(ddof=1) / len(means), len(means) - 1))
    total = sum(variance for variance, _ in parts)
    squares = sum(variance**2 / freedom for variance, freedom in parts)
    # Without any variance the interval is a point, wherever its quantiles lie.
    freedom = total**2 / squares if squares > 0 else 1.0
    return NormalDist().cdf(-student_quantile((1 + LEVEL) / 2, freedom))


@lru_cache(maxsize=64)
def student_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution for probabilities above a half.

    By bisection of the distribution function, which is integrated with the substitution t = sqrt(freedom) * tan(x).

    Args:
        probability: above 0.5 and below 1.
        freedom: degrees of freedom, from 1 on, not necessarily whole.
    """
    # P(0 < T < t) is the integral of cos(x) ** (freedom - 1) up to atan(t / sqrt(freedom)), divided by twice the whole.
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angles) ** (freedom - 1)
    integral = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    angle = np.interp(2 * probability - 1, integral / integral[-1], angles)
    return float(math.sqrt(freedom) * np.tan(angle))


def in_words(difference: Difference, *, names: tuple[str, str], unit: str = "dB", lower_is_better: bool = False) -> str:
    """Say what a difference is, and what it can tell and what not, in a few sentences.

    Args:
        difference: the first of `names` less the second.
        names: of the two experiments.
        unit: of the metric.
        lower_is_better: of the metric.

    Example:
        >>> in_words(Difference(0.1, None, None, 1, 1, (1, 1)), names=("a", "b"))
        'a less b: +0.10 dB. Cannot tell: fewer than 5 images have no interval.'
    """
    digits = 2 if unit == "dB" else 4
    shown = f"{difference.mean:+.{digits}f}"
    first = f"{names[0]} less {names[1]}: {shown}{f' {unit}' if unit else ''}"
    if difference.low is None or difference.high is None:
        too_few = f"fewer than {_FEWEST} images have" if difference.images < _FEWEST else "a set of one image has"
        return " ".join([f"{first}. Cannot tell: {too_few} no interval.", *_unshared(difference)])
    first += f", 95 % interval {difference.low:+.{digits}f} to {difference.high:+.{digits}f}. "
    verdict = difference.verdict(lower_is_better=lower_is_better)
    first += {
        "better": f"{names[0]} is better.",
        "worse": f"{names[1]} is better.",
        "cannot tell": "Cannot tell which is better: the interval holds 0.",
        "the same": "Both have the same scores.",
    }[verdict]
    return " ".join([first, *_limits(difference)])


def _limits(difference: Difference) -> list[str]:
    """Return what the number of images and seeds lets nobody know."""
    lines = _unshared(difference)
    images, (a, b) = difference.images, difference.seeds
    if images < _FEW:
        lines.append(f"{images} images speak of photographs like these, not of a benchmark.")
    if a == b == 1:
        lines.append("One seed each: training noise is not in the interval; another seed may turn it round.")
    elif min(a, b) == 1:
        lines.append(f"{a} and {b} seeds: training noise of the side with one seed is not in the interval.")
    elif min(a, b) < 5:
        lines.append(f"{a} and {b} seeds: training noise is in the interval, roughly known.")
    return lines


def _unshared(difference: Difference) -> list[str]:
    if difference.images == difference.all_images:
        return []
    return [f"{difference.images} of {difference.all_images} images are scored on both sides; only they count."]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _table(side: Sequence[Mapping[str, PerImage]], name: str, images: Sequence[str]) -> Values:
    return np.array([[run[name][image] for image in images] for run in side], dtype=np.float64)


@lru_cache(maxsize=16)
def _weights(size: int, count: int, seed: tuple[int, int]) -> Values:
    """Return (count, size) weights of resamples, that vary as much as means of `size` values do.

    Kept, since all columns of a table have the same images.
    """
    if size == 1:
        return np.ones((count, 1))
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=count) / size
    return np.asarray(1 / size + math.sqrt(size / (size - 1)) * (drawn - 1 / size))
