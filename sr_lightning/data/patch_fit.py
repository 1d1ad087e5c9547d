"""Whether the images of a set are large enough for the training patch, by their headers. No torch, no numpy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import Part

# Of larger sets so many headers are read, evenly spaced: they take half a second.
_MOST_HEADERS = 3000
# By how much the share of too small images among those may lie above that among all.
_UNCERTAIN = 0.01


class PatchError(DataError):
    """Too many images of a set are too small for the patch."""


@dataclass(frozen=True)
class Patch:
    """A training patch, as the configuration has it.

    Attributes:
        key: `data.hr_patch` or `data.lr_patch`.
        side: its value, in pixels.
        hr_pixels: HR pixels for each of its pixels: 1, or the largest scale.
        multiple: what values the networks take are multiples of.
        smallest: the smallest value that they take.
    """

    key: str
    side: int
    hr_pixels: int = 1
    multiple: int = 1
    smallest: int = 1


def check_patch(parts: Iterable[Part], patch: Patch, *, max_skipped: float) -> None:
    """Refuse a patch that more than a share of the images of a set are too small for, and name one that fits.

    A training leaves such images out. Unreadable files count among those left out; where they are too many by
    themselves, no patch helps and nothing is refused here.

    Args:
        parts: the training images.
        patch: the patch of the configuration.
        max_skipped: the share of each set that may be left out, in [0, 1].

    Raises:
        PatchError: names the set and the largest patch with which all sets can be used.
    """
    worst: tuple[int, str] | None = None
    for part in parts:
        sides = _short_sides(part.files)
        needed = patch.side * patch.hr_pixels
        small = sum(side < needed for side in sides)
        read_all = len(sides) == len(part.files)
        if small <= (max_skipped + (0 if read_all else _UNCERTAIN)) * len(sides):
            continue
        allowed = int(max_skipped * len(sides))
        # The shortest side that has to stay: `allowed` images may be shorter.
        shortest = sides[allowed]
        if shortest == 0:
            continue
        fits = shortest // patch.hr_pixels // patch.multiple * patch.multiple
        what = f"{small} of {len(sides)} images" + ("" if read_all else f" looked at, of {len(part.files)},")
        problem = (
            f"{patch.key}={patch.side}: {what} of {part.name} are smaller than {needed}x{needed} pixels, more than the "
            f"share data.max_skipped={max_skipped:g} allows; "
        )
        if fits < patch.smallest:
            advice = "no patch that the networks take is small enough: use larger images, or allow more."
        else:
            kept = sum(side >= fits * patch.hr_pixels for side in sides)
            advice = f"{patch.key}={fits} keeps {kept} of {len(sides)}."
        # The smallest of several patches suits all sets.
        if worst is None or fits < worst[0]:
            worst = fits, problem + advice
    if worst is not None:
        raise PatchError(worst[1])


def _short_sides(files: Sequence[Path]) -> list[int]:
    """Return the shorter sides of images in pixels, ascending; 0 for files that cannot be read."""
    step = max(1, -(-len(files) // _MOST_HEADERS))
    return sorted(_short_side(path) for path in files[::step])


def _short_side(path: Path) -> int:
    try:
        return _read_short_side(path, path.stat().st_mtime_ns)
    except Exception:  # Pillow's plugins raise many types for a broken header
        return 0


@cache
def _read_short_side(path: Path, changed: int) -> int:
    """Read a header, once for as long as the file stays the same: every cell of a sweep asks for it."""
    with Image.open(path) as image:
        return min(image.size)
