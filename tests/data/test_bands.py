from pathlib import Path

import numpy as np
import pytest

from sr_lightning.data.bands import BAND, ROWS, Bands, choose_band, split


@pytest.fixture
def images() -> list[np.ndarray]:
    draws = np.random.default_rng(0)
    widths = (1, BAND - 1, BAND, BAND + 1, 3 * BAND, 3 * BAND + 7)
    return [draws.integers(0, 65536, (5 + n, width, 2), np.uint16) for n, width in enumerate(widths)]


@pytest.fixture(params=[BAND, ROWS])
def bands(images: list[np.ndarray], tmp_path: Path, request: pytest.FixtureRequest) -> Bands:
    width: int = request.param
    content = b"".join(band.tobytes() for image in images for band in split(image, width))
    (tmp_path / "a.bin").write_bytes(content)
    ends = np.cumsum([image.size for image in images])
    sizes = np.array([image.shape[:2] for image in images], np.int64)
    starts = ends - [image.size for image in images]
    return Bands(tmp_path / "a.bin", np.dtype(np.uint16), starts=starts, sizes=sizes, channels=2, band=width)


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
    starts, sizes = np.zeros(1, np.int64), np.array([[0, 3]])
    empty = Bands(tmp_path / "a.bin", np.dtype(np.uint8), starts=starts, sizes=sizes, channels=3, band=BAND)
    assert empty.whole(0).shape == (0, 3, 3)


@pytest.mark.parametrize(("available", "band"), [(None, BAND), (199, BAND), (200, ROWS)])
def test_images_lie_in_rows_where_they_fit_into_memory_easily(available: int | None, band: int) -> None:
    assert choose_band(100, available=available) == band
