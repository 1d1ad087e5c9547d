"""Which files are ours: a command replaces what it wrote earlier, and nothing of other origin."""

from pathlib import Path

from sr_lightning.refusal import Refusal

# What stands in files by these commands; a CSV is known by its first columns.
COMPARE, DASHBOARD = "sr_lightning compare", "sr_lightning dashboard"
# A mark stands at the beginning, in pictures too.
_HEAD = 4096


def is_ours(path: Path, *, mark: str) -> bool:
    """Whether a file that is there begins with what a command marks its files by."""
    with path.open("rb") as file:
        return mark.encode() in file.read(_HEAD)


def check_target(key: str, path: Path, *, mark: str, command: str) -> None:
    """Refuse a file that cannot be written, or must not be.

    Args:
        key: that it was named by.
        path: the file.
        mark: by which the command knows its own files.
        command: that would write it.

    Raises:
        Refusal: it is a folder, lies in none, or is there and was written by something else.
    """
    if path.is_dir():
        raise Refusal(f"{key}: expected a file, got {path}, which is a folder.")
    if not path.parent.is_dir():
        raise Refusal(f"{key}: expected a folder that exists, got {path.parent}, which does not.")
    if path.is_file() and not is_ours(path, mark=mark):
        raise Refusal(f"{key}: {path} is there and was not written by {command}; give another name.")
