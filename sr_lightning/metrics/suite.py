"""The metrics that an image is scored by, those of them that can be had here."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.geometry import shave
from sr_lightning.metric_names import ALWAYS, METRICS
from sr_lightning.metrics.dists import Dists
from sr_lightning.metrics.lpips import Lpips
from sr_lightning.metrics.ms_ssim import ms_ssim
from sr_lightning.metrics.niqe import Niqe
from sr_lightning.metrics.protocol import Planes, Protocol, compared, presented
from sr_lightning.metrics.psnr import psnr
from sr_lightning.metrics.spectrum import log_spectral_distance
from sr_lightning.metrics.ssim import ssim


class Views(NamedTuple):
    """One image and its HR, as metrics look at them.

    Attributes:
        planes: What the protocol compares: Y or all channels, without the border; float64.
        sr: `(1, C, H, W)` in [0, 1] as a person would see it, with its border; float64.
        hr: The same of HR, as it came.
        border: Pixels that the protocol does not count on each side.
    """

    planes: Planes
    sr: Tensor
    hr: Tensor
    border: int


Measure = Callable[[Views], float]


class Scores(NamedTuple):
    """The values of one image by metric, and why others could not be computed."""

    values: dict[str, float]
    missing: dict[str, str]


@dataclass(frozen=True)
class Suite:
    """Metrics, and those that were asked for but cannot be had on this machine, with the reason.

    Attributes:
        measures: By name, in the order of tables. A ValueError says why it does not apply to an image.
        missing: Reasons by name.
    """

    measures: Mapping[str, Measure]
    missing: Mapping[str, str] = field(default_factory=dict)

    def score(self, sr: Tensor, hr: Tensor, *, protocol: Protocol, scale: int) -> Scores:
        """Compares one SR image with its HR; arguments as those of `protocol.score`.

        Raises:
            ValueError: The protocol does not fit the images, or they are too small for PSNR or SSIM. Other metrics that
                do not apply to an image are missing of it.
        """
        planes = compared(sr, hr, protocol=protocol, scale=scale)
        views = Views(planes, presented(sr.double(), protocol=protocol), hr, protocol.border_pixels(scale))
        found = Scores({}, {})
        for name, measure in self.measures.items():
            try:
                value = measure(views)
                if math.isnan(value):
                    raise ValueError(f"{METRICS[name].heading} is no number for this image.")
                found.values[name] = value
            except ValueError as error:
                if name in ALWAYS:
                    raise
                found.missing[name] = str(error)
        return found


def available(names: Sequence[str], *, device: torch.device | None = None) -> Suite:
    """The metrics of those names that can be had here.

    Args:
        names: Of `metric_names.METRICS`.
        device: Where networks and what needs seconds are computed; None for where the images are.
    """
    measures: dict[str, Measure] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            measures[name] = _MAKERS[name](device)
        except (FileNotFoundError, ValueError) as error:
            missing[name] = str(error)
    return Suite(measures, missing)


def _of_planes(metric: Callable[[Tensor, Tensor], Tensor]) -> Callable[[torch.device | None], Measure]:
    return lambda device: lambda views: metric(*views.planes).item()


def _of_pictures(metric: type[Lpips] | type[Dists]) -> Callable[[torch.device | None], Measure]:
    def make(device: torch.device | None) -> Measure:
        made = metric(device=device)
        return lambda views: made(views.sr, views.hr)

    return make


def _make_niqe(device: torch.device | None) -> Measure:
    metric = Niqe(device=device)

    def measure(views: Views) -> float:
        channels = views.sr.shape[1]
        if channels not in (1, 3):
            raise ValueError(f"NIQE knows photographs of 1 or 3 channels, got {channels}.")
        # A single channel is luma already.
        return metric(shave(views.sr if channels == 1 else rgb_to_y(views.sr), views.border))

    return measure


_MAKERS: Mapping[str, Callable[[torch.device | None], Measure]] = {
    "psnr": _of_planes(psnr),
    "ssim": _of_planes(ssim),
    "ms_ssim": _of_planes(ms_ssim),
    "lpips": _of_pictures(Lpips),
    "dists": _of_pictures(Dists),
    "niqe": _make_niqe,
    "lsd": _of_planes(log_spectral_distance),
}
