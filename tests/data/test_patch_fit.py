"""Patches that a set's images are too small for, by the images' headers."""

import pytest

from sr_lightning.data import patch_fit as module
from sr_lightning.data.patch_fit import Patch, check_patch
from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import Part


@pytest.fixture
def part(tmp_path, save_image):
    """A set with images of given shorter sides; 0 for a file that is no image."""

    def make(*sides, name="t91"):
        files = []
        for number, side in enumerate(sides):
            path = tmp_path / name / f"{number}.png"
            if side:
                save_image(path, side + 7, side)
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"no image")
            files.append(path)
        return Part(name, files)

    return make


def problem(parts, patch, max_skipped):
    with pytest.raises(DataError) as caught:
        check_patch(parts, patch, max_skipped=max_skipped)
    return str(caught.value)


def test_the_largest_patch_that_fits_is_named(part):
    sets = [part(20, 30, 41, 60)]
    text = problem(sets, Patch("data.lr_patch", 12, hr_pixels=4), 0.25)
    assert text == (
        "data.lr_patch=12: 3 of 4 images of t91 are smaller than 48x48 pixels, more than the share "
        "data.max_skipped=0.25 allows; data.lr_patch=7 keeps 3 of 4."
    )
    check_patch(sets, Patch("data.lr_patch", 7, hr_pixels=4), max_skipped=0.25)
    with pytest.raises(DataError):
        check_patch(sets, Patch("data.lr_patch", 8, hr_pixels=4), max_skipped=0.25)
    # 30 pixels, in steps of what the network takes.
    assert "data.hr_patch=24 keeps 3 of 4" in problem(sets, Patch("data.hr_patch", 48, multiple=8), 0.25)
    assert "data.hr_patch=20 keeps 4 of 4" in problem(sets, Patch("data.hr_patch", 48), 0)
    assert "no patch that the networks take is small enough" in problem(
        sets, Patch("data.hr_patch", 48, multiple=8, smallest=32), 0.25
    )


def test_what_suits_all_sets_of_a_mixture_is_named(part):
    sets = [part(50, 50), part(30, 30, 60, name="small"), part(40, 40, name="middle")]
    text = problem(sets, Patch("data.hr_patch", 48), 0.1)
    assert "2 of 3 images of small are smaller than 48x48" in text
    assert "data.hr_patch=30 keeps 3 of 3" in text
    check_patch(sets, Patch("data.hr_patch", 30), max_skipped=0.1)


def test_unreadable_files_are_left_out_too(part):
    sets = [part(0, 30, 50, 50)]
    check_patch(sets, Patch("data.hr_patch", 30), max_skipped=0.25)
    assert "data.hr_patch=30 keeps 3 of 4" in problem(sets, Patch("data.hr_patch", 48), 0.25)
    # No patch helps; the run says which files are damaged.
    check_patch([part(0, 0, 50, name="damaged")], Patch("data.hr_patch", 96), max_skipped=0.25)


def test_of_large_sets_some_are_looked_at(part, monkeypatch):
    monkeypatch.setattr(module, "_MOST_HEADERS", 3)
    sets = [part(30, 60, 30, 60, 30, 60)]
    text = problem(sets, Patch("data.hr_patch", 48), 0.9)
    assert "data.hr_patch=48: 3 of 3 images looked at, of 6, of t91 are smaller" in text
    # What was not looked at may be larger: a share near the limit is the run's to judge.
    monkeypatch.setattr(module, "_UNCERTAIN", 0.1)
    check_patch(sets, Patch("data.hr_patch", 48), max_skipped=0.9)
