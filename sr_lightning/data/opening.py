"""The three places where a set's images can be: a store on disk, one in memory, or the files themselves."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import filelock

from sr_lightning.data.file_images import FileImages
from sr_lightning.data.lr_rules import Downscale
from sr_lightning.data.packing import Progress
from sr_lightning.data.scan import DataError
from sr_lightning.data.store import Images, Store

StoreMode = Literal["disk", "ram", "off"]

_SHARED_MEMORY = Path("/dev/shm")


def open_images(
    paths: Sequence[Path],
    *,
    store: StoreMode,
    cache_dir: Path,
    scales: Sequence[int],
    degradation: Downscale | Mapping[int, Downscale] | None,
    min_side: int,
    channels: int = 3,
    resize: int | None = None,
    lr_paths: Mapping[int, Sequence[Path]] | None = None,
    max_skipped: float = 0.05,
    progress: Progress | None = None,
) -> Images:
    """Open images where `store` says; the other arguments are those of `Store.open_or_build`.

    Args:
        paths: images.
        store: `disk`: decoded once into `cache_dir`; `ram`: into a folder in memory that all processes of this user
            share and the one that opened it first removes at its end; `off`: decoded for each patch.
        cache_dir: for `disk` alone.
        scales: see `Store.open_or_build`.
        degradation: likewise.
        min_side: likewise.
        channels: likewise.
        resize: likewise.
        lr_paths: likewise.
        max_skipped: likewise.
        progress: likewise.

    Raises:
        DataError: as `Store.open_or_build`.
    """
    if store == "off":
        return FileImages(
            paths,
            scales=scales,
            degradation=degradation,
            min_side=min_side,
            channels=channels,
            resize=resize,
            lr_paths=lr_paths,
            max_skipped=max_skipped,
        )
    opened = Store.open_or_build(
        paths,
        cache_dir=memory_folder() if store == "ram" else cache_dir,
        scales=scales,
        degradation=degradation,
        min_side=min_side,
        channels=channels,
        resize=resize,
        lr_paths=lr_paths,
        max_skipped=max_skipped,
        progress=progress,
    )
    if store == "ram":
        _remove_at_exit(opened.folder)
    return opened


def memory_folder() -> Path:
    """The folder of stores in memory: of this user, below `/dev/shm` or, where there is none, the temporary folder."""
    parent = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    folder = parent / f"sr_lightning-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise DataError(f"{folder} belongs to another user; use data.store=disk or off.")
    return folder


@cache
def _remove_at_exit(folder: Path) -> None:
    """Remove a store when this process ends, unless another living process has promised to.

    The promise is a lock: should its holder be killed, the next process that opens the store takes it over.
    """
    promise = filelock.FileLock(f"{folder}.owner")
    try:
        promise.acquire(timeout=0)
    except filelock.Timeout:
        return
    atexit.register(_remove, folder, promise, os.getpid())


def _remove(folder: Path, promise: filelock.BaseFileLock, process: int) -> None:
    if os.getpid() == process:  # not a fork of it
        shutil.rmtree(folder, ignore_errors=True)
        promise.release()
