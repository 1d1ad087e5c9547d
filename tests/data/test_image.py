import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from sr_lightning.data.image import read_rgb, read_uint8
from sr_lightning.data.scan import DataError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
GREY = RGB[..., 0]


def save(pixels: NDArray[np.generic], path: Path, mode: str | None = None, **options: object) -> Path:
    Image.fromarray(pixels, mode).save(path, **options) if mode is None else Image.frombytes(
        mode, pixels.shape[1::-1], pixels.tobytes()
    ).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_rgb_comes_back_bit_equal_and_writable(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(RGB, tmp_path / f"a.{suffix}", **options)
    for read in (read_rgb, read_uint8):
        image = read(path)
        assert image.dtype == np.uint8
        assert image.flags.writeable
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, RGB)


def test_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    path = save(RGB, tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_rgb(path), np.asarray(Image.open(path)))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_grey_is_replicated_or_kept(tmp_path: Path, suffix: str) -> None:
    path = save(GREY, tmp_path / f"a.{suffix}", quality=100)
    kept = read_uint8(path)
    assert kept.shape == (5, 7)
    assert np.abs(kept.astype(int) - GREY).max() <= (0 if suffix == "png" else 3)
    np.testing.assert_array_equal(read_rgb(path), np.stack([kept] * 3, axis=-1))


def test_grey_with_alpha_stays_grey(tmp_path: Path) -> None:
    path = save(np.stack([GREY, 255 - GREY], axis=-1), tmp_path / "a.png", "LA")
    np.testing.assert_array_equal(read_uint8(path), GREY)
    np.testing.assert_array_equal(read_rgb(path), np.stack([GREY] * 3, axis=-1))


def test_alpha_is_dropped_and_the_colours_below_stay(tmp_path: Path) -> None:
    path = save(np.dstack([RGB, np.zeros_like(GREY)]), tmp_path / "a.png", "RGBA")
    np.testing.assert_array_equal(read_rgb(path), RGB)
    np.testing.assert_array_equal(read_uint8(path), RGB)


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(256))])
def test_palette_is_looked_up(tmp_path: Path, transparency: int | bytes | None) -> None:
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    image = Image.frombytes("P", (7, 5), GREY.tobytes())
    image.putpalette(palette.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "a.png", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (read_rgb, read_uint8):
            np.testing.assert_array_equal(read(tmp_path / "a.png"), palette[GREY])


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    bits = GREY > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "1"
    np.testing.assert_array_equal(read_uint8(tmp_path / "a.png"), bits * np.uint8(255))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[..., 2], bits * np.uint8(255))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    cmyk = np.random.default_rng(2).integers(0, 256, (5, 7, 4), np.uint8)
    path = save(cmyk, tmp_path / "a.tif", "CMYK")
    inverse = 255.0 - cmyk.astype(float)
    expected = inverse[..., :3] * inverse[..., 3:] / 255.0
    for read in (read_rgb, read_uint8):
        assert np.abs(read(path) - expected).max() <= 1.0


# What a camera held turned writes: the stored pixels for each orientation that show as RGB.
STORED = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.transpose(1, 0, 2),
    6: np.rot90(RGB, 1),
    7: RGB[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(RGB, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(STORED[orientation])).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), RGB)


def test_exif_orientation_is_applied_to_grey(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(GREY))).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_uint8(tmp_path / "a.png"), GREY)


def write_png_16(path: Path, colour_type: int, channels: int) -> Path:
    """Write a PNG of 16 bits per channel, which Pillow can for grey only."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(range(2 * channels * 4)) for _ in range(3))
    header = struct.pack(">IIBBBBB", 4, 3, 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(
    ("colour_type", "channels", "mode"),
    [(0, 1, "I;16"), (2, 3, "RGB;16B"), (4, 2, "LA;16B"), (6, 4, "RGBA;16B")],
)
def test_png_of_16_bits_is_refused_by_mode(tmp_path: Path, colour_type: int, channels: int, mode: str) -> None:
    path = write_png_16(tmp_path / "deep.png", colour_type, channels)
    for read in (read_rgb, read_uint8):
        with pytest.raises(DataError, match=f"deep.png: mode {mode} is not 8-bit"):
            read(path)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_colour_tiff_of_16_bits_is_refused(tmp_path: Path, compression: str | None) -> None:
    # Pillow writes no such file either: say of an 8-bit one, twice as wide, that its channels have 16 bits.
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    Image.fromarray(np.tile(RGB, (1, 2, 1))).save(tmp_path / "a.tif", tiffinfo=tags, compression=compression)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    (offset,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, offset)
    for entry in range(offset + 2, offset + 2 + 12 * entries, 12):
        tag, _, _, value = struct.unpack_from("<HHII", content, entry)
        if tag == 256:
            struct.pack_into("<H", content, entry + 8, 7)
        if tag == 258:
            struct.pack_into("<HHH", content, value, 16, 16, 16)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match=r"mode RGB;16\w is not 8-bit"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_integer_and_float_tiff_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 3)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=f"mode {mode} is not 8-bit"):
        read_rgb(tmp_path / "a.tif")


def test_bmp_of_5_6_5_bits_is_read(tmp_path: Path) -> None:
    # Its raw mode is called BGR;16: 16 bits per pixel, not per channel.
    header = struct.pack("<2sIHHI", b"BM", 66 + 4, 0, 0, 66)
    header += struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    header += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    (tmp_path / "a.bmp").write_bytes(header + struct.pack("<HH", 0xF81F, 0))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.bmp"), [[[255, 0, 255]]])


def test_damaged_and_missing_files_are_data_errors_that_name_the_file(tmp_path: Path) -> None:
    whole = save(RGB.repeat(40, 0).repeat(40, 1), tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    for name in ("cut.png", "text.png", "empty.jpg", "missing.png"):
        with pytest.raises(DataError, match=name):
            read_rgb(tmp_path / name)
