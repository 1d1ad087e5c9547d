"""Finding images and judging them by their headers, before anything heavy is imported."""

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from sr_lightning.refusal import nearest

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# Arrays `(H, W, bands)`, for images of more bands than a picture has.
ARRAY_EXTENSIONS = (".npy",)

# "LAB" and the integer and float modes are absent: they do not become RGB without a loss or a choice.
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B", "I;16L"})
# No decoder at hand gives all bits of these, or none knows their white.
_NOT_DECODED = ("LA;16", "CMYK;16", "I;12")
_BITS_PER_SAMPLE = 258


class DataError(ValueError):
    """Images that cannot be used; the message says which, why, and what to do."""


def list_images(folder: Path, *, channels: int = 3) -> list[Path]:
    """List the image files below a folder, in an order that is the same on every machine.

    Linked folders are followed, each real folder once. Names that begin with a dot are left out: macOS leaves
    `._photo.png` beside each `photo.png`, which is not an image.

    Args:
        folder: any tree; file names are matched by `EXTENSIONS`, whatever their case.
        channels: if neither 1 nor 3, files of `ARRAY_EXTENSIONS` count too.

    Returns:
        Paths that begin with `folder`, sorted by their path below it.
    """
    extensions = EXTENSIONS if channels in (1, 3) else (*EXTENSIONS, *ARRAY_EXTENSIONS)
    return sorted(_walk(folder, extensions), key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path, extensions: tuple[str, ...]) -> Iterator[Path]:
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # a link back up would otherwise never end
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in extensions and path.is_file():
                yield path


def check_folder(folder: Path, *, key: str, min_side: int, channels: int = 3) -> None:
    """Refuse a folder without one usable image; reads headers and stops at the first good one.

    Pillow knows the headers of grey and colour alone: of images of other numbers of channels only names are looked at.

    Args:
        folder: the folder that was given.
        key: the configuration key it came from, for the message.
        min_side: the smallest height and width that is of use, in HR pixels.
        channels: of each image; see `list_images`.

    Raises:
        DataError: the folder is missing or a file, holds no image file, no readable one, or only small ones.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise DataError(f"{key}: expected a folder of images, got {folder}, {_what_is_wrong(folder)}")
    paths = list_images(folder, channels=channels)
    if not paths:
        known = EXTENSIONS if channels in (1, 3) else (*EXTENSIONS, *ARRAY_EXTENSIONS)
        raise DataError(f"{key}: {folder} holds no image file; expected any of {', '.join(known)}.")
    if channels not in (1, 3):
        return
    reasons, largest = [], (0, 0)
    for path in paths:
        try:
            with Image.open(path) as image:
                reason, size = mode_problem(image, deepest=16), image.size
        except Exception as error:  # Pillow's plugins raise many types for a broken header
            reason, size = str(error), (0, 0)
        if reason is not None:
            reasons.append(f"{path.relative_to(folder)}: {reason}")
        elif min(size) >= min_side:
            return
        else:
            largest = max(largest, size, key=min)
    if largest == (0, 0):
        raise DataError(f"{key}: none of the {len(paths)} image files in {folder} can be read ({reasons[0]}).")
    raise DataError(
        f"{key}: expected an image of at least {min_side}x{min_side} pixels in {folder}, "
        f"but the largest is {largest[0]}x{largest[1]}; use larger images or a smaller patch."
    )


def _what_is_wrong(folder: Path) -> str:
    if folder.exists():
        return "which is a file."
    parent = folder.parent
    while not parent.is_dir():
        folder, parent = parent, parent.parent
    hint = nearest(folder.name, [path.name for path in parent.iterdir() if path.is_dir()])
    return f"which does not exist: no {folder.name!r} in {parent}{hint or '.'}"


def mode_problem(image: Image.Image, *, deepest: int = 8) -> str | None:
    """Say why an opened image does not count as one of so many bits per channel; None where it does.

    To be asked before the pixels are loaded; see `bit_depth`.

    Args:
        image: as `Image.open` returned it.
        deepest: bits per channel that are of use: 8 or 16.
    """
    mode = _deep_mode(image) or image.mode
    if image.mode not in _MODES or mode.startswith(_NOT_DECODED):
        return f"mode {mode} is not 8-bit or 16-bit grey or colour; convert it to one of them"
    if bit_depth(image) > deepest:
        return f"mode {mode} is not 8-bit grey or colour; convert it to 8 bits"
    return None


def bit_depth(image: Image.Image) -> int:
    """Bits per channel of an opened image: 16, or 8 for all up to that.

    To be asked before the pixels are loaded: Pillow opens a 16-bit colour PNG or TIFF as plain `RGB`, dropping the
    low byte, and only the decoder's raw mode tells.
    """
    return 16 if _deep_mode(image) else 8


def _deep_mode(image: Image.Image) -> str | None:
    """The mode of an opened image if it has more than 8 bits per channel, such as `RGB;16B`."""
    # A tile of the file: decoder, extents, offset, and arguments that are or begin with the raw mode.
    arguments = [tile[3] for tile in getattr(image, "tile", [])]
    raw_modes = [str(each[0] if isinstance(each, tuple) else each) for each in arguments]
    # BMP's `BGR;16` is 5, 6 and 5 bits per colour, less than eight.
    deep = next((mode for mode in raw_modes if (";16" in mode or ";12" in mode) and not mode.startswith("BGR")), None)
    # The raw modes of a TIFF whose channels lie one after another do not tell.
    bits = max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,)))
    # An image that was made in memory has no tiles.
    in_memory = image.mode if image.mode.startswith("I;16") else None
    return deep or in_memory or (f"{image.mode};16" if bits == 16 else None)
