"""Files that are either the old one or the new one, never half of it."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a kill at any moment leaves the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may write the same file: each its own part.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text)
    os.replace(partial, path)  # noqa: PTH105 - the name says that it is atomic
