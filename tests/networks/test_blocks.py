import pytest
import torch
from torch import nn

from sr_lightning.networks.blocks import SubpixelUpsampler, subpixel_factors


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
