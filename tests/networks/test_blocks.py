import pytest
import torch
from torch import nn

from sr_lightning.networks.blocks import NearestUpsampler, SubpixelUpsampler, scale_name, subpixel_factors


@pytest.mark.parametrize(("scale", "factors"), [(2, [2]), (3, [3]), (4, [2, 2]), (8, [2, 2, 2]), (16, [2] * 4)])
def test_factors(scale, factors):
    assert subpixel_factors(scale) == factors


@pytest.mark.parametrize("scale", [0, 1, 5, 6, -2])
def test_other_scales_are_refused_by_name(scale):
    with pytest.raises(ValueError, match=rf"scale 3 or a power of two .* got {scale}"):
        subpixel_factors(scale)


def test_upsampler_has_one_activation_per_stage():
    upsample = SubpixelUpsampler(width=4, scale=4, activation=nn.PReLU)

    assert upsample(torch.rand(1, 4, 3, 5)).shape == (1, 4, 12, 20)
    assert [type(layer) for layer in upsample] == 2 * [nn.Conv2d, nn.PixelShuffle, nn.PReLU]


def test_upsampler_convolves_in_groups():
    upsample = SubpixelUpsampler(width=8, scale=3, groups=4)

    assert [layer.groups for layer in upsample if isinstance(layer, nn.Conv2d)] == [4]
    assert upsample(torch.rand(1, 8, 3, 5)).shape == (1, 8, 9, 15)


@pytest.mark.parametrize(("scale", "stages"), [(1, 0), (2, 1), (3, 1), (4, 2), (8, 3)])
def test_nearest_upsampler_repeats_pixels_before_each_convolution(scale, stages):
    upsample = NearestUpsampler(width=2, scale=scale)
    for convolution in upsample:
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    features = torch.randn(1, 2, 3, 4)

    enlarged = upsample(features)

    assert len(upsample) == stages
    expected = features.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    torch.testing.assert_close(enlarged, torch.where(expected > 0, expected, 0.2**stages * expected))


def test_parts_of_a_scale_have_its_name():
    assert scale_name(3, [2, 3]) == "x3"
    with pytest.raises(ValueError, match="a network for scales 2, 3 has no part for scale 4"):
        scale_name(4, [2, 3])
