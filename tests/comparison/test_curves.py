"""Curves are thinned without losing what was validated."""

import math

import pytest

from sr_lightning.comparison.curves import ROWS, read_curves


def write(path, rows, names="step,train/loss,val/psnr"):
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


def test_few_rows_are_read_as_they_are(tmp_path):
    path = write(tmp_path / "metrics.csv", ["1,0.25,", "2,0.123456789,28.4305256", "3,nan,"])
    assert read_curves(path) == {
        "step": [1, 2, 3],
        "train/loss": [0.25, 0.12346, None],
        "val/psnr": [None, 28.431, None],
        "hr_pixels": [None, None, None],
    }


def test_hr_pixels_are_read_or_follow_from_the_run(tmp_path):
    path = write(tmp_path / "a.csv", ["10,0.5,", "20,0.4,30"])
    assert read_curves(path, steps=20, hr_pixels=2000)["hr_pixels"] == [1000, 2000]
    path = write(tmp_path / "b.csv", ["10,777,", "20,,30"], names="step,train/hr_pixels,val/psnr")
    curves = read_curves(path, steps=20, hr_pixels=2000)
    assert curves["hr_pixels"] == [777, 2000]
    assert "train/hr_pixels" not in curves


@pytest.mark.parametrize("every", [100, 10, 1])
def test_many_rows_are_thinned_and_validations_kept_first(tmp_path, every):
    rows = [f"{step},{1 / step},{30 if step % every == 0 else ''}" for step in range(1, 5001)]
    curves = read_curves(write(tmp_path / "metrics.csv", rows))
    assert len(curves["step"]) == ROWS
    assert curves["step"] == sorted(curves["step"])
    assert curves["step"][-1] == 5000
    validated = [step for step, psnr in zip(curves["step"], curves["val/psnr"], strict=True) if psnr is not None]
    assert len(validated) == min(5000 // every, ROWS)
    # Nowhere a gap.
    assert max(b - a for a, b in zip(curves["step"], curves["step"][1:], strict=False)) <= math.ceil(2 * 5000 / 200)


@pytest.mark.parametrize("text", [None, "", "step,train/loss\n"])
def test_without_rows_there_are_no_curves(tmp_path, text):
    path = tmp_path / "metrics.csv"
    if text is not None:
        path.write_text(text)
    assert read_curves(path) == {}


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    """Also where only digits of its last number are missing."""
    for last in ("2,0.4", "2,0.4,3"):
        path = write(tmp_path / "metrics.csv", ["1,0.5,", last])
        path.write_text(path.read_text().removesuffix("\n"))
        assert read_curves(path)["step"] == [1]
