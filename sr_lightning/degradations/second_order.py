"""Real-ESRGAN's degradation: blur, resize, noise and JPEG, twice, with ringing by a sinc at the end."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.degradations.base import Parameters, check_call, check_scale, digest, up_to_multiple
from sr_lightning.degradations.blur import Blurs, RandomBlur, RandomSinc, filter_each
from sr_lightning.degradations.jpeg import RandomJpeg, compress
from sr_lightning.degradations.noise import Noises, RandomNoise, check_probability, check_range
from sr_lightning.degradations.usm import sharpen
from sr_lightning.functional.draws import Draws
from sr_lightning.functional.quantize import round_to_uint8_grid

_MODES = ("area", "bilinear", "bicubic")
Drawer = Callable[[str], Draws]


@dataclass(frozen=True, kw_only=True)
class RandomResize:
    """What the resize of an image is drawn from.

    Args:
        up: the weight of enlarging, by a factor uniform in 1 .. the highest.
        down: the weight of shrinking, by a factor uniform in the lowest .. 1.
        keep: the weight of leaving the size as it is.
        factor: lowest and highest factor, around 1.
        modes: some of area, bilinear and bicubic, each as likely; `F.interpolate`'s, without antialiasing, as
            published.

    Raises:
        ValueError: A negative weight, none above 0, factors not around 1, an unknown mode.
    """

    up: float
    down: float
    keep: float
    factor: Sequence[float]
    modes: Sequence[str]

    def __post_init__(self) -> None:
        weights = self.up, self.down, self.keep
        if min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"up, down and keep must be weights from 0 on, one of them above 0; got {weights}.")
        check_range(factor=self.factor)
        if not 0 < self.factor[0] <= 1 <= self.factor[1]:
            raise ValueError(f"factor must be [lowest, highest] around 1, got {list(self.factor)}.")
        check_modes(self.modes)

    def draw(self, draws: Draws) -> "tuple[NDArray[np.float64], NDArray[np.str_]]":
        """The factor and the mode of each sample of `draws`."""
        way = draws.choice((self.up, self.down, self.keep))
        up, down = draws.uniform(1.0, self.factor[1]), draws.uniform(self.factor[0], 1.0)
        factor = np.where(way == 0, up, np.where(way == 1, down, 1.0))
        return factor, draw_modes(self.modes, draws)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What one round does to each of N images; quality 0 is no JPEG."""

    blur: Blurs
    factor: NDArray[np.float64]
    mode: NDArray[np.str_]
    noise: Noises
    quality: NDArray[np.int64]

    def describe(self, n: int) -> Parameters:
        """The n-th image's in words."""
        return {
            "blur": self.blur.describe(n),
            "resize": f"{self.factor[n]:.2f} {self.mode[n]}",
            "noise": self.noise.describe(n),
            "jpeg": int(self.quality[n]) or "none",
        }


class Round:
    """One round of blur, resize, noise and JPEG.

    Args:
        blur: arguments of `RandomBlur`.
        resize: arguments of `RandomResize`.
        noise: arguments of `RandomNoise`.
        jpeg: arguments of `RandomJpeg`.

    Raises:
        ValueError: A value that one of these refuses.
        TypeError: An argument that one of these does not have.
    """

    def __init__(
        self,
        *,
        blur: Mapping[str, Any],
        resize: Mapping[str, Any],
        noise: Mapping[str, Any],
        jpeg: Mapping[str, Any],
    ) -> None:
        self.blur = RandomBlur(**blur)
        self.resize = RandomResize(**resize)
        self.noise = RandomNoise(**noise)
        self.jpeg = RandomJpeg(**jpeg)

    def draw(self, draws: Drawer, group: int) -> Drawn:
        """What the round does to each sample; `group` consecutive samples share their resize."""
        factor, mode = self.resize.draw(draws("resize").grouped(group))
        return Drawn(
            blur=self.blur.draw(draws("blur")),
            factor=factor,
            mode=mode,
            noise=self.noise.draw(draws("noise")),
            quality=self.jpeg.draw(draws("jpeg")),
        )


class SecondOrder:
    """Real-ESRGAN's second-order degradation (Wang et al., ICCVW 2021), with its published settings in the yaml.

    HR is blurred, resized, made noisy and compressed; then again; the second JPEG stands, as likely, before or after
    the resize to the size of LR and the final sinc. LR ends in 8-bit levels. All of it runs batched on the device of
    HR.

    What is drawn for a sample depends on (seed, sample number) alone. Images of one batch must have one size to be
    computed together, so that `group` consecutive sample numbers share the factors and modes of their resizes: a batch
    of 16 mixes four of each. The published code draws one for a whole batch and mixes batches in a pool of 180 pairs
    instead, whose content depends on all that came before.

    Beside that it differs from the published code in these points: each sample, not each batch, draws its kind of
    noise, whether the second blur happens, and where the second JPEG stands; JPEG has whole qualities and hard tables,
    as a file (see `jpeg`); resizes keep the image's corners in place, where factors that give no whole size shifted it
    by up to a pixel. The channels may be of any number; but for three, JPEG compresses each as a grey image.

    Args:
        scale: HR is so many times as large as LR.
        first: arguments of the first `Round`.
        second: of the second; its factor is relative to the size of LR.
        sinc: of the final sinc, arguments of `RandomSinc`.
        jpeg_last: the probability that the second JPEG comes after the final resize and sinc.
        final_modes: of the resize to the size of LR: some of area, bilinear and bicubic, each as likely.
        group: consecutive samples that share the factors and modes of their resizes. 1 mixes most and is slowest.
        margin: HR pixels around a patch that are degraded with it and cut off again, rounded up to a multiple of
            `scale`. What lies outside reaches in by 10 pixels of the first blur and at x4 by up to 40 of the second
            blur and of the final sinc, whose weight lies in the inner half, mostly. The published code has 72 (400
            pixels around a patch of 256), which costs half as much again.
        usm: whether HR is sharpened first and the network is to reach the sharpened HR, as published; see `target`.

    Raises:
        ValueError: A value out of its range.
        TypeError: An argument that a round or the sinc does not have.
    """

    stored = False

    def __init__(
        self,
        *,
        scale: int,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        sinc: Mapping[str, Any],
        jpeg_last: float = 0.5,
        final_modes: Sequence[str] = _MODES,
        group: int = 4,
        margin: int = 32,
        usm: bool = False,
    ) -> None:
        check_scale(scale)
        check_probability(jpeg_last=jpeg_last)
        if group < 1 or margin < 0:
            raise ValueError(f"group must be at least 1 and margin at least 0, got {group} and {margin}.")
        self.scale = scale
        self.margin = up_to_multiple(margin, scale)
        self.group = group
        self.usm = usm
        self.jpeg_last = jpeg_last
        self.first = Round(**first)
        self.second = Round(**second)
        self.sinc = RandomSinc(**sinc)
        self.modes = tuple(final_modes)
        check_modes(self.modes)

    @property
    def name(self) -> str:
        """Kind, scale and whether HR is sharpened; the digits at the end stand for all parameters."""
        rounds = [vars(self.first), vars(self.second)]
        everything = digest(rounds, self.sinc, self.jpeg_last, self.modes, self.group, self.margin, self.usm)
        return f"second_order_x{self.scale}{'_usm' if self.usm else ''}_{everything}"

    def target(self, hr: Tensor) -> Tensor:
        """HR, or sharpened HR where `usm`.

        Only content losses want that: published discriminators see HR itself.
        """
        return sharpen(hr) if self.usm else hr

    def parameters(self, *, samples: Sequence[int], seed: int) -> list[Parameters]:
        """Both rounds, the final resize and sinc and their order, for each sample."""
        draws = partial(self._draws, samples, seed)
        first, second = self.first.draw(draws("first"), self.group), self.second.draw(draws("second"), self.group)
        modes, sinc, jpeg_last = self._draw_end(draws("end"))
        return [
            first.describe(n)
            | {f"{key} 2": value for key, value in second.describe(n).items()}
            | {
                "final resize": str(modes[n]),
                "final sinc": sinc.describe(n),
                "order": "resize, sinc, jpeg" if jpeg_last[n] else "jpeg, resize, sinc",
            }
            for n in range(len(samples))
        ]

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """LR in 8-bit levels; see `Degradation.__call__`."""
        check_call(hr, samples, self.scale)
        draws = partial(self._draws, samples, seed)
        first, second = self.first.draw(draws("first"), self.group), self.second.draw(draws("second"), self.group)
        modes, sinc, jpeg_last = self._draw_end(draws("end"))
        shape = hr.shape[-2] // self.scale, hr.shape[-1] // self.scale
        target = self.target(hr)
        kernels = first.blur.kernels(), second.blur.kernels(), sinc.kernels()
        numbers = np.asarray(samples, np.int64)

        def degrade(members: NDArray[np.int64]) -> Tensor:
            head = members[0]  # whose resizes are those of all
            pixels = partial(self._draws, numbers[members].tolist(), seed)
            images = filter_each(_pick(target, members), kernels[0][members])
            images = _resize(images, _scaled(hr.shape[-2:], first.factor[head]), first.mode[head])
            images = first.noise.take(members).add(images, pixels("first")("pixels"))
            images = compress(images, first.quality[members])
            images = filter_each(images, kernels[1][members])
            images = _resize(images, _scaled(shape, second.factor[head]), second.mode[head])
            images = second.noise.take(members).add(images, pixels("second")("pixels"))
            images = compress(images, np.where(jpeg_last, 0, second.quality)[members])
            images = filter_each(_resize(images, shape, modes[head]), kernels[2][members])
            images = compress(images, np.where(jpeg_last, second.quality, 0)[members])
            return round_to_uint8_grid(images)

        groups = [np.flatnonzero(numbers // self.group == group) for group in np.unique(numbers // self.group)]
        # The largest images first, so that no thread is left with them at the end.
        groups.sort(key=lambda members: -first.factor[members[0]])
        lr = hr.new_empty((*hr.shape[:2], *shape))
        for members, images in zip(groups, _map(degrade, groups, hr.device), strict=True):
            for n, image in zip(members, images, strict=True):
                lr[n] = image
        return lr

    def _draw_end(self, draws: Drawer) -> "tuple[NDArray[np.str_], Blurs, NDArray[np.bool_]]":
        """The mode of the final resize, the final sinc, and whether the second JPEG comes after both."""
        modes = draw_modes(self.modes, draws("resize").grouped(self.group))
        return modes, self.sinc.draw(draws("sinc")), draws("order").chance(self.jpeg_last)

    @staticmethod
    def _draws(samples: Sequence[int], seed: int, part: str) -> Drawer:
        return lambda purpose: Draws(samples, seed=seed, purpose=f"second_order {part} {purpose}")


def check_modes(modes: Sequence[str]) -> None:
    """Raises ValueError unless these are some of the resize modes."""
    if not modes or not set(modes) <= set(_MODES):
        raise ValueError(f"modes must be some of {', '.join(_MODES)}; got {list(modes)}.")


def draw_modes(modes: Sequence[str], draws: Draws) -> NDArray[np.str_]:
    """One of the modes for each sample of `draws`, each as likely."""
    chosen: NDArray[np.str_] = np.array(modes)[draws.below(len(modes))]
    return chosen


def _scaled(shape: Sequence[int], factor: float) -> tuple[int, int]:
    """Sides times the factor, rounded down as by `F.interpolate`, of one pixel at least."""
    return max(int(shape[0] * factor), 1), max(int(shape[1] * factor), 1)


def _map(
    function: Callable[[NDArray[np.int64]], Tensor], groups: Sequence[NDArray[np.int64]], device: torch.device
) -> list[Tensor]:
    """Calls the function for each group; on a CPU each of torch's threads takes a group at a time.

    An operation on images this small is over before its threads have met, and where another process has one of the
    cores, they wait for it hundreds of times: on two cores groups in threads take 0.7 of the time.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or min(threads, len(groups)) <= 1:
        return [function(members) for members in groups]
    # The number of threads is each thread's own, and what a new thread begins with is the last number set.
    try:
        with ThreadPoolExecutor(min(threads, len(groups)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, groups))
    finally:
        torch.set_num_threads(threads)


def _pick(images: Tensor, members: NDArray[np.int64]) -> Tensor:
    """Some of the images, without a copy where they lie side by side."""
    first, last = members[0], members[-1] + 1
    if last - first == len(members):
        return images[first:last]
    return torch.stack([images[n] for n in members])


def _resize(images: Tensor, shape: tuple[int, int], mode: str) -> Tensor:
    if tuple(images.shape[-2:]) == shape:
        return images
    return F.interpolate(images, size=shape, mode=mode)
