import hashlib
import sys

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.image import read_rgb
from sr_lightning.data.sample import sample_images
from sr_lightning.data.scan import DataError

EXPECTED = {
    "train": [
        "astronaut", "brick", "coins", "grass", "gravel", "hubble_deep_field", "ihc", "moon",
        "motorcycle_left", "motorcycle_right", "retina",
    ],
    "val": ["camera", "coffee"],
    "test": ["chelsea", "rocket"],
}  # fmt: skip


def test_split_is_fixed() -> None:
    assert {part: [path.stem for path in paths] for part, paths in sample_images().items()} == EXPECTED


def test_no_image_is_in_two_parts_and_both_views_of_the_motorcycle_are_in_one() -> None:
    images = sample_images()
    digests = [hashlib.sha256(path.read_bytes()).digest() for paths in images.values() for path in paths]
    assert len(set(digests)) == len(digests) == 15
    parts = {part for part, paths in images.items() for path in paths if path.stem.startswith("motorcycle")}
    assert parts == {"train"}


@pytest.mark.parametrize("part", EXPECTED)
def test_every_image_is_a_photograph_large_enough_for_any_patch(part: str) -> None:
    for path in sample_images()[part]:
        image = read_rgb(path)
        assert min(image.shape[:2]) >= 288
        # Drawings and synthetic pictures have few grey levels or large areas of one value.
        histogram = np.bincount(np.asarray(Image.fromarray(image).convert("L")).ravel(), minlength=256)
        assert np.count_nonzero(histogram) >= 100, path.name
        assert histogram.max() < 0.4 * histogram.sum(), path.name


def test_missing_scikit_image_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install scikit-image"):
        sample_images()


def test_missing_photograph_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    spec = sys.modules[__name__].__spec__
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(DataError, match=r"expects astronaut\.png, .*rocket\.jpg in .*; reinstall scikit-image"):
        sample_images()
