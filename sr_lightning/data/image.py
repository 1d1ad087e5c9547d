"""Image files to arrays: each file format's peculiarities end here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
import torch
from kornia_rs import io as fast
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from sr_lightning.data.scan import DataError, bit_depth, mode_problem
from sr_lightning.functional.color import rgb_to_y

Pixels = NDArray[np.uint8 | np.uint16]

_TIFF_SUFFIXES = (".tif", ".tiff")
_ARRAY_SUFFIX = ".npy"
# 8-bit values times this are the same brightness in 16 bits: 255 * 257 = 65535.
_WIDER = 257
# What an EXIF orientation asks for, so that the image stands upright.
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda image: image[::-1, ::-1],
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
_SIDEWAYS = (5, 6, 7, 8)
_PLANAR_CONFIGURATION, _SEPARATE_PLANES = 284, 2
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Bytes that tell whether kornia-rs may decode a file. The last 5 of a PNG's: bit depth, colour type (0 is grey, 2 is
# RGB), compression, filter, interlacing; with the names that kornia-rs has for the types.
_TELLING_BYTES = 29
_PLAIN_PNG = {b"\x08\0\0\0\0": "mono", b"\x08\2\0\0\0": "rgb"}
# Chunks that change nothing of the pixels that Pillow returns. Others turn, animate or make transparent.
_HARMLESS_CHUNKS = frozenset(
    {b"IHDR", b"IDAT", b"IEND", b"bKGD", b"cHRM", b"cICP", b"gAMA", b"iCCP", b"pHYs", b"sBIT", b"sRGB", b"tIME"}
)


class Header(NamedTuple):
    """What a file says of its image before it is decoded."""

    height: int  # upright, unless a PNG says only behind its pixels that it is to be turned
    width: int
    bits: int  # per channel: 8 or 16
    mode: str  # Pillow's name of the mode, or type and number of bands


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image of 8 bits per channel or fewer as RGB.

    The EXIF orientation is applied, grey replicated, a palette looked up, CMYK converted, and alpha dropped
    (the colours below it stay as they are). Of several pages or frames the first is taken; colour profiles
    are ignored.

    Returns:
        Array `(H, W, 3)`, writable and contiguous.

    Raises:
        DataError: a `ValueError`: the file is no image, is damaged, or has a mode of more than 8 bits.
    """
    return np.array(_to_rgb(_decode(path)))


def read_header(path: Path, *, channels: int) -> Header:
    """Read what a file says of its image, without decoding it.

    Raises:
        DataError: as `read_image`, but for damage that only decoding finds.
    """
    with _naming(path):
        if path.suffix.lower() == _ARRAY_SUFFIX:
            array = np.load(path, mmap_mode="r")
            return _array_header(array.shape, array.dtype, channels)
        if channels not in (1, 3) and path.suffix.lower() in _TIFF_SUFFIXES:
            with tifffile.TiffFile(path) as file:
                page = _first_page(file)
                shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
                return _array_header(shape, page.dtype, channels)
        with Image.open(path) as image:
            _refuse(mode_problem(image, deepest=16))
            bands = len(image.getbands())
            if channels not in (1, 3, bands):
                raise DataError(f"expected {channels} bands, got {bands} ({image.mode})")
            width, height = image.size
            # Pillow's own `getexif` would decode a PNG to see what stands behind its pixels.
            orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
            if orientation in _SIDEWAYS and image.format != "TIFF":  # of a TIFF Pillow gives the upright size
                width, height = height, width
            return Header(height, width, bit_depth(image), image.mode)


def read_image(path: Path, *, channels: int, dtype: np.dtype[Any]) -> Pixels:
    """Read an image of 8 or 16 bits per channel with the number of channels and the type that are wanted.

    Orientation, palette, CMYK, frames and profiles as in `read_rgb`, to which it is equal for 3 channels and uint8.

    Args:
        path: an image file; for any number of bands a TIFF, or `.npy` with `(H, W)` or `(H, W, bands)`.
        channels: 3: RGB, grey replicated and alpha dropped; 1: grey, or BT.601's Y of colour, rounded; any other
            number: files of just that many bands.
        dtype: uint8, or uint16: the values of 8-bit files are then times 257.

    Returns:
        Array `(H, W, channels)`, writable and contiguous.

    Raises:
        DataError: the file is no image, is damaged, has another number of bands, has 16 bits where uint8 is
            wanted, or a mode that is neither of 8 nor of 16 bits.
    """
    with _naming(path):
        image = _fitted(_stored(path, channels), channels)
        if image.dtype == np.uint8 and dtype == np.uint16:
            image = np.multiply(image, _WIDER, dtype=np.uint16)
        elif image.dtype != dtype:
            raise DataError(f"expected {dtype} values, got {image.dtype}")
        return np.require(image, requirements=["C", "W"])


def resize_to_square(image: Pixels, side: int) -> Pixels:
    """Resize `(H, W, C)` to `(side, side, C)` by Pillow's bicubic with antialiasing, ignoring the aspect ratio."""
    planes = []
    for plane in np.moveaxis(image, 2, 0):
        # Pillow resizes each band for itself; it knows no 16-bit ones.
        source = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
        resized = np.asarray(source.resize((side, side), Image.Resampling.BICUBIC))
        planes.append(np.rint(resized).clip(0, np.iinfo(image.dtype).max).astype(image.dtype))
    return np.stack(planes, axis=2)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn whatever is raised for an image into a DataError that names its file."""
    try:
        yield
    except MemoryError:
        raise
    except DataError as error:
        raise DataError(f"{path}: {error}.") from error
    except Exception as error:  # decoders raise many types for damaged files
        raise DataError(f"{path} cannot be read as an image: {error}") from error


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise DataError(reason)


def _array_header(shape: tuple[int, ...], dtype: np.dtype[Any] | None, channels: int) -> Header:
    bands = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or dtype is None or dtype not in (np.uint8, np.uint16):
        raise DataError(f"expected uint8 or uint16 of shape (H, W) or (H, W, bands), got {dtype} of {shape}")
    if bands not in ((1, 3) if channels in (1, 3) else (channels,)):
        raise DataError(f"expected {channels} bands, got {bands}")
    return Header(shape[0], shape[1], 8 * dtype.itemsize, f"{dtype.name}x{bands}")


def _as_it_is(image: NDArray[Any]) -> NDArray[Any]:
    return image


def _fitted(image: Pixels, channels: int) -> Pixels:
    """Array `(H, W, channels)` of one with 1, 3 or `channels` bands."""
    bands = image.shape[2]
    if channels == 3 and bands == 1:
        return np.repeat(image, 3, axis=2)
    if channels == 1 and bands == 3:
        white = np.iinfo(image.dtype).max
        luma = rgb_to_y(torch.from_numpy(image.astype(np.float32) / white).permute(2, 0, 1)) * white
        rounded: Pixels = luma.round().permute(1, 2, 0).numpy().astype(image.dtype)
        return rounded
    if bands != channels:
        raise DataError(f"expected {channels} bands, got {bands}")
    return image


def _stored(path: Path, channels: int) -> Pixels:
    """Read `(H, W, bands)`: 1 or 3 bands where `channels` is one of these, otherwise `channels`."""
    if path.suffix.lower() == _ARRAY_SUFFIX:
        array: Pixels = np.load(path)
        _array_header(array.shape, array.dtype, channels)
        return array.reshape(*array.shape[:2], -1)
    if channels not in (1, 3) and path.suffix.lower() in _TIFF_SUFFIXES:
        return _read_tiff(path)
    quick = _read_fast(path) if channels in (1, 3) else None
    if quick is not None:
        return quick
    with Image.open(path) as image:
        _refuse(mode_problem(image, deepest=16))
        if bit_depth(image) == 16:
            deep = _read_deep(path, image)
            return deep[..., :3] if channels in (1, 3) else deep
        image.load()
        upright = ImageOps.exif_transpose(image)
    if channels in (1, 3):
        upright = upright.convert("L") if _is_grey(upright) else _to_rgb(upright)
    pixels = np.asarray(upright)
    return pixels.reshape(*pixels.shape[:2], -1)


def _read_fast(path: Path) -> NDArray[np.uint8] | None:
    """Decode by kornia-rs, 2 to 3 times faster, where it returns what Pillow does; None for all other files."""
    with path.open("rb") as file:
        start = file.read(_TELLING_BYTES)
        is_png = start.startswith(_PNG_START) and start[24:] in _PLAIN_PNG
        if not is_png and not start.startswith(_JPEG_START):
            return None
        file.seek(0)
        content = file.read()  # once, for looking and for decoding
    try:
        return _decode_plain_png(content) if is_png else _decode_plain_jpeg(content)
    except Exception:  # Pillow says what is wrong, or can read it
        return None


def _decode_plain_png(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a PNG as in `_PLAIN_PNG`, unless it has a chunk that may change pixels."""
    place = len(_PNG_START)
    while place < len(content):
        kind, start = content[place + 4 : place + 8], place + 8
        # Text may hold an orientation: `Raw profile type exif`, `XML:com.adobe.xmp`.
        harmless_text = kind == b"tEXt" and not content.startswith((b"Raw profile", b"XML:"), start)
        if kind not in _HARMLESS_CHUNKS and not harmless_text:
            return None
        place = start + int.from_bytes(content[place : place + 4], "big") + 4
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    return np.asarray(fast.decode_image_png_u8(content, (height, width), _PLAIN_PNG[content[24:_TELLING_BYTES]]))


def _decode_plain_jpeg(content: bytes) -> NDArray[np.uint8] | None:
    """Decode a JPEG that is whole, RGB or grey, and not turned. kornia-rs decodes what is left of one that was cut."""
    if not content.endswith(_JPEG_END):
        return None
    with Image.open(BytesIO(content)) as image:
        if image.mode not in ("L", "RGB") or _orientation(image) != 1:
            return None
        mode = "rgb" if image.mode == "RGB" else "mono"
    return np.asarray(fast.decode_image_jpegturbo(content, mode))


def _orientation(image: Image.Image) -> int:
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _read_deep(path: Path, image: Image.Image) -> NDArray[np.uint16]:
    """Read 16 bits per channel, of which Pillow keeps 8 in colour: `(H, W, bands)`."""
    in_planes = getattr(image, "tag_v2", {}).get(_PLANAR_CONFIGURATION) == _SEPARATE_PLANES
    if image.format == "TIFF" and (in_planes or image.mode == "RGBA"):
        return _read_tiff(path)  # kornia-rs takes planes for pixels, and knows no alpha here
    turn = _TURNS.get(_orientation(image), _as_it_is)
    return turn(np.asarray(fast.read_image(str(path))))


def _read_tiff(path: Path) -> NDArray[Any]:
    """Read the first page of a TIFF of any number of bands: `(H, W, bands)`."""
    with tifffile.TiffFile(path) as file:
        page = _first_page(file)
        pixels = page.asarray()
        if page.axes.startswith("S"):
            pixels = np.moveaxis(pixels, 0, 2)
        orientation = page.tags.valueof(ExifTags.Base.Orientation, 1)
        return _TURNS.get(orientation, _as_it_is)(pixels.reshape(*pixels.shape[:2], -1))


def _first_page(file: tifffile.TiffFile) -> tifffile.TiffPage:
    page = file.pages[0]
    assert isinstance(page, tifffile.TiffPage), "the first page is read as a whole, later ones may be frames"
    return page


def _decode(path: Path) -> Image.Image:
    with _naming(path), Image.open(path) as image:
        _refuse(mode_problem(image))
        image.load()
        return ImageOps.exif_transpose(image)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA")


def _to_rgb(image: Image.Image) -> Image.Image:
    if "transparency" in image.info:  # a palette's transparency is converted with a warning otherwise
        image = image.convert("RGBA")
    return image.convert("RGB")
