"""Comparing published LR with ours."""

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.official_lr import Comparison, compare_lr


class TwoImages:
    """As much of a store as the comparison looks at: LR of 3x4 pixels."""

    names = ("set/0001.png", "set/0002.png")
    channels = 3
    dtype = np.dtype(np.uint8)

    def lr(self, index, scale):
        assert scale == 4
        return np.full((3, 4, 3), 100 + index, np.uint8)


@pytest.fixture
def published(tmp_path):
    def save(name, values):
        Image.fromarray(values).save(tmp_path / name)

    for index in range(2):
        save(f"000{index + 1}x4.png", TwoImages().lr(index, 4))
    save("0003x4.png", TwoImages().lr(0, 4))
    return tmp_path, save


def test_equal(published):
    comparison = compare_lr(TwoImages(), published[0], scale=4)
    assert comparison == Comparison(images=2, equal=2, differing=0.0, largest=0, other_size=0)
    assert str(comparison) == "all 2 are bit-equal to ours"


def test_different(published):
    folder, save = published
    values = TwoImages().lr(1, 4)
    values[0, 0] = (101, 99, 106)  # two of 72 values differ, the most by 5; unsigned values must not wrap
    save("0002x4.png", values)
    comparison = compare_lr(TwoImages(), folder, scale=4)
    assert comparison == Comparison(images=2, equal=1, differing=2 / 72, largest=5, other_size=0)
    assert str(comparison) == "1 of 2 are bit-equal to ours; 2.78% of the values differ, by up to 5"


def test_other_sizes_and_broken_files(published):
    folder, save = published
    save("0001x4.png", np.zeros((4, 4, 3), np.uint8))
    comparison = compare_lr(TwoImages(), folder, scale=4)
    assert comparison == Comparison(images=2, equal=1, differing=0.0, largest=0, other_size=1)
    (folder / "0002x4.png").write_bytes(b"broken")
    comparison = compare_lr(TwoImages(), folder, scale=4)
    assert (comparison.equal, comparison.other_size) == (0, 2)
    assert str(comparison).endswith("; 2 have another size or cannot be read")


def test_other_names(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "baby.png")
    assert compare_lr(TwoImages(), tmp_path, scale=4) is None
