"""Building a store: resumable after any kill, in parallel, by one process at a time."""

import contextlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.bands import Bands, choose_band
from sr_lightning.data.filling import JOURNAL, check_space, fill, synchronise
from sr_lightning.data.fingerprint import WORDS, fingerprint
from sr_lightning.data.image import Pixels, read_image, resize_to_square
from sr_lightning.data.lr_rules import LrRule
from sr_lightning.data.memory import available_memory
from sr_lightning.data.scan import DataError
from sr_lightning.data.sources import VERSION, Plan, Sources, lengths, plan
from sr_lightning.report.files import write_atomically

INFO, INDEX, NAMES, HASHES, HR = "info.json", "index.npy", "names.bin", "hashes.npy", "hr.bin"
_BUILDING = ".building"
_ENTRY = np.dtype([("start", "<i8"), ("height", "<i4"), ("width", "<i4"), ("name_end", "<i8"), ("source", "<i4")])
# Seconds between two looks at what another builder has done.
_LOOK_EVERY = 1.0

Progress = Callable[[int, int], None]
_logger = logging.getLogger(__name__)


def build(
    sources: Sources,
    rules: Sequence[LrRule],
    *,
    cache_dir: Path,
    max_skipped: float,
    progress: Progress | None,
) -> Path:
    """Make what is missing of a store and return its folder; the arguments are those of `Store.open_or_build`.

    Built in `<key>.building`, under a lock that the system releases when its holder dies, synchronised to the
    disk and then renamed: a build that was killed is never mistaken for a store, and goes on where it stood.
    """
    folder = cache_dir / sources.key
    if _hr_is_whole(folder) and all(_lr_is_whole(folder, rule) for rule in rules):
        return folder
    cache_dir.mkdir(parents=True, exist_ok=True)
    report = _Report(progress, len(sources.paths), 1 + len(rules))
    lock = filelock.FileLock(f"{folder}.lock")
    _wait_for(lock, _building(folder), report)
    try:
        if not _hr_is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)  # it is there if somebody deleted or cut a file in it
            scales = [rule.scale for rule in rules]
            _build_hr(folder, sources, scales=scales, max_skipped=max_skipped, report=report)
        for number, rule in enumerate(rules, start=1):
            if not _lr_is_whole(folder, rule):
                _build_lr(folder, rule, report=partial(report, part=number))
    finally:
        lock.release()
    return folder


@dataclass
class _Report:
    """Calls `progress` with steps out of images x parts: HR is one part, LR of each scale another."""

    progress: Progress | None
    images: int
    parts: int

    def __call__(self, done: int, *, part: int = 0) -> None:
        if self.progress is not None:
            self.progress(part * self.images + done, self.parts * self.images)


def _wait_for(lock: filelock.BaseFileLock, building: Path, report: _Report) -> None:
    """Acquire the lock, telling meanwhile how far its holder is."""
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        _logger.warning("another process is building the store %s: waiting for it.", building.with_suffix(""))
    while not lock.is_locked:
        with contextlib.suppress(filelock.Timeout):
            lock.acquire(timeout=_LOOK_EVERY)
        with contextlib.suppress(FileNotFoundError):
            report((building / HR).with_suffix(JOURNAL).read_bytes().count(b"\n"))


def check_skipped(skipped: Sequence[tuple[str | Path, str]], *, of: int, max_skipped: float) -> None:
    """Raise DataError if more than the share `max_skipped` of the `of` images is left out, or all are."""
    if len(skipped) == of:
        raise nothing_left(skipped)
    if len(skipped) > max_skipped * of:
        raise DataError(
            f"{len(skipped)} of {of} images cannot be used ({_first(skipped)}), more than the share "
            f"data.max_skipped={max_skipped:g} allows; repair or remove them, use smaller patches, or allow more."
        )


def nothing_left(skipped: Sequence[tuple[str | Path, str]]) -> DataError:
    """The error for a store without images."""
    return DataError(f"none of the {len(skipped)} images can be used ({_first(skipped)}).")


def _first(skipped: Sequence[tuple[str | Path, str]]) -> str:
    # Most reasons name their file already, as they may stand alone.
    texts = [reason.rstrip(".") if str(path) in reason else f"{path}: {reason}" for path, reason in skipped[:3]]
    return "; ".join(texts) + ("; ..." if len(skipped) > 3 else "")


def too_small(height: int, width: int, min_side: int) -> str:
    """The reason why an image of this size was left out."""
    return f"{width}x{height} pixels is too small, expected at least {min_side}x{min_side}"


def _build_hr(
    folder: Path, sources: Sources, *, scales: Sequence[int], max_skipped: float, report: Callable[[int], None]
) -> None:
    planned = plan(sources)
    unreadable = [(p, h) for p, h in zip(sources.absolute, planned.headers, strict=True) if isinstance(h, str)]
    check_skipped(unreadable, of=len(sources.paths), max_skipped=max_skipped)
    building = _building(folder)
    building.mkdir(exist_ok=True)
    check_space(building / HR, planned.bytes(scales))
    decode = Decode(sources, planned)
    band = _band(building, planned.bytes(scales))
    every_length = lengths(planned.sizes, planned.bytes_per_pixel)
    entries = fill(building / HR, decode, lengths=every_length, band=band, report=report)
    skipped = [(path, e["skipped"]) for path, e in zip(sources.absolute, entries, strict=True) if "skipped" in e]
    try:
        check_skipped(skipped, of=len(sources.paths), max_skipped=max_skipped)
    except DataError:
        # Kept for a larger share: files that are repaired make another key. A disk that failed may be well again.
        if any("disk" in entry for entry in entries):
            shutil.rmtree(building)
        raise
    _write_index(building, sources, planned, entries=entries, skipped=skipped, band=band)
    building.replace(folder)
    synchronise(folder.parent)
    (folder / HR).with_suffix(JOURNAL).unlink()


@dataclass(frozen=True)
class Decode:
    """Decodes image n of some sources."""

    sources: Sources
    plan: Plan

    def __call__(self, number: int, /) -> tuple[dict[str, Any], Pixels | None]:
        """See `Make`: size, mode, bits and hash, or why the image is left out."""
        header, path = self.plan.headers[number], self.path(number)
        if isinstance(header, str):
            return {"skipped": header}, None
        try:
            image = read_image(path, channels=self.sources.channels, dtype=self.plan.dtype)
            if self.sources.resize is not None:
                image = resize_to_square(image, self.sources.resize)
            if image.shape[0] * image.shape[1] != self.plan.sizes[number].prod():
                raise DataError(f"{path} was changed while the store was built.")
        except DataError as error:
            # Only the system's errors have a number, not what decoders say of a damaged file.
            cause = error.__cause__
            failed = isinstance(cause, OSError) and cause.errno is not None
            return {"skipped": str(error)} | ({"disk": True} if failed else {}), None
        hashed = fingerprint(image).tobytes().hex()
        return {"size": image.shape[:2], "mode": header.mode, "bits": header.bits, "hash": hashed}, image

    def path(self, number: int) -> Path:
        """The file of image n."""
        return Path(self.sources.absolute[number])


def _write_index(
    building: Path,
    sources: Sources,
    planned: Plan,
    *,
    entries: Sequence[dict[str, Any]],
    skipped: list[tuple[str, str]],
    band: int,
) -> None:
    kept = [(number, entry) for number, entry in enumerate(entries) if "size" in entry]
    numbers = [number for number, _ in kept]
    names = [os.fsencode(os.path.relpath(sources.absolute[number], sources.root)) for number in numbers]
    every_length = lengths(planned.sizes, planned.bytes_per_pixel)
    index = np.empty(len(kept), _ENTRY)
    index["start"] = (np.cumsum(every_length) - every_length)[numbers] // planned.dtype.itemsize
    index["height"], index["width"] = np.array([entry["size"] for _, entry in kept]).T
    index["name_end"] = np.cumsum([len(name) for name in names])
    index["source"] = numbers
    hashes = np.frombuffer(bytes.fromhex("".join(entry["hash"] for _, entry in kept)), np.uint64).reshape(-1, WORDS)
    np.save(building / INDEX, index)
    np.save(building / HASHES, hashes)
    (building / NAMES).write_bytes(b"".join(names))
    deep = sum(entry["bits"] == 16 for _, entry in kept)
    info = {
        "version": VERSION,
        "root": sources.root,
        "images": len(kept),
        "channels": sources.channels,
        "resize": sources.resize,
        "dtype": planned.dtype.name,
        "band": band,
        "modes": Counter(entry["mode"] for _, entry in kept),
        "bits": Counter(str(entry["bits"]) for _, entry in kept),
        # One store has one type: where some images have 16 bits, the values of all others are times 257.
        "widened": len(kept) - deep if planned.dtype == np.uint16 else 0,
        "skipped": skipped,
        "bytes": {name: (building / name).stat().st_size for name in (HR, INDEX, NAMES, HASHES)},
    }
    (building / INFO).write_text(json.dumps(info, indent=1), encoding="utf-8")
    for name in (INDEX, NAMES, HASHES, INFO, ""):
        synchronise(building / name)


def _hr_is_whole(folder: Path) -> bool:
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in info["bytes"].items())
    except (OSError, ValueError):
        return False


def _lr_is_whole(folder: Path, rule: LrRule) -> bool:
    try:
        info = json.loads((folder / f"{rule.name}.json").read_text(encoding="utf-8"))
        return bool((folder / f"{rule.name}.bin").stat().st_size == info["bytes"])
    except (OSError, ValueError):
        return False


def _build_lr(folder: Path, rule: LrRule, *, report: Callable[[int], None]) -> None:
    make = _MakeLr(folder, rule)
    every_length = lengths(make.sizes // rule.scale, make.dtype.itemsize * make.channels)
    building = folder / f"{rule.name}{_BUILDING}"
    check_space(building, int(every_length.sum()))
    fill(building, make, lengths=every_length, band=make.band, report=report)
    text = json.dumps({"scale": rule.scale, "rule": rule.describe(), "bytes": int(every_length.sum())}, indent=1)
    (folder / f"{rule.name}.json").write_text(text, encoding="utf-8")
    synchronise(folder / f"{rule.name}.json")
    building.replace(folder / f"{rule.name}.bin")
    synchronise(folder)
    building.with_suffix(JOURNAL).unlink()


class _MakeLr:
    """Makes LR of image n from the mapped HR, as `Make` says."""

    def __init__(self, folder: Path, rule: LrRule) -> None:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        self.folder = folder
        self.rule = rule
        self.dtype = np.dtype(info["dtype"])
        self.channels: int = info["channels"]
        self.band: int = info["band"]
        self.index = np.load(folder / INDEX)
        self.sizes = sizes_of(self.index)

    @cached_property
    def hr(self) -> Bands:
        """Mapped when the first image is asked for: in each process for itself."""
        starts = self.index["start"]
        return Bands(
            self.folder / HR, self.dtype, starts=starts, sizes=self.sizes, channels=self.channels, band=self.band
        )

    def __call__(self, number: int, /) -> tuple[dict[str, Any], Pixels | None]:
        if self.sizes[number].min() < self.rule.scale:  # there is no LR pixel
            return {}, None
        return {}, self.rule.make(self.hr.whole(number), int(self.index["source"][number]))


def _band(building: Path, needed: int) -> int:
    """Return the width of the bands of a store, which stays when its building goes on."""
    kept = building / "band"
    if not kept.exists():
        write_atomically(kept, str(choose_band(needed, available=available_memory())))
    return int(kept.read_text(encoding="ascii"))


def sizes_of(index: NDArray[Any]) -> NDArray[np.int64]:
    """Height and width `(N, 2)` of the images of an index."""
    return np.stack([index["height"], index["width"]], axis=1).astype(np.int64)


def _building(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_BUILDING}")
