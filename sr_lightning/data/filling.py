"""Writing many images to one file, in parallel, so that another process can go on where a killed one stood."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from sr_lightning.data.bands import split
from sr_lightning.data.image import Pixels
from sr_lightning.data.scan import DataError

JOURNAL = ".journal"
# Seconds of work that a kill may cost. Each record waits for the disk.
RECORD_EVERY = 2.0
# With less to write, starting processes takes longer than they save.
_LITTLE = 64_000_000

_Item = TypeVar("_Item")


class Make(Protocol):
    """Makes image n of a file; to be pickled where processes do not fork."""

    def __call__(self, number: int, /) -> tuple[dict[str, Any], Pixels | None]:
        """Return what the journal is to say of the image, and its pixels `(H, W, C)` if there are any.

        Raises:
            DataError: nothing can be made of this file.
        """


def fill(
    path: Path, make: Make, *, lengths: NDArray[np.int64], band: int, report: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Write images one after another, beginning with the first that the file's journal does not have.

    The images are made by several processes, not threads (kornia-rs keeps Python's lock while it decodes), and written
    by them to places that are known beforehand. The journal gets an image's line once its pixels are on the disk:
    neither a kill nor a loss of power leaves a line without its image.

    Args:
        path: the file; its journal lies beside it.
        make: makes image n.
        lengths: bytes of each image.
        band: width in pixels of the bands that images are written in; of a file that is gone on with, the same.
        report: called with the number of images done.

    Returns:
        What `make` said of each image.

    Raises:
        DataError: from `make`.
    """
    starts, length = np.cumsum(lengths) - lengths, int(lengths.sum())
    journal = path.with_suffix(JOURNAL)
    path.touch()
    entries = _recorded(journal) if path.stat().st_size == length else []
    os.truncate(path, length)
    writing = _Writing(make, path=path, starts=starts, band=band)
    workers = _processes() if length - starts[len(entries) : len(entries) + 1].sum() > _LITTLE else 0
    pending: list[str] = []
    with path.open("rb") as pixels, journal.open("w" if not entries else "a", encoding="ascii") as log:

        def record() -> None:
            os.fsync(pixels.fileno())
            log.write("".join(pending))
            log.flush()
            os.fsync(log.fileno())
            pending.clear()

        last = time.monotonic()
        try:
            for entry in _in_order(writing, range(len(entries), len(lengths)), workers=workers):
                if "error" in entry:
                    raise DataError(entry["error"])
                entries.append(entry)
                pending.append(json.dumps(entry) + "\n")
                if time.monotonic() - last > RECORD_EVERY:
                    record()
                    last = time.monotonic()
                report(len(entries))
        finally:
            record()
    return entries


def check_space(path: Path, needed: int) -> None:
    """Raise DataError if the disk cannot take `needed` bytes in this file, of which some may be there already."""
    there = path.stat().st_blocks * 512 if path.exists() else 0
    free = shutil.disk_usage(path.parent).free
    if needed - there > free:
        raise DataError(
            f"the store needs {(needed - there) / 1e9:.3g} GB in {path.parent}, which has {free / 1e9:.3g} GB free; "
            "make room, choose another folder (paths.cache), or set data.store=off to decode images while training."
        )


def synchronise(path: Path) -> None:
    """Have the system write a file, or the list of a folder's files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def map_in_order(function: Callable[[_Item], Any], items: Sequence[_Item], *, at_once: int) -> list[Any]:
    """Apply a quick function to many items, by several processes if there are more than a few thousand."""
    chunks = _Chunks(function, items, at_once)
    results = _in_order(chunks, range(-(-len(items) // at_once)), workers=_processes() if len(items) > 4000 else 0)
    return [result for chunk in results for result in chunk]


def _recorded(journal: Path) -> list[dict[str, Any]]:
    """Entries of a journal, from which a line that was being written is cut off."""
    journal.touch()
    whole = journal.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    os.truncate(journal, len(whole))
    return [json.loads(line) for line in whole.splitlines()]


class _Writing(Dataset[dict[str, Any]]):
    """Item n makes image n and writes it to its place."""

    def __init__(self, make: Make, *, path: Path, starts: NDArray[np.int64], band: int) -> None:
        self.make = make
        self.band = band
        self.path = path
        self.starts = starts

    def __getitem__(self, number: int) -> dict[str, Any]:
        try:
            entry, image = self.make(number)
        except DataError as error:  # a loader would wrap it in the traceback of its process
            return {"error": str(error)}
        if image is not None:
            with self.path.open("r+b") as file:
                file.seek(int(self.starts[number]))
                file.writelines(band.data for band in split(image, self.band))
        return entry


class _Chunks(Dataset[list[Any]]):
    """Item n applies a function to the n-th run of items."""

    def __init__(self, function: Callable[[_Item], Any], items: Sequence[_Item], size: int) -> None:
        self.function = function
        self.items = items
        self.size = size

    def __getitem__(self, number: int) -> list[Any]:
        return [self.function(item) for item in self.items[number * self.size : (number + 1) * self.size]]


def _in_order(dataset: Dataset[_Item], numbers: range, *, workers: int) -> Iterator[_Item]:
    # A generator of its own: the loader would otherwise draw from the one that initialises networks.
    return iter(
        DataLoader(
            dataset,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),
        )
    )


def _as_it_is(item: _Item) -> _Item:
    return item


def _processes() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)
