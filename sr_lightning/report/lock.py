"""A run's folder belongs to one run at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sr_lightning.refusal import Refusal

NAME = ".running"
# What the refusal begins with.
HELD = "another process trains in"
# Seconds in which a lock is tried: whoever asks `is_held` takes it for a moment, and that is no reason not to start.
PATIENCE = 1.0


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a run's folder for this process while the context lasts; the kernel frees it when the process dies.

    Raises:
        Refusal: another process works in it, and not for a moment alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / NAME)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise Refusal(
            f"{HELD} {folder} right now; wait until it has ended, or end it, and say the same again."
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some process, perhaps left over from a killed sweep, works in the folder of a run."""
    lock = FileLock(folder / NAME)
    if not (folder / NAME).exists():
        return False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
