import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from sr_lightning.data.image import read_header, read_image, read_rgb, resize_to_square
from sr_lightning.data.scan import DataError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
GREY = RGB[..., 0]


def read_three(path: Path) -> NDArray[Any]:
    return read_image(path, channels=3, dtype=np.dtype(np.uint8))


def read_grey(path: Path) -> NDArray[Any]:
    return read_image(path, channels=1, dtype=np.dtype(np.uint8))[..., 0]


UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)
DEEP = np.random.default_rng(3).integers(0, 65536, (5, 7, 4), np.uint16)


def save(pixels: NDArray[np.generic], path: Path, mode: str | None = None, **options: object) -> Path:
    Image.fromarray(pixels, mode).save(path, **options) if mode is None else Image.frombytes(
        mode, pixels.shape[1::-1], pixels.tobytes()
    ).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_rgb_comes_back_bit_equal_and_writable(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(RGB, tmp_path / f"a.{suffix}", **options)
    for read in (read_rgb, read_three):
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
    kept = read_grey(path)
    assert kept.shape == (5, 7)
    assert np.abs(kept.astype(int) - GREY).max() <= (0 if suffix == "png" else 3)
    np.testing.assert_array_equal(read_rgb(path), np.stack([kept] * 3, axis=-1))


def test_grey_with_alpha_stays_grey(tmp_path: Path) -> None:
    path = save(np.stack([GREY, 255 - GREY], axis=-1), tmp_path / "a.png", "LA")
    np.testing.assert_array_equal(read_grey(path), GREY)
    np.testing.assert_array_equal(read_rgb(path), np.stack([GREY] * 3, axis=-1))


def test_alpha_is_dropped_and_the_colours_below_stay(tmp_path: Path) -> None:
    path = save(np.dstack([RGB, np.zeros_like(GREY)]), tmp_path / "a.png", "RGBA")
    np.testing.assert_array_equal(read_rgb(path), RGB)
    np.testing.assert_array_equal(read_three(path), RGB)


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(256))])
def test_palette_is_looked_up(tmp_path: Path, transparency: int | bytes | None) -> None:
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    image = Image.frombytes("P", (7, 5), GREY.tobytes())
    image.putpalette(palette.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "a.png", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (read_rgb, read_three):
            np.testing.assert_array_equal(read(tmp_path / "a.png"), palette[GREY])


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    bits = GREY > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "1"
    np.testing.assert_array_equal(read_grey(tmp_path / "a.png"), bits * np.uint8(255))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[..., 2], bits * np.uint8(255))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    cmyk = np.random.default_rng(2).integers(0, 256, (5, 7, 4), np.uint8)
    path = save(cmyk, tmp_path / "a.tif", "CMYK")
    inverse = 255.0 - cmyk.astype(float)
    expected = inverse[..., :3] * inverse[..., 3:] / 255.0
    for read in (read_rgb, read_three):
        assert np.abs(read(path) - expected).max() <= 1.0


# What a camera held turned writes: the stored pixels for each orientation, from those that show.
UPRIGHT_TO_STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


@pytest.mark.parametrize("orientation", UPRIGHT_TO_STORED)
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(UPRIGHT_TO_STORED[orientation](RGB)))
    stored.save(tmp_path / "a.png", exif=exif)
    stored.save(tmp_path / "a.webp", exif=exif, lossless=True)
    for name in ("a.png", "a.webp"):
        np.testing.assert_array_equal(read_rgb(tmp_path / name), RGB)
        np.testing.assert_array_equal(read_image(tmp_path / name, channels=3, dtype=UINT8), RGB)
        assert read_header(tmp_path / name, channels=3)[:2] == RGB.shape[:2]


def test_exif_orientation_is_applied_to_grey(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(GREY))).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_grey(tmp_path / "a.png"), GREY)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def write_png_16(path: Path, colour_type: int, channels: int) -> Path:
    """Write a PNG of 16 bits per channel, which Pillow can for grey only: the first channels of DEEP."""
    rows = b"".join(b"\0" + row.tobytes() for row in DEEP[..., :channels].astype(">u2"))
    header = struct.pack(">IIBBBBB", DEEP.shape[1], DEEP.shape[0], 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(
    ("colour_type", "channels", "mode"),
    [(0, 1, "I;16B"), (2, 3, "RGB;16B"), (4, 2, "LA;16B"), (6, 4, "RGBA;16B")],
)
def test_png_of_16_bits_is_refused_where_8_are_wanted(
    tmp_path: Path, colour_type: int, channels: int, mode: str
) -> None:
    path = write_png_16(tmp_path / "deep.png", colour_type, channels)
    with pytest.raises(DataError, match=f"deep.png: mode {mode} is not 8-bit"):
        read_rgb(path)


@pytest.mark.parametrize(("colour_type", "bands"), [(0, 1), (2, 3), (6, 4)])
def test_png_of_16_bits_keeps_all_of_them(tmp_path: Path, colour_type: int, bands: int) -> None:
    path = write_png_16(tmp_path / "deep.png", colour_type, bands)
    assert read_header(path, channels=3)[:3] == (5, 7, 16)
    np.testing.assert_array_equal(
        read_image(path, channels=3, dtype=UINT16), np.repeat(DEEP[..., :1], 3, 2) if bands == 1 else DEEP[..., :3]
    )
    with pytest.raises(DataError, match=r"deep.png: expected uint8 values, got uint16\.$"):
        read_image(path, channels=3, dtype=UINT8)


def test_grey_and_alpha_of_16_bits_is_refused(tmp_path: Path) -> None:
    path = write_png_16(tmp_path / "deep.png", 4, 2)
    with pytest.raises(DataError, match=r"deep.png: mode LA;16B is not 8-bit or 16-bit"):
        read_image(path, channels=3, dtype=UINT16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_tiff_of_16_bits_keeps_all_of_them(tmp_path: Path, bands: int, planar: str, byteorder: str) -> None:
    pixels = DEEP[..., 0] if bands == 1 else DEEP[..., :bands]
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(pixels, 2, 0) if bands > 1 and planar == "separate" else pixels,
        photometric="minisblack" if bands == 1 else "rgb",
        planarconfig=planar if bands > 1 else None,
        byteorder=byteorder,
        compression="zlib",
        predictor=bands != 3,
    )
    expected = np.repeat(DEEP[..., :1], 3, 2) if bands == 1 else DEEP[..., :3]
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", channels=3, dtype=UINT16), expected)
    assert read_header(tmp_path / "a.tif", channels=3)[:3] == (5, 7, 16)
    with pytest.raises(DataError, match="16"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_orientation_is_applied_to_16_bits(tmp_path: Path, orientation: int, planar: str) -> None:
    stored = UPRIGHT_TO_STORED[orientation](DEEP[..., :3])
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(stored, 2, 0) if planar == "separate" else stored,
        photometric="rgb",
        planarconfig=planar,
        extratags=[(274, 3, 1, orientation, True)],
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", channels=3, dtype=UINT16), DEEP[..., :3])
    assert read_header(tmp_path / "a.tif", channels=3)[:2] == (5, 7)


def test_8_bits_become_16_times_257(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        path = save(RGB, tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(read_image(path, channels=3, dtype=UINT16), RGB.astype(np.uint16) * 257)


@pytest.mark.parametrize("dtype", [UINT8, UINT16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_any_number_of_bands(tmp_path: Path, dtype: np.dtype[np.generic], planar: str) -> None:
    pixels = np.random.default_rng(4).integers(0, np.iinfo(dtype).max, (5, 7, 6), dtype)
    np.save(tmp_path / "a.npy", pixels)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels,
        photometric="minisblack",
        planarconfig=planar,
    )
    for name in ("a.npy", "a.tif"):
        assert read_header(tmp_path / name, channels=6) == (5, 7, 8 * dtype.itemsize, f"{dtype}x6")
        image = read_image(tmp_path / name, channels=6, dtype=dtype)
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, pixels)
        for read in (read_header, lambda path, channels: read_image(path, channels=channels, dtype=dtype)):
            with pytest.raises(DataError, match=rf"{name}: expected 5 bands, got 6"):
                read(tmp_path / name, channels=5)
            with pytest.raises(DataError, match=name):
                read(tmp_path / name, channels=3)


def test_alpha_counts_as_a_band_where_four_are_wanted(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, GREY])
    path = save(rgba, tmp_path / "a.png", "RGBA")
    np.testing.assert_array_equal(read_image(path, channels=4, dtype=UINT8), rgba)
    with pytest.raises(DataError, match=r"a\.png: expected 5 bands, got 4 \(RGBA\)\.$"):
        read_header(path, channels=5)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((5, 7, 3), np.float32), "got float32 of"),
        (np.zeros(7, np.uint8), r"got uint8 of \(7,\)"),
        (np.zeros((5, 7, 2), np.uint8), "expected 3 bands, got 2"),
        (np.array([object()]), "cannot be read"),
    ],
)
def test_unusable_arrays_are_refused(tmp_path: Path, array: NDArray[np.generic], expected: str) -> None:
    np.save(tmp_path / "a.npy", array)
    for read in (read_header, lambda path, channels: read_image(path, channels=channels, dtype=UINT8)):
        with pytest.raises(DataError, match=rf"a\.npy.*{expected}"):
            read(tmp_path / "a.npy", channels=3)


def test_one_channel_is_grey_or_luma(tmp_path: Path) -> None:
    np.save(tmp_path / "grey.npy", GREY)
    for path in (save(GREY, tmp_path / "grey.png"), tmp_path / "grey.npy"):
        np.testing.assert_array_equal(read_image(path, channels=1, dtype=UINT8), GREY[..., None])
    weights = np.array([65.481, 128.553, 24.966])
    luma = np.rint(16 + RGB / 255 @ weights)[..., None]
    np.testing.assert_array_equal(read_image(save(RGB, tmp_path / "a.png"), channels=1, dtype=UINT8), luma)
    deep = write_png_16(tmp_path / "deep.png", 2, 3)
    exact = 257 * (16 + DEEP[..., :3] / 65535 @ weights)[..., None]
    assert np.abs(read_image(deep, channels=1, dtype=UINT16) - exact).max() <= 0.51


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_first_frame_of_an_animation(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (7, 5), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    for image in (read_rgb(tmp_path / f"a.{suffix}"), read_image(tmp_path / f"a.{suffix}", channels=3, dtype=UINT8)):
        np.testing.assert_array_equal(image, np.full((5, 7, 3), (255, 0, 0)))


def plain_and_peculiar(folder: Path) -> list[Path]:
    """Files that the fast decoder may take, and such that it must not."""
    smooth = np.asarray(Image.fromarray(RGB).resize((91, 67), Image.Resampling.BICUBIC))
    colour, grey = Image.fromarray(smooth), Image.fromarray(smooth[..., 0])
    text = PngImagePlugin.PngInfo()
    text.add_text("date", "today")
    turned = Image.Exif()
    turned[0x0112] = 6
    xmp = PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    palette = colour.quantize(50)
    saves: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "rgb.png": (colour, {}), "grey.png": (grey, {}), "text.png": (colour, {"pnginfo": text}),
        "few_bits.png": (grey, {"bits": 4}), "one_bit.png": (grey.convert("1"), {}),
        "exif.png": (colour, {"exif": turned}),
        "xmp.png": (colour, {"pnginfo": xmp}), "palette.png": (palette, {}), "rgba.png": (colour.convert("RGBA"), {}),
        "la.png": (grey.convert("LA"), {}), "key.png": (colour, {"transparency": (1, 2, 3)}),
        "profile.png": (colour, {"icc_profile": b"x" * 200}),
        "moving.png": (colour, {"save_all": True, "append_images": [colour.rotate(90)]}),
        "grey.jpg": (grey, {}), "turned.jpg": (colour, {"exif": turned}), "cmyk.jpg": (colour.convert("CMYK"), {}),
        "rgb.jpg": (colour, {"keep_rgb": True}), "rgb.bmp": (colour, {}), "rgb.webp": (colour, {}),
    }  # fmt: skip
    for quality in (40, 95):
        for subsampling in (0, 1, 2):
            for progressive in (False, True):
                options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
                saves[f"{quality}_{subsampling}_{progressive}.jpg"] = (colour, options)
    for name, (image, options) in saves.items():
        image.save(folder / name, **options)
    # What Pillow does not write: the orientation behind the pixels, as a text; interlacing.
    exif_behind = chunk(b"eXIf", turned.tobytes().removeprefix(b"Exif\0\0")) + chunk(b"IEND", b"")
    (folder / "behind.png").write_bytes((folder / "rgb.png").read_bytes()[:-12] + exif_behind)
    profile = b"\nexif\n" + b"%8d\n" % len(turned.tobytes()) + turned.tobytes().hex().encode()
    raw = chunk(b"tEXt", b"Raw profile type exif\0" + profile) + chunk(b"IEND", b"")
    (folder / "raw_profile.png").write_bytes((folder / "rgb.png").read_bytes()[:-12] + raw)
    interlaced = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    pixel = chunk(b"IDAT", zlib.compress(b"\0\x01\x02\x03"))
    (folder / "interlaced.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", interlaced) + pixel + chunk(b"IEND", b"")
    )
    return sorted(folder.iterdir())


def test_every_file_comes_out_as_pillow_decodes_it(tmp_path: Path) -> None:
    for path in plain_and_peculiar(tmp_path):
        read = read_image(path, channels=3, dtype=UINT8)
        np.testing.assert_array_equal(read, read_rgb(path), err_msg=path.name)
        if path.name not in ("behind.png", "raw_profile.png"):
            header = read_header(path, channels=3)
            assert (header.height, header.width) == read.shape[:2], path.name


def test_fast_decoder_takes_plain_files_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, name = [], ""
    for decode in ("decode_image_png_u8", "decode_image_jpegturbo"):
        monkeypatch.setattr(f"sr_lightning.data.image.fast.{decode}", lambda *_: taken.append(name) or RGB)
    for path in plain_and_peculiar(tmp_path):
        name = path.name
        read_image(path, channels=3, dtype=UINT8)
    plain = {"rgb.png", "grey.png", "text.png", "grey.jpg", "rgb.jpg", "profile.png"}
    plain |= {
        f"{quality}_{s}_{progressive}.jpg" for quality in (40, 95) for s in range(3) for progressive in (0 > 1, 0 < 1)
    }
    assert set(taken) == plain


def test_what_the_fast_decoder_refuses_pillow_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NDArray[np.uint8]:
        raise RuntimeError("no")

    monkeypatch.setattr("sr_lightning.data.image.fast.decode_image_png_u8", refuse)
    np.testing.assert_array_equal(read_image(save(RGB, tmp_path / "a.png"), channels=3, dtype=UINT8), RGB)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_fast_decoder_reads_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = save(RGB, tmp_path / f"a.{suffix}")
    opened: list[Path] = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: opened.append(path) or original(path, mode))
    for name in ("read_image", "read_image_png_u8", "read_image_jpegturbo"):  # these open the file themselves
        monkeypatch.delattr(f"sr_lightning.data.image.fast.{name}")
    pillow = Image.open
    monkeypatch.setattr(Image, "open", lambda file: opened.append(file) if isinstance(file, Path) else pillow(file))
    read = read_image(path, channels=3, dtype=UINT8)
    monkeypatch.undo()
    assert opened == [path]
    np.testing.assert_array_equal(read, read_rgb(path))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_cut_file_is_refused_though_the_fast_decoder_reads_on(tmp_path: Path, suffix: str, share: float) -> None:
    content = save(RGB.repeat(40, 0).repeat(40, 1), tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=rf"cut\.{suffix} cannot be read"):
        read_image(tmp_path / f"cut.{suffix}", channels=3, dtype=UINT8)


def test_real_images_come_out_as_pillow_decodes_them(shared: Path) -> None:
    for pattern, count in (("train/BSDS300/**/*.jpg", 25), ("train/T91/*", 10), ("benchmarks/**/HR/*.png", 20)):
        paths = sorted((shared / "data").glob(pattern))
        assert len(paths) >= count
        for path in paths[:: len(paths) // count]:
            np.testing.assert_array_equal(read_image(path, channels=3, dtype=UINT8), read_rgb(path))


def test_resizing_is_pillows(tmp_path: Path) -> None:
    big = np.asarray(Image.fromarray(RGB).resize((50, 40), Image.Resampling.BILINEAR))
    expected = np.asarray(Image.fromarray(big).resize((9, 9), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resize_to_square(big, 9), expected)
    deep = resize_to_square(big.astype(np.uint16) * 257, 9)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - expected).max() < 1
    sharp = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((9, 9), np.uint8))[..., None]
    assert resize_to_square(sharp.astype(np.uint16) * 257, 7).max() == 65535


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
    for read in (read_rgb, lambda path: read_image(path, channels=3, dtype=UINT16)):
        with pytest.raises(ValueError, match=rf"a.tif: mode {mode} is not 8-bit or 16-bit .*\.$"):
            read(tmp_path / "a.tif")
    with pytest.raises(DataError, match=f"mode {mode}"):
        read_header(tmp_path / "a.tif", channels=3)


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
