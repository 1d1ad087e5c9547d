"""Image files to uint8 arrays: each file format's peculiarities end here."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sr_lightning.data.scan import DataError, mode_problem


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image as RGB.

    The EXIF orientation is applied, grey replicated, a palette looked up, CMYK converted, and alpha dropped
    (the colours below it stay as they are). Of several pages or frames the first is taken; colour profiles
    are ignored.

    Args:
        path: a file of 8 bits per channel or fewer.

    Returns:
        Array `(H, W, 3)`, writable and contiguous.

    Raises:
        DataError: a `ValueError`: the file is no image, is damaged, or has a mode of more than 8 bits.
    """
    return np.array(_to_rgb(_decode(path)))


def read_uint8(path: Path) -> NDArray[np.uint8]:
    """Read an image, keeping grey grey: `(H, W)` for grey and 1-bit files, else `(H, W, 3)` as `read_rgb`.

    Evaluation needs it: what becomes of a grey image is part of the protocol.
    """
    image = _decode(path)
    return np.array(image.convert("L") if image.mode in ("1", "L", "LA") else _to_rgb(image))


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            reason = mode_problem(image)
            if reason is None:
                image.load()
                return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise many types for damaged files
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    raise DataError(f"{path}: {reason}.")


def _to_rgb(image: Image.Image) -> Image.Image:
    if "transparency" in image.info:  # a palette's transparency is converted with a warning otherwise
        image = image.convert("RGBA")
    return image.convert("RGB")
