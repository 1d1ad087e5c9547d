import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_lightning.degradations.jpeg import _LUMINANCE, RandomJpeg, compress, quantisation_table
from sr_lightning.functional.draws import Draws


def pillow(image: Tensor, quality: int) -> np.ndarray:
    """`(C, H, W)` in 8-bit levels, to the levels that libjpeg decodes, `(H, W, C)` or `(H, W)`."""
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).squeeze(-1).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def ours(image: Tensor, quality: int) -> np.ndarray:
    levels = compress(image[None], np.array([quality]))[0] * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    return levels.round().permute(1, 2, 0).squeeze(-1).numpy()


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize("quality", [10, 30, 49, 50, 75, 95, 100])
@pytest.mark.parametrize(("height", "width"), [(240, 256), (101, 87)])
def test_is_libjpegs(quality: int, height: int, width: int, photograph: Tensor) -> None:
    image = photograph[0, :, :height, :width]
    expected = pillow(image, quality)
    assert psnr(ours(image, quality), expected) > 45
    # While what it does to an image is far greater.
    assert psnr((image * 255).permute(1, 2, 0).numpy(), expected) < 45


@pytest.mark.parametrize("quality", [10, 30, 75, 95])
def test_grey_is_libjpegs(quality: int, photograph: Tensor) -> None:
    image = photograph[0, :1, :101, :87]
    assert psnr(ours(image, quality), pillow(image, quality)) > 50


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (8, 8), (17, 16)])
def test_small_images(size: tuple[int, int], photograph: Tensor) -> None:
    image = photograph[0, :, 100 : 100 + size[0], 60 : 60 + size[1]]
    assert psnr(ours(image, 75), pillow(image, 75)) > 40


def test_tables_are_libjpegs() -> None:
    for quality in (1, 30, 50, 77, 100):
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
        table = Image.open(file).quantization[0]
        assert quantisation_table(_LUMINANCE, np.array([quality]))[0].tolist() == table


def test_each_image_has_its_quality_and_0_is_none(photograph: Tensor) -> None:
    images = torch.cat([photograph[..., n * 20 : n * 20 + 64, :80] for n in range(4)])
    mixed = compress(images, np.array([30, 0, 90, 0]))
    assert torch.equal(mixed[[1, 3]], images[[1, 3]])
    assert torch.equal(mixed[0], compress(images[:1], np.array([30]))[0])
    assert torch.equal(mixed[2], compress(images[2:3], np.array([90]))[0])
    assert compress(images, np.zeros(4, np.int64)) is images


def test_other_numbers_of_channels_are_compressed_as_grey_images(photograph: Tensor) -> None:
    images = torch.cat([photograph, photograph.flip(1)], dim=1)[:, :5, :48, :40]
    together = compress(images, np.array([40]))
    for channel in range(5):
        alone = compress(images[:, channel : channel + 1], np.array([40]))
        assert torch.equal(together[:, channel : channel + 1], alone)


def test_what_is_out_of_range_is_clipped() -> None:
    images = torch.tensor([-3.0, 4.0]).reshape(2, 1, 1, 1).expand(2, 3, 16, 16)
    compressed = compress(images, np.array([95, 95]))
    assert compressed[0].max() <= 2 / 255
    assert compressed[1].min() >= 253 / 255


def test_qualities_are_drawn_evenly_both_ends_included() -> None:
    quality = RandomJpeg(probability=0.9, quality=[30, 95]).draw(Draws(range(20_000), seed=0, purpose="test"))
    assert (quality == 0).mean() == pytest.approx(0.1, abs=0.01)
    drawn = quality[quality > 0]
    assert [drawn.min(), drawn.max()] == [30, 95]
    assert drawn.mean() == pytest.approx(62.5, abs=0.5)
    assert np.bincount(drawn)[30:].std() < 0.1 * np.bincount(drawn)[30:].mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 2, "quality": [30, 95]}, "probability must be a probability"),
        ({"probability": 1, "quality": [0, 95]}, r"quality must lie in 1..100, got \[0, 95\]"),
        ({"probability": 1, "quality": [95, 30]}, r"quality must be \[lowest, highest\]"),
        ({"probability": 1, "quality": [30, 101]}, "quality must lie in 1..100"),
    ],
)
def test_refuses_other_qualities(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomJpeg(**arguments)
