"""What every yaml in conf/degradation promises. A new one is held to it without a line here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.resize import extend

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "degradation").glob("*.yaml"))
RANDOM = {"noise_down", "classical", "second_order"}
Configured = Callable[..., Any]


def test_all_are_here() -> None:
    assert {"bicubic", "resize", "blur_down"} | RANDOM <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_size_range_and_levels(name: str, scale: int, channels: int, configured: Configured) -> None:
    degradation = configured(name, scale)
    hr = torch.rand(2, channels, 6 * scale, 5 * scale)
    before = hr.clone()
    lr = degradation(hr, samples=[0, 9], seed=1)
    assert (lr.dtype, lr.shape) == (torch.float32, (2, channels, 6, 5))
    assert lr.min() >= 0
    assert lr.max() <= 1
    assert torch.equal(lr, (lr * 255).round() / 255)
    assert torch.equal(hr, before)
    assert degradation.scale == scale
    assert degradation.margin % scale == 0
    assert str(scale) in degradation.name


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_the_same_in_any_batch(name: str, configured: Configured, photograph: Tensor) -> None:
    degradation = configured(name)
    samples = [6, 13, 7, 4, 5, 12, 41, 8]
    hr = torch.cat([photograph[..., n * 8 : n * 8 + 96, n * 16 : n * 16 + 112] for n in range(len(samples))])
    together = degradation(hr, samples=samples, seed=3)
    for chosen in ([4, 3, 0], [7], [2, 6]):
        some = degradation(hr[chosen], samples=[samples[n] for n in chosen], seed=3)
        # To the bit: where a sum differed in its last one, JPEG's rounding would make levels of it here and there.
        assert torch.equal(some, together[chosen])
    again = degradation(hr.to(memory_format=torch.channels_last), samples=samples, seed=3)
    assert torch.equal(again, together)
    assert (degradation(hr, samples=samples, seed=4).equal(together)) == (name not in RANDOM)
    assert (degradation(hr, samples=[n + 64 for n in samples], seed=3).equal(together)) == (name not in RANDOM)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_asks_for_parameters_gets_those_that_are_used(name: str, configured: Configured) -> None:
    degradation = configured(name)
    described = degradation.parameters(samples=[3, 4, 5, 200], seed=7)
    assert described == [degradation.parameters(samples=[n], seed=7)[0] for n in (3, 4, 5, 200)]
    if name in ("classical", "second_order"):
        assert described[0] != described[3]
        assert described != degradation.parameters(samples=[3, 4, 5, 200], seed=8)
        assert all(isinstance(value, str | int | float) for one in described for value in one.values())
    else:
        assert described == [{}] * 4


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RANDOM | {"bicubic"}])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_lr_of_a_patch_is_the_patch_of_lr(name: str, scale: int, configured: Configured, photograph: Tensor) -> None:
    for changes in ({"kind": "pil"}, {"kind": "cv2"}, {"kind": "bilinear"}) if name == "resize" else ({},):
        degradation = configured(name, scale, **changes)
        image = photograph[..., : 20 * scale, : 26 * scale]
        whole = degradation(image, samples=[0], seed=0)
        margin = degradation.margin
        surrounded = extend(image, margin, "symmetric")
        # In the middle, in a corner and at an edge; Pillow's kernel ends at the image's border, a patch's does not.
        inner = 2 if changes == {"kind": "pil"} else 0
        for top, left in ((8, 9), (inner, inner), (20 - 6 - inner, 4), (5, 26 - 7 - inner)):
            patch = surrounded[
                ..., top * scale : (top + 6) * scale + 2 * margin, left * scale : (left + 7) * scale + 2 * margin
            ]
            cut = margin // scale
            lr = degradation(patch, samples=[0], seed=0)
            assert torch.equal(lr[..., cut : cut + 6, cut : cut + 7], whole[..., top : top + 6, left : left + 7])


@pytest.mark.parametrize("name", NAMES)
def test_the_target_is_hr_unless_it_is_to_be_sharpened(name: str, configured: Configured) -> None:
    hr = torch.rand(1, 3, 64, 64)
    assert configured(name).target(hr) is hr


@pytest.mark.parametrize("name", NAMES)
def test_refuses_what_it_cannot_degrade(name: str, configured: Configured) -> None:
    degradation = configured(name)
    with pytest.raises(ValueError, match=r"expected hr \(N, C, H, W\) in float32, got torch.uint8"):
        degradation(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), samples=[0], seed=0)
    with pytest.raises(ValueError, match="one sample number for each of 2 images, got 1"):
        degradation(torch.rand(2, 3, 8, 8), samples=[0], seed=0)
    with pytest.raises(ValueError, match="divisible by 4, got 8x9; modcrop first"):
        degradation(torch.rand(1, 3, 8, 9), samples=[0], seed=0)
    with pytest.raises(ValueError, match="scale must be a whole number from 1 on"):
        configured(name, 0)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_shifted(name: str, configured: Configured, photograph: Tensor) -> None:
    degradation = configured(name, 2)
    lr = degradation(photograph, samples=[1], seed=0)
    sr = F.interpolate(lr, scale_factor=2, mode="bicubic")
    inner = (..., slice(16, -16), slice(16, -16))
    error = {
        (y, x): (sr.roll((y, x), (-2, -1))[inner] - photograph[inner]).square().mean().item()
        for y in (-2, 0, 2)
        for x in (-2, 0, 2)
    }
    assert min(error, key=lambda shift: error[shift]) == (0, 0)
