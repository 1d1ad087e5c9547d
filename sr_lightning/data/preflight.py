"""What is worth knowing before a run: of its images, its settings and its speed. Says what would corrupt the result."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.fingerprint import SAME, is_flat, repeated
from sr_lightning.data.overlap import Overlap, describe_overlaps
from sr_lightning.data.sets import Count
from sr_lightning.report.duration import duration
from sr_lightning.report.files import write_atomically

Verdict = Literal["ok", "note", "stop"]
# Share of a step that the loader may cost without a word.
_CHEAP = 0.02
# Share of the device's time from which on preparing batches is worth a word.
_DEAR = 0.2


class Images(Protocol):
    """What is asked of a store."""

    names: Sequence[str]
    channels: int
    dtype: Any
    min_side: int
    scales: tuple[int, ...]
    sizes: NDArray[np.int64]

    @property
    def skipped(self) -> list[tuple[Path, str]]:
        """Path and reason of each image that was left out."""

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Perceptual hash of each image."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What there is to say about a set of images.

    Attributes:
        images: how many.
        short_sides: shorter side of each image in pixels, ascending.
        long_sides: the longer ones, ascending.
        channels: of each image as it is stored.
        bits: 8 or 16, of each channel as it is stored.
        modes: number of source files of each mode (`RGB`, `L`, ...); empty where it is not known.
        skipped: path and reason of each image that was left out.
        repeated: name of an image and that of an earlier one that it repeats.
        flat: names of images without any content.
        bytes: size of the decoded images, HR and stored LR.
    """

    images: int
    short_sides: NDArray[np.int64]
    long_sides: NDArray[np.int64]
    channels: int
    bits: int
    modes: Mapping[str, int]
    skipped: Sequence[tuple[Path, str]]
    repeated: Sequence[tuple[str, str]]
    flat: Sequence[str]
    bytes: int


def gather_facts(images: Images, *, folder: Path | None) -> Facts:
    """Collect the facts about a store; comparing its images with each other happens once and is kept.

    Of 85,000 images that takes some twenty seconds, so it belongs to packing; afterwards milliseconds.

    Args:
        images: a store.
        folder: the store's folder, where the comparison is kept; None where there is none.
    """
    height, width = images.sizes.T
    pixels = int((height * width).sum())
    info = _read(folder / "info.json") if folder is not None else None
    indices = _compare(images, folder)
    names = images.names
    return Facts(
        images=len(images.sizes),
        short_sides=np.sort(np.minimum(height, width)),
        long_sides=np.sort(np.maximum(height, width)),
        channels=images.channels,
        bits=8 * np.dtype(images.dtype).itemsize,
        modes=info["modes"] if info is not None else {},
        skipped=images.skipped,
        repeated=[(names[later], names[earlier]) for earlier, later in indices["repeated"]],
        flat=[names[index] for index in indices["flat"]],
        bytes=round(
            pixels * images.channels * np.dtype(images.dtype).itemsize * (1 + sum(s**-2 for s in images.scales))
        ),
    )


@dataclass(frozen=True)
class Speed:
    """Speeds that were measured, in samples per second, each alone.

    Attributes:
        loader: of the loader, with its workers.
        preparing: of what is done to a batch on the device before training: flips, degradation, augmentation.
        training: of training when batches are ready.
        num_workers: processes of the loader; 0 loads in the training process, between two steps.
        cores: of this machine.
    """

    loader: float
    preparing: float
    training: float
    num_workers: int
    cores: int

    @property
    def together(self) -> float:
        """What a run does: all one after the other; with workers the loader beside the rest, the slower counts."""
        if self.num_workers == 0:
            return 1 / (1 / self.loader + 1 / self.fed)
        return min(self.loader, self.fed)

    @property
    def fed(self) -> float:
        """What a run would do whose loader takes no time."""
        return 1 / (1 / self.preparing + 1 / self.training)

    @property
    def cost(self) -> float:
        """Share of the time in which the device waits for the loader, in [0, 1)."""
        return 1 - self.together / self.fed

    @property
    def preparation(self) -> float:
        """Share of the device's time that goes into preparing batches, in [0, 1)."""
        return self.fed / self.preparing


@dataclass(frozen=True)
class Memory:
    """A place that decoded images are to lie in.

    Attributes:
        place: `memory` or the accelerator's name.
        needed: bytes of the images.
        available: bytes that are free.
        required: whether all have to fit; False for mapped files, which are then read from disk again and again.
    """

    place: str
    needed: int
    available: int
    required: bool


class Row(NamedTuple):
    """One line of the table: what was looked at, what was found, what it means, and what to do where it is not ok."""

    name: str
    value: str
    verdict: Verdict = "ok"
    advice: str = ""


@dataclass(frozen=True)
class Preflight:
    """What was found, as rows of a table."""

    rows: tuple[Row, ...]

    @property
    def problems(self) -> list[str]:
        """The rows that forbid to train, each as a line of its own."""
        return [f"{row.name}: {row.value}. {row.advice}" for row in self.rows if row.verdict == "stop"]


def preflight(
    train: Mapping[str, Facts],
    val: Facts,
    *,
    hr_patch: int | None,
    degradations: tuple[str, str],
    overlaps: Sequence[Overlap],
    evaluated: int,
    allow_overlap: bool,
    samples: int,
    speed: Speed | None,
    memory: Sequence[Memory],
    counts: Sequence[Count] = (),
    prepare: str = "",
) -> Preflight:
    """Judge a run before its first step.

    Args:
        train: facts of each training set, by name.
        val: facts of the validation images.
        hr_patch: side of the training patch in HR pixels; None where images are taken whole or resized.
        degradations: names of the degradation of training and that of validation.
        overlaps: training images that are evaluated.
        evaluated: number of evaluated images that training was compared with.
        allow_overlap: whether the user trains all the same.
        samples: that remain to be trained on: steps times batch size.
        speed: None where it was not measured.
        memory: where the decoded training images are to lie.
        counts: how much of each set to train, validate or evaluate on is there.
        prepare: the command that fetches what is missing of them.
    """
    rows = [_incomplete(each, prepare=prepare) for each in counts if each.is_incomplete]
    for name, facts in train.items():
        rows += _training_rows(facts, of="" if len(train) == 1 else f" of {name}", hr_patch=hr_patch)
    rows += [
        Row("validation images", _sizes(val)),
        _depth(train, val),
        _degradation(*degradations),
        _overlap(overlaps, evaluated=evaluated, allowed=allow_overlap),
        *(_memory(each) for each in memory),
    ]
    if speed is not None:
        rows += [
            _loader(speed),
            _preparation(speed, degradations[0]),
            Row("time to go", f"{duration(samples / speed.together)}, validation not counted"),
        ]
    return Preflight(tuple(rows))


def _compare(images: Images, folder: Path | None) -> dict[str, Any]:
    kept = None if folder is None else folder / f"repeated_{images.min_side}_{SAME}.json"
    found: dict[str, Any] | None = None if kept is None else _read(kept)
    if found is None:
        hashes = images.hashes
        found = {
            "repeated": [(earlier, later) for earlier, later, _ in repeated(hashes)],
            "flat": np.flatnonzero(is_flat(hashes)).tolist(),
        }
        if kept is not None:
            write_atomically(kept, json.dumps(found))
    return found


def _training_rows(facts: Facts, *, of: str, hr_patch: int | None) -> list[Row]:
    rows = [Row(f"training images{of}", _sizes(facts))]
    if hr_patch is not None:
        small = int(np.searchsorted(facts.short_sides, hr_patch))
        if small:
            advice = (
                f"Use a smaller patch (data.hr_patch) or other images: the smallest side is {facts.short_sides[0]}."
            )
            rows.append(Row(f"smaller than a patch{of}", f"{small} below {hr_patch} px", "stop", advice))
    if facts.skipped:
        path, reason = facts.skipped[0]
        rows.append(
            Row(f"left out{of}", str(len(facts.skipped)), "note", f"{path.name}: {reason}" + _others(facts.skipped))
        )
    if facts.repeated:
        later, earlier = facts.repeated[0]
        advice = f"{later} shows what {earlier} shows{_others(facts.repeated)}; seen the more often in training."
        rows.append(Row(f"repeated{of}", str(len(facts.repeated)), "note", advice))
    if facts.flat:
        advice = (
            f"{facts.flat[0]}{_others(facts.flat)}: nothing can be learnt from one colour; data.exclude leaves it out."
        )
        rows.append(Row(f"flat{of}", f"{len(facts.flat)} ({len(facts.flat) / facts.images:.1%})", "note", advice))
    return rows


def _sizes(facts: Facts) -> str:
    short, long = facts.short_sides, facts.long_sides
    sides = f"{long[0]}x{short[0]}"
    if (long[0], short[0]) != (long[-1], short[-1]):
        middle = (len(short) - 1) // 2
        sides = f"sides from {short[0]} to {long[-1]} px, median {long[middle]}x{short[middle]}"
    modes = ", ".join(f"{count} {mode}" for mode, count in Counter(facts.modes).most_common())
    # RGB alone is what everybody expects.
    return f"{facts.images}, {sides}" + (f"; files: {modes}" if set(facts.modes) - {"RGB"} else "")


def _others(entries: Sequence[object]) -> str:
    return f" and {len(entries) - 1} more" if len(entries) > 1 else ""


def _depth(train: Mapping[str, Facts], val: Facts) -> Row:
    kinds = {name: (facts.bits, facts.channels) for name, facts in train.items()} | {
        "validation": (val.bits, val.channels)
    }
    different = dict.fromkeys(kinds.values())
    value = ", ".join(f"{bits} bits, {channels} channel{'s' * (channels > 1)}" for bits, channels in different)
    listed = "; ".join(f"{name}: {bits} bits, {channels} channels" for name, (bits, channels) in kinds.items())
    if len({channels for _, channels in different}) > 1:
        return Row("depth and channels", listed, "stop", "Give training and validation images of as many channels.")
    if len(different) > 1:
        advice = "The images of 8 bits have steps that those of 16 bits do not have."
        return Row("depth and channels", listed, "note", advice)
    return Row("depth and channels", value)


def _degradation(train: str, val: str) -> Row:
    if train == val:
        return Row("degradation", train)
    advice = "Validation, which chooses `best`, measures another degradation than the one that is trained."
    return Row("degradation", f"training {train}, validation {val}", "note", advice)


def _overlap(overlaps: Sequence[Overlap], *, evaluated: int, allowed: bool) -> Row:
    if not overlaps:
        return Row("overlap", f"none of {evaluated} evaluated images is trained on")
    number = len({(overlap.evaluated_set, overlap.evaluated_image) for overlap in overlaps})
    value = f"{number} of {evaluated} evaluated images are trained on"
    return Row("overlap", value, "note" if allowed else "stop", describe_overlaps(overlaps))


def _incomplete(count: Count, *, prepare: str) -> Row:
    advice = "What is there is used as it is"
    advice += f"; `{prepare}` completes it." if count.fetched and prepare else "; put the others there too."
    return Row(f"incomplete {count.name}", f"{count.found} of {count.expected} images", "note", advice)


def _memory(memory: Memory) -> Row:
    value = f"images take {_gigabytes(memory.needed)}, {_gigabytes(memory.available)} are free"
    if memory.needed <= memory.available:
        return Row(memory.place, value)
    if memory.required:
        advice = "The images do not fit: use data.store=disk and data.device_cache=false."
        return Row(memory.place, value, "stop", advice)
    advice = "Patches will be read from disk again and again: keep paths.cache on a local SSD, raise data.num_workers."
    return Row(memory.place, value, "note", advice)


def _loader(speed: Speed) -> Row:
    value = f"{speed.loader:,.0f} samples/s, the device takes {speed.fed:,.0f}; costs {speed.cost:.1%} of the time"
    if speed.cost <= _CHEAP:
        return Row("loader", value)
    # Half as fast again as needed: workers share the cores with training.
    wanted = math.ceil(1.5 * speed.fed / (speed.loader / max(speed.num_workers, 1)))
    if wanted <= max(speed.num_workers, speed.cores):
        return Row("loader", value, "note", f"Raise data.num_workers from {speed.num_workers} to {wanted}.")
    advice = f"{wanted} workers would be needed, on {speed.cores} cores: data.device_cache=true needs none."
    return Row("loader", value, "note", advice)


def _preparation(speed: Speed, degradation: str) -> Row:
    value = (
        f"{speed.preparing:,.0f} samples/s, training {speed.training:,.0f}; takes {speed.preparation:.1%} of the "
        "device's time"
    )
    if speed.preparation <= _DEAR:
        return Row("flips and degradation", value)
    advice = (
        f"{degradation} and what augment= adds are computed on the device, so that workers or a cache do not help; a "
        "simpler degradation does, or a larger network makes it matter less."
    )
    return Row("flips and degradation", value, "note", advice)


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
