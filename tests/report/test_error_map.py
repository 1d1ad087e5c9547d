from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from sr_lightning.report.error_map import COLORS, LARGEST, colored, error_map


def test_the_colours_are_plotlys_inferno() -> None:
    assert list(COLORS) == sequential.Inferno
    anchors = colored(np.linspace(0, LARGEST, len(COLORS))[None])
    assert [tuple(color) for color in anchors[0].tolist()] == [hex_to_rgb(color) for color in sequential.Inferno]


def test_a_larger_error_is_brighter_up_to_the_largest() -> None:
    luma = colored(np.linspace(0, LARGEST, 50)[None]).astype(float)[0] @ [0.299, 0.587, 0.114]
    assert (np.diff(luma) > 0).all()
    assert (colored(np.array([[LARGEST, 1.0]])) == hex_to_rgb(COLORS[-1])).all()


def test_of_files_and_of_pictures(tmp_path: Path) -> None:
    hr = np.full((4, 6, 3), 100, np.uint8)
    sr = hr.copy()
    # One pixel differs by 30 of 255 in one channel, hence by 10 in the mean; one by more than the scale holds.
    sr[1, 2] = (130, 100, 100)
    sr[3, 5] = (255, 255, 0)
    Image.fromarray(sr).save(tmp_path / "sr.png")
    Image.fromarray(hr).save(tmp_path / "hr.png")
    drawn = error_map(tmp_path / "sr.png", tmp_path / "hr.png")
    assert (drawn.size, drawn.mode) == ((6, 4), "RGB")
    pixels = np.asarray(drawn)
    assert (pixels[0] == hex_to_rgb(COLORS[0])).all()
    assert (pixels[1, 2] == colored(np.array([[10 / 255]]))[0, 0]).all()
    assert (pixels[3, 5] == hex_to_rgb(COLORS[-1])).all()
    assert drawn.tobytes() == error_map(Image.fromarray(sr), Image.fromarray(hr)).tobytes()


def test_a_grey_picture_counts_once_per_channel() -> None:
    grey, black = Image.new("L", (3, 3), 20), Image.new("L", (3, 3), 0)
    assert (np.asarray(error_map(grey, black)) == colored(np.full((3, 3), 20 / 255))).all()


def test_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="one size, got 3x2 and 2x3"):
        error_map(Image.new("RGB", (3, 2)), Image.new("RGB", (2, 3)))
