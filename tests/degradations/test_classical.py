from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.resize import imresize

Configured = Callable[..., Any]
PLAIN = {"noise__sigma": [0.0, 0.0], "jpeg__probability": 0.0}
SHARP = PLAIN | {"blur__probability": 0.0}


def test_each_part_comes_as_often_as_configured(configured: Configured) -> None:
    drawn = configured("classical").parameters(samples=range(6000), seed=0)
    kinds = Counter(one["downsample"] for one in drawn)
    assert {kind: count / 6000 for kind, count in kinds.items()} == pytest.approx(
        {"bicubic": 1 / 3, "bilinear": 1 / 3, "area": 1 / 3}, abs=0.02
    )
    assert sum(one["blur"].startswith("iso") for one in drawn) / 6000 == pytest.approx(0.5, abs=0.02)
    assert sum(one["noise"].endswith("grey") for one in drawn) / 6000 == pytest.approx(0.5, abs=0.02)
    assert sum(one["jpeg"] == "none" for one in drawn) / 6000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_blur_noise_and_jpeg_it_is_the_downsampling(
    scale: int, configured: Configured, photograph: Tensor
) -> None:
    hr = photograph[..., : 12 * scale, : 14 * scale]
    expected = {
        "bicubic": imresize(hr, Fraction(1, scale)),
        "area": F.avg_pool2d(hr, scale),
        "bilinear": F.interpolate(hr, size=(12, 14), mode="bilinear"),
    }
    for kind, lr in expected.items():
        made = configured("classical", scale, **SHARP, downsample={kind: 1.0})(hr, samples=[5], seed=0)
        assert (made - lr.clamp(0, 1)).abs().max() <= 0.501 / 255


def test_blur_noise_and_jpeg_all_happen(configured: Configured, photograph: Tensor) -> None:
    clean = configured("classical", **SHARP)(photograph, samples=[5], seed=0)
    for changes in (
        SHARP | {"blur__probability": 1.0, "blur__sigma": [2.0, 2.0]},
        SHARP | {"noise__sigma": [10.0, 10.0]},
        SHARP | {"jpeg__probability": 1.0},
    ):
        lr = configured("classical", **changes)(photograph, samples=[5], seed=0)
        assert (lr - clean).abs().mean() > 1 / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", ["bicubic", "bilinear", "area"])
def test_the_margin_is_enough(scale: int, kind: str, configured: Configured, photograph: Tensor) -> None:
    degradation = configured("classical", scale, **PLAIN, downsample={kind: 1.0})
    cut = degradation.margin // scale
    whole = degradation(photograph, samples=[8], seed=0)
    inner = (slice(None), slice(None), slice(cut, cut + 9), slice(cut + 2, cut + 10))
    patch = photograph[..., : (9 + 2 * cut) * scale, 2 * scale : (10 + 2 * cut) * scale]
    lr = degradation(patch, samples=[8], seed=0)[..., cut:-cut, cut:-cut]
    # float32 may round a level the other way.
    assert ((lr - whole[inner]).abs() > 0.5 / 255).float().mean() < 0.005
    assert (lr - whole[inner]).abs().max() < 1.5 / 255


def test_parameters_are_part_of_the_name(configured: Configured) -> None:
    names = {configured("classical", **changes).name for changes in ({}, PLAIN, SHARP, {"downsample": {"area": 1.0}})}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"downsample": {"lanczos": 1.0}}, ValueError, "downsample: expected some of bicubic, bilinear, area"),
        ({"downsample": {"area": 0.0}}, ValueError, "one of them above 0"),
        ({"downsample": {"area": 1.0, "bicubic": -1.0}}, ValueError, "weights from 0 on"),
        ({"blur": {"sigmas": [1, 2]}}, TypeError, "sigmas"),
    ],
)
def test_refuses_what_it_does_not_know(
    changes: dict[str, Any], error: type[Exception], message: str, configured: Configured
) -> None:
    with pytest.raises(error, match=message):
        configured("classical", **changes)
