"""Degradations under names of their own, from what a person types to what makes LR."""

from typing import Any

import pytest

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.named_degradations import SEED, build_degradations, degradation_nodes
from sr_lightning.refusal import Refusal


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, {}),
        ("blur_down", {"blur_down": "blur_down_x4_1.6_12_symmetric"}),
        (["resize", "bicubic"], {"resize": "resize_pil_x4", "bicubic": "bicubic_x4_symmetric_uint8_each"}),
        ({"blur_down": None}, {"blur_down": "blur_down_x4_1.6_12_symmetric"}),
        ({"cv2": {"degradation": "resize", "kind": "cv2"}}, {"cv2": "resize_cv2_x4"}),
        ({"pillow": "resize", "soft": {"degradation": "blur_down", "sigma": 0.8}},
         {"pillow": "resize_pil_x4", "soft": "blur_down_x4_0.8_8_symmetric"}),
    ],
)  # fmt: skip
def test_names_lists_and_values_of_ones_own(given: Any, names: dict[str, str]) -> None:
    built = build_degradations(given, scale=4)
    assert list(built) == list(names)
    for name, degradation in built.items():
        assert degradation.scale == 4
        assert degradation.name.startswith(names[name].partition("_x4")[0] + "_x4")
    if given is None:
        return
    different = [degradation.name for degradation in built.values()]
    assert len(set(different)) == len(different)


def test_what_is_not_said_is_as_in_the_yaml() -> None:
    [node] = degradation_nodes({"jpeg": {"degradation": "classical", "jpeg": {"quality": [10, 20]}}}, scale=3).values()
    expected = Composer("evaluate").compose(["degradation=classical", "scale=3"]).tree["degradation"]
    assert node == {**expected, "jpeg": {**expected["jpeg"], "quality": [10, 20]}}


def test_the_seed_is_that_of_evaluate() -> None:
    assert Composer("evaluate").compose([]).tree["seed"] == SEED


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["blur_dwn"], "degradations.blur_dwn: expected one of .*, got 'blur_dwn'; did you mean 'blur_down'"),
        ({"mine": {"sigma": 3}},
         "degradations.mine: expected the degradation whose values these are, got sigma alone; add degradation: "
         r"blur_down or noise_down\."),
        ({"mine": {"sgma": 3}}, "got sgma alone; add degradation: bicubic or blur_down or"),
        ({"blur_dwn": {"sigma": 3}}, "got 'blur_dwn'; did you mean 'blur_down'"),
        ({"mine": {"degradation": "noise_down", "scale": 2}},
         r"degradations.mine: expected the scale of what is scored, 4, got scale: 2; leave it out\."),
        ({"a/b": "resize"}, "names of letters, digits, _ and -, got 'a/b'"),
        ({"a.b": "resize"}, "got 'a.b'"),
        ({"resize": {"knd": "pil"}}, "degradations.resize: resize has no key 'knd'; it has kind; did you mean 'kind'"),
        ({"x": 3}, "degradations.x: expected the name of a degradation, or keys of one, got 3"),
    ],
)  # fmt: skip
def test_refused_before_torch(given: Any, expected: str) -> None:
    with pytest.raises(Refusal, match=expected):
        degradation_nodes(given, scale=4)


def test_a_value_that_its_class_refuses_is_named() -> None:
    with pytest.raises(Refusal, match=r"^degradations\.mine: kind must be one of pil, cv2, bilinear; got 'lanczos'"):
        build_degradations({"mine": {"degradation": "resize", "kind": "lanczos"}}, scale=4)
