"""One image through a network, whatever kind of image it is."""

import numpy as np
import pytest
import torch
from PIL import Image

import sr_lightning
from sr_lightning.engine.upscaler import Upscaler
from sr_lightning.functional.quantize import from_uint8, to_uint8
from sr_lightning.functional.resize import imresize
from sr_lightning.networks.bicubic import Bicubic

CPU = torch.device("cpu")


@pytest.fixture(params=["rgb", "luma"])
def upscaler(request, rgb_checkpoint, luma_checkpoint):
    return sr_lightning.load(rgb_checkpoint if request.param == "rgb" else luma_checkpoint, device="cpu")


@pytest.fixture
def bicubic():
    """What it makes of an image is known without it."""
    return Upscaler(Bicubic(scale=2), device=CPU)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def large(array):
    """MATLAB's bicubic of an array (H, W)."""
    sr = imresize(from_uint8(torch.from_numpy(array))[None, None], 2)
    return to_uint8(sr.clamp(0, 1))[0, 0].numpy()


@pytest.mark.parametrize("shape", [(7, 9, 3), (7, 9), (7, 9, 1), (1, 1, 3)])
def test_arrays_tensors_and_pillow_images_agree(upscaler, shape):
    array = pixels(*shape)
    sr = upscaler(array)
    assert sr.dtype == np.uint8
    assert sr.shape == (2 * shape[0], 2 * shape[1], *shape[2:])

    planes = torch.from_numpy(array.reshape(*shape[:2], -1)).permute(2, 0, 1)
    expected = torch.from_numpy(sr.reshape(*sr.shape[:2], -1)).permute(2, 0, 1)
    assert torch.equal(upscaler(planes), expected)
    assert torch.equal(upscaler(torch.stack([planes, planes.flip(2)]))[0], expected)
    floats = upscaler(array.astype(np.float64) / 255)
    assert floats.dtype == np.float64
    assert 0 <= floats.min() <= floats.max() <= 1
    assert np.abs(floats * 255 - sr).max() <= 0.51
    assert torch.equal(to_uint8(upscaler(from_uint8(planes))), expected)
    assert np.array_equal(
        np.array(upscaler(Image.fromarray(array[..., 0] if shape[2:] == (1,) else array))).reshape(sr.shape), sr
    )


def test_it_is_the_network(rgb_checkpoint):
    upscaler = sr_lightning.load(str(rgb_checkpoint), device="cpu")
    lr = torch.rand(2, 3, 6, 5)
    expected = upscaler.network(lr).clamp(0, 1)
    assert upscaler.scale == 2
    torch.testing.assert_close(upscaler(lr), expected)
    assert not upscaler(lr).requires_grad


def test_self_ensemble_is_the_mean_over_eight_views(rgb_checkpoint):
    upscaler = sr_lightning.load(str(rgb_checkpoint), device="cpu", self_ensemble=True)
    plain = sr_lightning.load(str(rgb_checkpoint), device="cpu")
    lr, total = torch.rand(1, 3, 6, 5), 0
    with torch.no_grad():
        for turns in range(4):
            turned = torch.rot90(lr, turns, (2, 3))
            total = total + torch.rot90(plain.network(turned), -turns, (2, 3))
            total = total + torch.rot90(plain.network(turned.flip(3)).flip(3), -turns, (2, 3))
    # Clamped once, at the end.
    torch.testing.assert_close(upscaler(lr), (total / 8).clamp(0, 1))
    assert (upscaler(lr) - plain(lr)).abs().max() > 1e-3


def test_views_and_read_only_arrays(upscaler):
    array = pixels(8, 9, 3)
    array.setflags(write=False)
    assert np.array_equal(upscaler(array[::-1, ::2]), upscaler(np.ascontiguousarray(array[::-1, ::2])))


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"got shape \(4, 4, 2\)"),
        (np.zeros((4,), np.uint8), "expected an array"),
        (np.zeros((4, 4), np.int32), "expected uint8 or floats"),
        (np.zeros((4, 4), bool), "expected uint8 or floats"),
        (torch.zeros(4, 4), "expected images"),
        (torch.zeros(1, 4, 4, 4), "expected images"),
        (Image.new("I;16", (4, 4)), "not 8-bit"),
        (Image.new("F", (4, 4)), "not 8-bit"),
    ],
)
def test_other_shapes_and_depths_are_refused(bicubic, image, error):
    with pytest.raises(ValueError, match=error):
        bicubic(image)


def test_other_kinds_are_refused(bicubic):
    with pytest.raises(TypeError, match="got list"):
        bicubic([[1]])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_each_channel_goes_up_and_alpha_is_not_blended_in(bicubic, mode):
    bands = [pixels(6, 7, seed=seed) for seed in range(len(mode))]
    image = Image.merge(mode, [Image.fromarray(band) for band in bands])
    sr = bicubic(image)
    assert (sr.mode, sr.size) == (mode, (14, 12))
    for band, expected in zip(sr.split(), bands, strict=True):
        assert np.abs(np.array(band).astype(int) - large(expected)).max() <= 1  # grey is a mean of three


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(bicubic, tmp_path, transparent):
    indices = pixels(6, 7) % 4
    image = Image.frombytes("P", (7, 6), indices.tobytes())
    colours = pixels(4, 3, seed=1)
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "p.png", **({"transparency": bytes([0, 255, 128, 255])} if transparent else {}))

    sr = bicubic(Image.open(tmp_path / "p.png"))

    assert sr.mode == ("RGBA" if transparent else "RGB")
    for channel in range(3):
        assert np.array_equal(np.array(sr)[..., channel], large(colours[indices][..., channel]))
    if transparent:
        assert np.array_equal(np.array(sr)[..., 3], large(np.array([0, 255, 128, 255], np.uint8)[indices]))


def test_one_bit_and_cmyk(bicubic):
    assert bicubic(Image.new("1", (5, 4), 1)).mode == "L"
    assert np.array(bicubic(Image.new("1", (5, 4), 1))).min() == 255
    assert bicubic(Image.new("CMYK", (5, 4))).mode == "RGB"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(bicubic, tmp_path, orientation):
    image = Image.fromarray(pixels(6, 9, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    sr = bicubic(Image.open(tmp_path / "a.png"))
    upright = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
    }[orientation]  # fmt: skip
    expected = bicubic(image if upright is None else image.transpose(upright))
    assert np.array_equal(np.array(sr), np.array(expected))
    assert 0x0112 not in sr.getexif()


def test_sixteen_bit_colour_is_noticed(bicubic, tmp_path):
    # Pillow opens a 16-bit RGB PNG as 8-bit RGB and drops the low byte.
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + bytes(6 * 4) for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )
    with pytest.raises(ValueError, match="not 8-bit"):
        bicubic(Image.open(tmp_path / "deep.png"))
