"""PSNR on edges, texture and flat parts."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel
from torch import Tensor

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.metrics.protocol import PROTOCOLS, compared
from sr_lightning.metrics.psnr import psnr
from sr_lightning.metrics.regions import REGIONS, RegionError, region_errors, region_masks


def picture(channels: int = 3) -> Tensor:
    """A step from dark to bright, a weak pattern on the bright side, on the levels of a file."""
    image = torch.full((1, channels, 40, 60), 0.2)
    image[..., 30:] = 0.8
    rows = torch.arange(40)[:, None]
    image[..., 45:] += 0.03 * torch.sin(rows * 1.7)
    return (image * 255).round() / 255


def test_a_step_is_an_edge_a_weak_pattern_texture_and_the_rest_flat() -> None:
    masks = region_masks(picture())
    assert tuple(masks) == REGIONS
    assert masks["edges"][0, 0, :, 29:31].all()
    assert int(masks["edges"].sum()) == 80
    assert masks["flat"][0, 0, :, :29].all()
    assert masks["texture"][0, 0, :, 46:].float().mean() > 0.3
    assert not masks["edges"][0, 0, :, 31:].any()
    assert not masks["texture"][0, 0, :, :43].any()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_regions_are_sobels_of_the_luma(channels: int) -> None:
    hr = torch.from_numpy(np.random.default_rng(0).uniform(size=(1, channels, 30, 41)) ** 8)
    luma = (rgb_to_y(hr) if channels == 3 else hr.mean(1, keepdim=True))[0, 0].numpy()
    gradient = np.hypot(*(sobel(luma, axis=axis, mode="reflect") for axis in (0, 1)))  # its reflect doubles the edge
    expected = {
        "edges": gradient > 0.12 * gradient.max(),
        "flat": gradient < 0.06 * gradient.max(),
    }
    expected["texture"] = ~(expected["edges"] | expected["flat"])
    for name, mask in region_masks(hr).items():
        np.testing.assert_array_equal(mask[0, 0].numpy(), expected[name])
        assert expected[name].any()


def test_an_image_without_gradient_is_flat() -> None:
    masks = region_masks(torch.full((1, 3, 12, 12), 0.5))
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"edges": 0, "texture": 0, "flat": 144}


@pytest.mark.parametrize("protocol", ["rgb_to_y", "rgb", "y_chain"])
def test_weighted_by_their_pixels_the_errors_are_those_of_the_whole(protocol: str) -> None:
    rules = PROTOCOLS[protocol]
    hr = picture(rules.channels)
    sr = hr + 0.1 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    planes = compared(sr, hr, protocol=rules, scale=4)
    errors = region_errors(planes, region_masks(hr), border=4)
    pixels = sum(each.pixels for each in errors.values())
    assert pixels == 32 * 52
    whole = sum(each.error * each.pixels for each in errors.values()) / pixels
    assert -10 * math.log10(whole) == pytest.approx(psnr(*planes).item(), rel=1e-12)
    # And each is that of its pixels alone.
    mask = region_masks(hr)["edges"][..., 4:-4, 4:-4].expand_as(planes.sr)
    expected = ((planes.sr - planes.hr)[mask] ** 2).mean().item()
    assert errors["edges"].psnr == pytest.approx(-10 * math.log10(expected), rel=1e-12)


def test_psnr_of_nothing_and_of_no_error() -> None:
    assert RegionError(0.0, 3).psnr == math.inf
    assert RegionError(0.01, 3).psnr == pytest.approx(20.0)
    assert math.isnan(RegionError(math.nan, 0).psnr)
