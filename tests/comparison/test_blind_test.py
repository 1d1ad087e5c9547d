"""What answers of a blind test tell, against scipy's interval and by simulation."""

import random
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from sr_lightning.comparison.blind_test import (
    Answer,
    as_dict,
    from_dict,
    order,
    preference,
    questions,
    sentence,
    wilson,
)
from sr_lightning.refusal import Refusal
from sr_lightning.report.samples import Facts, write_samples


def write_run(folder: Path, *, images: int, value: int, box: int = 0, side: int = 12) -> Path:
    pictures = {key: np.full((24, 24, 3), 100, np.uint8) for key in ("bicubic", "hr", "whole")}
    pictures |= {"sr": np.full((24, 24, 3), value, np.uint8), "lr": np.full((side, side, 3), 100, np.uint8)}
    facts = [Facts("Set5", f"image{i}", (box, 0, 24, 24), (48, 48), 30.0, 0.9, 28.0, 0.8) for i in range(images)]
    write_samples(folder, [(each, pictures) for each in facts], side=24)
    return folder


def answers(*choices: str, observer: str = "me", left: str = "A") -> list[Answer]:
    return [Answer(f"q{index}", observer, left, choice, 1.0) for index, choice in enumerate(choices)]


@pytest.mark.parametrize(
    ("left", "choice", "expected"),
    [
        ("A", "left", "A"), ("A", "right", "B"), ("B", "left", "B"), ("B", "right", "A"), ("A", "same", None),
        ("B", "same", None),
    ],
)  # fmt: skip
def test_the_side_says_which_run_was_meant(left, choice, expected):
    answer = Answer("q", "me", left, choice, 1.0)
    assert answer.preferred == expected
    assert from_dict(as_dict(answer)) == answer


@pytest.mark.parametrize(("chosen", "count"), [(0, 5), (5, 5), (7, 10), (50, 100), (1, 1)])
def test_the_interval_is_scipys(chosen: int, count: int):
    truth = binomtest(chosen, count).proportion_ci(method="wilson")
    assert wilson(chosen / count, count) == pytest.approx((truth.low, truth.high), abs=1e-12)
    found = preference(answers(*["left"] * chosen, *["right"] * (count - chosen), "same"))
    assert (found.low, found.high) == pytest.approx((truth.low, truth.high), abs=1e-12)
    assert (found.a, found.b, found.same) == (chosen, count - chosen, 1)


def test_observers_who_answer_alike_count_little_more_than_one():
    """Ten people who agree on each of eight crops tell of eight crops, not of eighty answers."""
    choices = ["left"] * 5 + ["right"] * 3
    alike = [answer for number in range(10) for answer in answers(*choices, observer=str(number))]
    one, ten = preference(answers(*choices)), preference(alike)
    assert (ten.observers, ten.images, ten.share) == (10, 8, one.share)
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.01)


def test_observers_who_answer_by_chance_count_each():
    draws = random.Random(0)
    several = [
        Answer(f"q{image}", str(observer), "A", draws.choice(["left", "right"]), 1.0)
        for image in range(40)
        for observer in range(10)
    ]
    found = preference(several)
    width = 2 * 1.96 * np.sqrt(0.25 / 400)
    assert found.high - found.low == pytest.approx(width, rel=0.25)


def test_when_all_agree_on_one_crop_it_is_one_answer():
    found = preference([answer for number in range(9) for answer in answers("left", observer=str(number))])
    assert (found.low, found.high) == pytest.approx(wilson(1.0, 1))


def test_words():
    assert sentence(preference([]), a="X", b="Y") == "No answers yet: nothing was recorded."
    assert "Nobody saw a difference between X and Y (2 answers)" in sentence(
        preference(answers("same", "same")), a="X", b="Y"
    )
    assert "cannot tell" in sentence(preference(answers("left", "left", "right")), a="X", b="Y")
    told = sentence(preference(answers(*["left"] * 12)), a="X", b="Y")
    assert "X was preferred to Y in 12 of 12 decided answers: 100 %" in told
    assert "more than chance" in told
    assert "more than chance" in sentence(preference(answers(*["right"] * 12)), a="X", b="Y")


def test_the_order_is_the_observers_own_and_stays():
    first = order(21, seed=0, observer="me")
    assert first == order(21, seed=0, observer="me")
    assert first != order(21, seed=0, observer="you")
    assert first != order(21, seed=1, observer="me")
    assert sorted(number for number, _ in first) == list(range(21))
    assert sum(side == "A" for _, side in first) in (10, 11)


def test_questions_are_the_crops_that_both_have(tmp_path: Path):
    a = write_run(tmp_path / "a", images=3, value=10)
    b = write_run(tmp_path / "b", images=2, value=20)
    found = questions(a, b)
    assert [question.name for question in found] == ["Set5/image0", "Set5/image1"]
    assert found[0].a.parent.parent == a
    assert found[0].b.parent.parent == b


def test_runs_without_common_crops_are_refused(tmp_path: Path):
    a = write_run(tmp_path / "a", images=1, value=10)
    with pytest.raises(Refusal, match="no crops of the same images"):
        questions(a, write_run(tmp_path / "b", images=1, value=10, box=24))
    with pytest.raises(Refusal, match="at the same scale"):
        questions(a, write_run(tmp_path / "c", images=1, value=10, side=6))
    with pytest.raises(Refusal, match=r"expected two runs, got .* twice"):
        questions(a, tmp_path / "b" / ".." / "a")
    with pytest.raises(Refusal, match="holds no samples"):
        questions(a, tmp_path)


def test_damaged_samples_are_refused(tmp_path: Path):
    a, b = (write_run(tmp_path / name, images=1, value=10) for name in "ab")
    (b / "samples" / "Set5_image0_sr.png").unlink()
    with pytest.raises(Refusal, match=r"got .*Set5_image0_sr.png, which cannot be read"):
        questions(a, b)
    (a / "samples" / "samples.json").write_text("{")
    with pytest.raises(Refusal, match=r"got .*samples.json, which is none"):
        questions(a, b)
