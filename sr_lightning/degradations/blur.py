"""Blurs with a kernel of its own for each image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.degradations.kernels import gaussian_kernels, sinc_kernels
from sr_lightning.degradations.noise import check_probability, check_range
from sr_lightning.functional.draws import Draws
from sr_lightning.functional.resize import Extension, extend

# The kinds of kernel, by their names in Real-ESRGAN's options: the family, and whether it is as wide in all directions.
_KINDS = {
    "iso": ("gaussian", True),
    "aniso": ("gaussian", False),
    "generalised_iso": ("generalised", True),
    "generalised_aniso": ("generalised", False),
    "plateau_iso": ("plateau", True),
    "plateau_aniso": ("plateau", False),
}
# Below this size a sinc kernel cannot show a lower cut-off than pi / 3, from it on pi / 5.
_LARGE_SINC = 13
# What the outer rings of a kernel may sum up to and be left out: 0.03 levels of 255.
_NEGLIGIBLE = 1e-4
_LANES = 16


@dataclass(frozen=True, kw_only=True)
class RandomBlur:
    """What the blur of an image is drawn from.

    Args:
        probability: that an image is blurred at all.
        sinc: the probability that a kernel is a sinc, with a cut-off uniform in pi/3 .. pi, from a size of 13 on in
            pi/5 .. pi.
        kinds: the weight of each kind of the other kernels: iso, aniso, generalised_iso, generalised_aniso,
            plateau_iso, plateau_aniso; those left out do not occur.
        sizes: smallest and largest width of a kernel, odd, in pixels; each odd width between them is as likely.
        sigma: lowest and highest standard deviation, in pixels; uniform, for each axis by itself.
        beta_generalised: lowest and highest shape of generalised Gaussians, around 1: half of them are drawn from below
            1, half from above.
        beta_plateau: the same for plateaus.

    Raises:
        ValueError: A probability outside 0..1, an unknown kind, a range that is empty, falls or leaves its bounds.
    """

    probability: float
    sinc: float
    kinds: Mapping[str, float]
    sizes: Sequence[int]
    sigma: Sequence[float]
    beta_generalised: Sequence[float] = (1.0, 1.0)
    beta_plateau: Sequence[float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        check_probability(probability=self.probability, sinc=self.sinc)
        check_range(sigma=self.sigma, beta_generalised=self.beta_generalised, beta_plateau=self.beta_plateau)
        unknown = sorted(set(self.kinds) - set(_KINDS))
        if unknown:
            raise ValueError(f"kinds: expected some of {', '.join(_KINDS)}; got {unknown[0]!r}.")
        if min(self.kinds.values(), default=0.0) < 0 or sum(self.kinds.values()) <= 0:
            raise ValueError(f"kinds: expected weights from 0 on, one of them above 0; got {dict(self.kinds)}.")
        _check_sizes(self.sizes)
        if self.sigma[0] <= 0:
            raise ValueError(f"sigma must be above 0, got {list(self.sigma)}.")
        for name, beta in (("beta_generalised", self.beta_generalised), ("beta_plateau", self.beta_plateau)):
            if not 0 < beta[0] <= 1 <= beta[1]:
                raise ValueError(f"{name} must be [lowest, highest] around 1, got {list(beta)}.")

    def draw(self, draws: Draws) -> "Blurs":
        """The blur of each sample of `draws`."""
        blurred = draws.chance(self.probability)
        size = _draw_sizes(self.sizes, draws)
        sinc = draws.chance(self.sinc)
        cutoff = draws.uniform(np.where(size < _LARGE_SINC, np.pi / 3, np.pi / 5), np.pi)
        names = np.array([*self.kinds])
        kind = names[draws.choice([*self.kinds.values()])]
        sigma = np.stack((draws.uniform(*self.sigma), draws.uniform(*self.sigma)), axis=1)
        angle = draws.uniform(-np.pi, np.pi)
        sharper, where = draws.chance(0.5), draws.uniform()
        beta = np.ones(len(draws))
        for family, (low, high) in (("generalised", self.beta_generalised), ("plateau", self.beta_plateau)):
            drawn = np.where(sharper, low + where * (1 - low), 1 + where * (high - 1))
            beta = np.where(np.char.startswith(kind, family), drawn, beta)
        iso = np.isin(kind, [name for name, (_, round_) in _KINDS.items() if round_])
        sigma[iso, 1] = sigma[iso, 0]
        kind = np.where(blurred, np.where(sinc, "sinc", kind), "none")
        return Blurs(
            kind=kind,
            size=size,
            sigma=sigma,
            angle=np.where(iso, 0.0, angle),
            beta=beta,
            cutoff=cutoff,
            width=self.sizes[1],
        )


@dataclass(frozen=True, kw_only=True)
class RandomSinc:
    """What a sinc filter, which rings as sharpening and compression do, is drawn from.

    Args:
        probability: that an image is filtered at all.
        sizes: smallest and largest width, odd, in pixels; each odd width between them is as likely. The cut-off is
            uniform in pi/3 .. pi.

    Raises:
        ValueError: A probability outside 0..1, sizes that are even or fall.
    """

    probability: float
    sizes: Sequence[int]

    def __post_init__(self) -> None:
        check_probability(probability=self.probability)
        _check_sizes(self.sizes)

    def draw(self, draws: Draws) -> "Blurs":
        """The filter of each sample of `draws`."""
        filtered = draws.chance(self.probability)
        size = _draw_sizes(self.sizes, draws)
        ones = np.ones(len(draws))
        return Blurs(
            kind=np.where(filtered, "sinc", "none"),
            size=size,
            sigma=np.stack((ones, ones), axis=1),
            angle=ones,
            beta=ones,
            cutoff=draws.uniform(np.pi / 3, np.pi),
            width=self.sizes[1],
        )


@dataclass(frozen=True, kw_only=True)
class Blurs:
    """The blur drawn for each of N images: one of the kinds, `sinc` or `none`, and what describes its kernel."""

    kind: NDArray[np.str_]
    size: NDArray[np.int64]
    sigma: NDArray[np.float64]
    angle: NDArray[np.float64]
    beta: NDArray[np.float64]
    cutoff: NDArray[np.float64]
    width: int

    def kernels(self) -> Tensor:
        """`(N, width, width)` float64 on the CPU, summing to 1; one pixel of 1 where there is no blur."""
        kernels = torch.zeros(len(self.kind), self.width, self.width, dtype=torch.float64)
        kernels[:, self.width // 2, self.width // 2] = 1
        size, sigma, angle, beta, cutoff = map(
            torch.from_numpy, (self.size, self.sigma, self.angle, self.beta, self.cutoff)
        )
        for family in ("gaussian", "generalised", "plateau"):
            of_family = [kind for kind, (its, _) in _KINDS.items() if its == family]
            chosen = torch.from_numpy(np.isin(self.kind, of_family))
            if not chosen.any():
                continue
            kernels[chosen] = gaussian_kernels(
                family,
                width=self.width,
                size=size[chosen],
                sigma=sigma[chosen],
                angle=angle[chosen],
                beta=beta[chosen],
            )
        chosen = torch.from_numpy(self.kind == "sinc")
        kernels[chosen] = sinc_kernels(width=self.width, size=size[chosen], cutoff=cutoff[chosen])
        return kernels

    def apply(self, images: Tensor, border: Extension = "reflect") -> Tensor:
        """Blurs `(N, C, H, W)`, each image with its kernel."""
        return filter_each(images, self.kernels(), border)

    def describe(self, n: int) -> str:
        """The n-th blur in words."""
        kind = str(self.kind[n])
        if kind == "none":
            return kind
        if kind == "sinc":
            return f"sinc {self.cutoff[n] / np.pi:.2f} pi, {self.size[n]} px"
        text = f"{kind.replace('_', ' ')} {self.sigma[n, 0]:.1f}"
        if not _KINDS[kind][1]:
            text += f" x {self.sigma[n, 1]:.1f} @ {np.degrees(self.angle[n]):.0f}°"
        shape = "" if _KINDS[kind][0] == "gaussian" else f", beta {self.beta[n]:.1f}"
        return f"{text}{shape}, {self.size[n]} px"


def _check_sizes(sizes: Sequence[int]) -> None:
    check_range(sizes=sizes)
    if sizes[0] % 2 == 0 or sizes[1] % 2 == 0:
        raise ValueError(f"sizes must be odd, got {list(sizes)}.")


def _draw_sizes(sizes: Sequence[int], draws: Draws) -> NDArray[np.int64]:
    drawn: NDArray[np.int64] = sizes[0] + 2 * draws.below((sizes[1] - sizes[0]) // 2 + 1)
    return drawn


def filter_each(images: Tensor, kernels: Tensor, border: Extension = "reflect") -> Tensor:
    """Correlates each of `(N, C, H, W)` with its own kernel, in the size of the images; may return `images` themselves.

    A grouped convolution of images with kernels of like size: rings of weights that sum up to less than 1e-4, 0.03
    levels of 255, are left out, and so are kernels of which one pixel remains. For 16 x 3 x 256 x 256 and kernels of
    21x21 throughout it takes as long as an FFT; those of Real-ESRGAN are smaller, mostly.

    Args:
        images: float32, on any device.
        kernels: `(N, K, K)` float64 on the CPU, K odd.
        border: see `extend`.
    """
    kernels, reaches = _trim(kernels)
    # A CPU computes 16 channels at a time, and a smaller kernel in as much less time as it has fewer pixels.
    together = max(1, _LANES // images.shape[1])
    order = np.argsort(-reaches, kind="stable")
    order = order[reaches[order] > 0]
    if len(order) == 0:
        return images
    if len(order) <= together and len(order) > len(images) // 2:
        # A convolution of them all costs no more than one of some.
        return _filter(images, _crop(kernels, reaches.max()), border)
    filtered = list(images)
    for first in range(0, len(order), together):
        chosen = order[first : first + together]
        chunk = _filter(torch.stack([images[n] for n in chosen]), _crop(kernels[chosen], reaches[chosen[0]]), border)
        for n, image in zip(chosen, chunk, strict=True):
            filtered[n] = image
    return torch.stack(filtered)


def _trim(kernels: Tensor) -> tuple[Tensor, NDArray[np.int64]]:
    """Sets negligible outer rings to 0, and counts the pixels that each kernel then reaches from its middle, `(N,)`.

    In a kernel of its own size or among larger ones, an image then gets the same sum.
    """
    offsets = np.abs(np.arange(kernels.shape[-1]) - kernels.shape[-1] // 2)
    distance = np.maximum(offsets[:, None], offsets)
    beyond = distance.ravel()[:, None] >= np.arange(1, kernels.shape[-1] // 2 + 1)
    reaches = ((np.abs(kernels.numpy()).reshape(len(kernels), -1) @ beyond) > _NEGLIGIBLE).sum(1)
    trimmed = kernels * torch.from_numpy(distance <= reaches[:, None, None])
    return trimmed / trimmed.sum((-2, -1), keepdim=True), reaches


def _crop(kernels: Tensor, reach: int) -> Tensor:
    middle = kernels.shape[-1] // 2
    return kernels[:, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]


def _filter(images: Tensor, kernels: Tensor, border: Extension) -> Tensor:
    number, channels, height, width = images.shape
    reach = kernels.shape[-1] // 2
    if border == "reflect" and reach < min(height, width):
        padded = F.pad(images, (reach,) * 4, mode="reflect")
    else:
        padded = extend(images, reach, border)
    weight = kernels.to(images).repeat_interleave(channels, 0)[:, None]
    filtered = F.conv2d(padded.reshape(1, -1, *padded.shape[-2:]), weight, groups=number * channels)
    return filtered.view(images.shape)
