from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.functional.resize import downscale_uint8

HR = torch.randint(0, 256, (2, 3, 24, 36), dtype=torch.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("rounding", ["uint8_each", "end"])
def test_follows_its_rule(scale: int, border: str, rounding: str) -> None:
    lr = Bicubic(scale=scale, border=border, rounding=rounding).downscale(HR)
    assert lr.dtype == torch.uint8
    assert lr.shape == (2, 3, 24 // scale, 36 // scale)
    assert torch.equal(lr, downscale_uint8(HR, scale, border=border, rounding=rounding))


def test_floats_get_what_their_8_bit_image_gets() -> None:
    degradation = Bicubic(scale=4)
    lr = degradation(HR / 255 + 0.3 / 255, samples=[0, 1], seed=0)
    assert torch.equal(lr, degradation.downscale(HR) / 255)


def test_16_bit_images_keep_their_levels() -> None:
    hr = torch.randint(0, 65536, (1, 3, 24, 36), dtype=torch.int32).to(torch.uint16)
    lr = Bicubic(scale=2).downscale(hr)
    assert torch.equal(lr, downscale_uint8(hr, 2, levels=65536))


def test_every_parameter_changes_the_result_and_the_name() -> None:
    rules = [
        Bicubic(scale=scale, border=border, rounding=rounding)
        for scale, border, rounding in product((2, 4), ("symmetric", "replicate"), ("uint8_each", "end"))
    ]
    assert len({rule.name for rule in rules}) == len(rules)
    assert len({rule.downscale(HR).numpy().tobytes() for rule in rules}) == len(rules)


def test_the_defaults_are_the_published_rule_and_the_yaml_says_the_same(repository: Path) -> None:
    assert Bicubic(scale=4).name == "bicubic_x4_symmetric_uint8_each"
    configured = yaml.safe_load((repository / "conf" / "degradation" / "bicubic.yaml").read_text())
    assert configured == {
        "_target_": "sr_lightning.degradations.bicubic.Bicubic",
        "scale": "${scale}",
        "border": "symmetric",
        "rounding": "uint8_each",
    }


def test_is_made_once_for_an_image() -> None:
    assert Bicubic(scale=4).stored
    assert Bicubic(scale=4).margin == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, "scale must be a whole number from 1 on"),
        ({"scale": 4, "border": "reflect"}, "border must be one of symmetric, replicate; got 'reflect'"),
        ({"scale": 4, "rounding": "none"}, "must be rounded"),
    ],
)
def test_a_wrong_rule_is_refused_when_it_is_made(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bicubic(**arguments)


def test_refuses_a_size_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match="divisible by 4, got 23x36; modcrop first"):
        Bicubic(scale=4).downscale(HR[..., :23, :])
