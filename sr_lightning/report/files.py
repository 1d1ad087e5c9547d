"""Files that are either the old one or the new one, never half of it."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a text file so that a kill at any moment leaves the old content or the new.

    Args:
        path: the file.
        text: its content.
        durable: whether a loss of power may not leave less either; waits for the disk, some milliseconds.
    """
    with replacing(path, durable=durable) as partial:
        partial.write_text(text)


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Let a file be written under another name, which takes the file's place when it is whole.

    Args:
        path: the file.
        durable: as of `write_atomically`.

    Yields:
        The name to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may write the same file: each its own part.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        if durable:
            replace_durably(partial, path)
        else:
            os.replace(partial, path)  # noqa: PTH105 - the name says that it is atomic
    finally:
        partial.unlink(missing_ok=True)


def replace_durably(partial: Path, path: Path) -> None:
    """Put a written file in the place of another, so that a loss of power leaves the one or the other, and whole."""
    with partial.open("rb+") as file:
        # Else the new name may reach the disk before the content does.
        os.fsync(file.fileno())
    os.replace(partial, path)  # noqa: PTH105
    # The name; what cannot do that (Windows, some network file systems) writes it in its own time.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_json(path: Path, content: dict[str, Any], *, durable: bool = False) -> None:
    """Write JSON as `write_atomically` does; infinities and NaN, which JSON does not have, become null."""
    write_atomically(path, json.dumps(_finite(content), indent=2) + "\n", durable=durable)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
