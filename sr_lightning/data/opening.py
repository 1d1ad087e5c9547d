"""The three places where a set's images can be: a store on disk, one in memory, or the files themselves."""

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import IO, Literal

from sr_lightning.data.file_images import FileImages
from sr_lightning.data.lr_rules import Downscale
from sr_lightning.data.packing import Progress
from sr_lightning.data.scan import DataError
from sr_lightning.data.sources import Sources
from sr_lightning.data.store import Images, Store

try:
    import fcntl
except ImportError:
    _LOCKS_ARE_SHARED = False  # Windows
else:
    _LOCKS_ARE_SHARED = True

StoreMode = Literal["disk", "ram", "off"]

_SHARED_MEMORY = Path("/dev/shm")
# Every process that uses a store in memory holds a shared lock on this file beside it.
_USE = ".use"
# After the end of the processes that this one has started: `multiprocessing` waits for them at priority 0.
_AT_THE_END = -100


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
            share and the last of them removes at its end (see `memory_folder`); `off`: decoded for each patch.
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
        DataError: as `Store.open_or_build`; for `ram` also as `memory_folder`.
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
    if store == "ram":
        cache_dir = memory_folder()
        if _LOCKS_ARE_SHARED:
            _use(cache_dir / Sources(paths, channels=channels, resize=resize).key, os.getpid())
            _sweep(cache_dir)
    return Store.open_or_build(
        paths,
        cache_dir=cache_dir,
        scales=scales,
        degradation=degradation,
        min_side=min_side,
        channels=channels,
        resize=resize,
        lr_paths=lr_paths,
        max_skipped=max_skipped,
        progress=progress,
    )


def memory_folder() -> Path:
    """The folder of stores in memory, below `/dev/shm` or, where there is none (macOS), the temporary folder.

    All processes of a user share it, and its stores go with the last process that opened them. A process that was
    killed cannot remove anything: what it has left goes when the next store in memory is opened. On Windows, which has
    no lock that several processes may hold, the folder is a temporary one of each process, and nothing is shared.

    Raises:
        DataError: there is something else of this name, which another user may have put there.
    """
    if not _LOCKS_ARE_SHARED:
        return _private_folder()
    parent = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    folder = parent / f"sr_lightning-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()  # of a link, not of what it leads to
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o777 != 0o700:
            raise DataError(
                f"{folder}: expected a folder that belongs to this user alone (mode 700), got {_describe(found)}; "
                "remove it, or use data.store=disk or off."
            ) from None
    return folder


def _describe(found: os.stat_result) -> str:
    return f"{stat.filemode(found.st_mode)} of user {found.st_uid}"


@cache
def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sr_lightning-"))
    Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=_AT_THE_END)
    return folder


@cache
def _use(folder: Path, process: int) -> None:
    """Keep a store, to be built or there already, from being removed while this process lives.

    The lock counts before there is anything to remove, so that nobody falls between building and opening. Whoever has
    forked off takes one of its own: by `process`, its number.
    """
    use = _open_use(folder)
    fcntl.flock(use, fcntl.LOCK_SH)  # waits for somebody who is removing the store
    while _is_removed(use):
        use.close()
        use = _open_use(folder)
        fcntl.flock(use, fcntl.LOCK_SH)
    Finalize(None, _remove_unless_used, args=(folder, use), exitpriority=_AT_THE_END)


def _sweep(memory: Path) -> None:
    """Remove what processes that were killed have left."""
    for key in {path.name.partition(".")[0] for path in memory.iterdir()}:
        _remove_unless_used(memory / key, _open_use(memory / key))


def _remove_unless_used(folder: Path, use: IO[str]) -> None:
    """Remove a store and the files beside it, unless another process uses it; close `use`, and so give up its lock."""
    with use:
        try:
            # The system gives up the shared lock for it even if it fails: of several that end at once, one succeeds.
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if _is_removed(use):  # and perhaps built again, by somebody who holds another lock
            return
        # Nobody builds without the shared lock, so nobody holds the build lock either. The use lock goes last.
        for path in sorted(folder.parent.glob(f"{folder.name}*"), key=lambda path: path.suffix == _USE):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _open_use(folder: Path) -> IO[str]:
    return folder.with_name(f"{folder.name}{_USE}").open("a")


def _is_removed(file: IO[str]) -> bool:
    return os.fstat(file.fileno()).st_nlink == 0
