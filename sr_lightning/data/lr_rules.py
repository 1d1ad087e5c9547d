"""Where the LR images of a store come from: made from HR, or read from files."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch

from sr_lightning.data.image import Pixels, read_image
from sr_lightning.data.scan import DataError
from sr_lightning.data.sources import Sources, digest


class LrRule(Protocol):
    """Where the LR of one scale comes from."""

    @property
    def scale(self) -> int:
        """HR pixels per LR pixel."""

    @property
    def name(self) -> str:
        """File name in the store's folder, without suffix: another one whenever LR is another one."""

    def describe(self) -> str:
        """What it is, for people."""

    def make(self, hr: Pixels, source: int) -> Pixels:
        """Return LR `(H // scale, W // scale, C)` of the HR image `(H, W, C)` that was number `source` given."""


class Downscale(Protocol):
    """How stored LR is made from HR, under a name that is another one whenever the result is another one."""

    @property
    def name(self) -> str:
        """Kind and parameters in one line."""

    def downscale(self, image: torch.Tensor, /) -> torch.Tensor:
        """Map `(1, C, scale*H, scale*W)` to `(1, C, H, W)`, both uint8 or both uint16."""


@dataclass(frozen=True)
class MadeLr:
    """LR made from HR by a degradation."""

    scale: int
    degradation: Downscale

    @property
    def name(self) -> str:
        """See `LrRule`."""
        return f"lr_x{self.scale}_{hashlib.sha256(self.degradation.name.encode()).hexdigest()[:16]}"

    def describe(self) -> str:
        """See `LrRule`."""
        return self.degradation.name

    def make(self, hr: Pixels, source: int) -> Pixels:
        """See `LrRule`."""
        return _downscale(hr, self.scale, self.degradation)


def _downscale(hr: Pixels, scale: int, degradation: Downscale) -> Pixels:
    """LR `(H // scale, W // scale, C)` of HR `(H, W, C)`, of which what the scale does not divide is cut off.

    Raises:
        ValueError: the degradation's result has another size or type.
    """
    height, width, channels = hr.shape
    height, width = height // scale, width // scale
    image = torch.from_numpy(hr[: height * scale, : width * scale]).permute(2, 0, 1)[None].contiguous()
    lr = degradation.downscale(image)
    if lr.shape != (1, channels, height, width) or lr.dtype != image.dtype:
        raise ValueError(
            f"expected degradation {degradation.name} to give {image.dtype} of shape {(1, channels, height, width)} "
            f"for scale {scale}, got {lr.dtype} of {tuple(lr.shape)}; give it the same scale."
        )
    pixels: Pixels = lr[0].permute(1, 2, 0).contiguous().numpy()
    return pixels


@dataclass(frozen=True)
class ReadLr:
    """LR read from files, one for each HR file."""

    scale: int
    files: Sequence[Path]
    sources: Sources

    def __post_init__(self) -> None:
        if len(self.files) != len(self.sources.paths):
            raise DataError(
                f"expected an LR file for each of the {len(self.sources.paths)} HR files at scale {self.scale}, "
                f"got {len(self.files)}."
            )

    @cached_property
    def name(self) -> str:
        """See `LrRule`."""
        return f"lr_x{self.scale}_{digest([self.scale], [os.fspath(path.absolute()) for path in self.files])[:16]}"

    def describe(self) -> str:
        """See `LrRule`."""
        return f"files, the first {self.files[0]}"

    def make(self, hr: Pixels, source: int) -> Pixels:
        """See `LrRule`."""
        height, width = hr.shape[0] // self.scale, hr.shape[1] // self.scale
        lr = read_image(self.files[source], channels=self.sources.channels, dtype=hr.dtype)
        if lr.shape[:2] != (height, width):
            raise DataError(
                f"{self.files[source]} is no x{self.scale} LR of {self.sources.paths[source]}: expected "
                f"{width}x{height} pixels for HR of {hr.shape[1]}x{hr.shape[0]}, got {lr.shape[1]}x{lr.shape[0]}."
            )
        return lr


def lr_rules(
    scales: Sequence[int],
    degradation: Downscale | Mapping[int, Downscale] | None,
    *,
    lr_paths: Mapping[int, Sequence[Path]] | None,
    sources: Sources,
) -> list[LrRule]:
    """Where the LR of each scale comes from; the arguments are those of `Store.open_or_build`."""
    files = lr_paths or {}
    made = [scale for scale in scales if scale not in files]
    if not isinstance(degradation, Mapping):
        degradation = dict.fromkeys(made, degradation) if degradation is not None else {}
    missing = [scale for scale in made if scale not in degradation]
    if missing:
        raise ValueError(f"expected a degradation or LR files for scale {missing[0]}, got neither.")
    return [
        ReadLr(scale, files[scale], sources) if scale in files else MadeLr(scale, degradation[scale])
        for scale in sorted(set(scales))
    ]
