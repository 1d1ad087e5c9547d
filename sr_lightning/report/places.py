"""Paths as a person reads them."""

from pathlib import Path


def from_here(path: Path) -> Path:
    """Return a path from the current folder on where it lies below it, else as it is."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
