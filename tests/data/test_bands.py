from pathlib import Path

import numpy as np
import pytest

from sr_lightning.data.bands import BAND, Bands, split


@pytest.fixture
def images() -> list[np.ndarray]:
    draws = np.random.default_rng(0)
    widths = (1, BAND - 1, BAND, BAND + 1, 3 * BAND, 3 * BAND + 7)
    return [draws.integers(0, 65536, (5 + n, width, 2), np.uint16) for n, width in enumerate(widths)]


@pytest.fixture
def bands(images: list[np.ndarray], tmp_path: Path) -> Bands:
    content = b"".join(band.tobytes() for image in images for band in split(image))
    (tmp_path / "a.bin").write_bytes(content)
    ends = np.cumsum([image.size for image in images])
    sizes = np.array([image.shape[:2] for image in images], np.int64)
    return Bands(
        tmp_path / "a.bin", np.dtype(np.uint16), starts=ends - [image.size for image in images], sizes=sizes, channels=2
    )


def test_whole_images_come_back(images: list[np.ndarray], bands: Bands) -> None:
    for n, image in enumerate(images):
        np.testing.assert_array_equal(bands.whole(n), image)


def test_patches_come_back_wherever_bands_meet(images: list[np.ndarray], bands: Bands) -> None:
    image = images[-1]
    width = image.shape[1]
    for columns in (1, 10, BAND, BAND + 10, width):
        for left in {0, BAND - 10, BAND - 1, BAND, BAND + 5, 3 * BAND - 3, width - columns}:
            if 0 <= left <= width - columns:
                patch = np.empty((4, columns, 2), np.uint16)
                bands.cut(5, 2, left, patch)
                np.testing.assert_array_equal(patch, image[2:6, left : left + columns])


def test_patch_may_be_part_of_a_batch_in_any_memory(images: list[np.ndarray], bands: Bands) -> None:
    planes = np.empty((2, 2, 4, 300), np.uint16)  # (N, C, H, W)
    bands.cut(4, 1, 100, planes[1].transpose(1, 2, 0))
    np.testing.assert_array_equal(planes[1].transpose(1, 2, 0), images[4][1:5, 100:400])


def test_file_of_no_pixel(tmp_path: Path) -> None:
    (tmp_path / "a.bin").touch()
    empty = Bands(
        tmp_path / "a.bin", np.dtype(np.uint8), starts=np.zeros(1, np.int64), sizes=np.array([[0, 3]]), channels=3
    )
    assert empty.whole(0).shape == (0, 3, 3)
