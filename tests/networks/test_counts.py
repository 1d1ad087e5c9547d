"""Parameter counts of the papers, or of what was instantiated from the authors' code."""

import pytest

from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.networks.discriminators import PatchDiscriminator, SRGANDiscriminator
from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srcnn_subpixel import SRCNNSubpixel
from sr_lightning.networks.srresnet import SRResNet


def count(network):
    assert all(parameter.requires_grad for parameter in network.parameters())
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize(
    ("channels", "kernel", "expected"), [(1, 1, 8_129), (1, 5, 57_281), (3, 1, 20_099), (3, 5, 69_251)]
)
def test_srcnn(scale, channels, kernel, expected):
    assert count(SRCNN(scale=scale, channels=channels, mapping_kernel=kernel)) == expected


@pytest.mark.parametrize(("scale", "y", "rgb"), [(2, 21_284, 26_796), (3, 22_729, 31_131), (4, 24_752, 37_200)])
def test_espcn(scale, y, rgb):
    assert count(ESPCN(scale=scale)) == y
    assert count(ESPCN(scale=scale, channels=3)) == rgb


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_srcnn_subpixel(scale):
    # 9x9 to 64, 1x1 to 32, 5x5 to scale^2, each with its biases.
    by_hand = (64 * 81 + 64) + (32 * 64 + 32) + scale**2 * (32 * 25 + 1)

    assert count(SRCNNSubpixel(scale=scale)) == by_hand


def edsr_by_hand(width, depth, scale):
    """papers.md's closed form, with its x2 stage once more for x8."""
    conv = 9 * width**2 + width
    up = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}[scale]
    stages = sum(9 * width**2 * factor**2 + width * factor**2 for factor in up)
    return 27 * width + width + depth * 2 * conv + conv + stages + 27 * width + 3


@pytest.mark.parametrize(
    ("scale", "baseline", "full"),
    [
        (2, 1_369_859, 40_729_603),
        (3, 1_554_499, 43_680_003),
        (4, 1_517_571, 43_089_923),
        (8, edsr_by_hand(64, 16, 8), edsr_by_hand(256, 32, 8)),
    ],
)
def test_edsr(scale, baseline, full):
    assert count(EDSR(scale=scale)) == baseline == edsr_by_hand(64, 16, scale)
    assert count(EDSR(scale=scale, width=256, depth=32, residual_scale=0.1)) == full


# x3 and x8 add and remove shuffle stages: 64 -> 64 r^2 by 3x3, and a slope.
@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (2, 1_401_749),
        (3, 1_401_749 + 5 * 64 * (64 * 9 + 1)),
        (4, 1_549_462),
        (8, 1_549_462 + 256 * (64 * 9 + 1) + 1),
    ],
)
def test_srresnet(scale, expected):
    network = SRResNet(scale=scale)

    assert count(network) == expected
    assert sum(buffer.numel() for buffer in network.buffers()) == 4_257


def test_srgan_discriminator():
    assert count(SRGANDiscriminator(patch=96)) == 23_565_505
    # papers.md has 38,243,713 for 128 without the 1,856 biases before batch normalisation.
    assert count(SRGANDiscriminator(patch=128)) == 38_243_713 + 1_856


def test_patch_discriminator():
    trunk = 23_565_505 - (512 * 36 * 1024 + 1024) - (1024 + 1)

    assert count(PatchDiscriminator()) == trunk + 512 * 9 + 1


def test_bicubic_has_none():
    assert count(Bicubic(scale=4)) == 0
