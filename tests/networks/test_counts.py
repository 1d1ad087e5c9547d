"""Parameter counts of the papers, or of what was instantiated from the authors' code."""

import pytest
import torch

from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.networks.discriminators import PatchDiscriminator, SRGANDiscriminator
from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.fsrcnn import FSRCNN
from sr_lightning.networks.imdn import IMDN
from sr_lightning.networks.rlfn import RLFN
from sr_lightning.networks.rrdb import RRDBNet
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srcnn_subpixel import SRCNNSubpixel
from sr_lightning.networks.srresnet import SRResNet
from sr_lightning.networks.srvgg import SRVGGNetCompact
from sr_lightning.networks.unet_discriminator import UNetDiscriminator
from sr_lightning.networks.vdsr import VDSR
from sr_lightning.networks.vgg_discriminator import VGGDiscriminator


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


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fsrcnn(scale):
    network = FSRCNN(scale=scale)

    assert count(network) == 12_809
    # The paper's 12,464 are weights without biases and slopes.
    assert sum(parameter.numel() for parameter in network.parameters() if parameter.ndim == 4) == 12_464
    assert count(FSRCNN(scale=scale, width=32, mapping_width=5, depth=1)) == 4_086


@pytest.mark.parametrize(("channels", "bias", "expected"), [
    (1, True, 665_921), (1, False, 664_704), (3, True, 668_227), (3, False, 667_008),
])  # fmt: skip
def test_vdsr(channels, bias, expected):
    assert count(VDSR(scale=2, channels=channels, bias=bias)) == expected


@pytest.mark.parametrize(("scale", "expected"), [(2, 694_404), (3, 703_059), (4, 715_176)])
def test_imdn(scale, expected):
    assert count(IMDN(scale=scale)) == expected


def test_rlfn():
    # The paper has 527K and 543K.
    assert count(RLFN(scale=2)) == pytest.approx(527_000, abs=500)
    assert count(RLFN(scale=4)) == pytest.approx(543_500, abs=500)


@pytest.mark.parametrize(
    ("scale", "width", "depth", "expected"),
    [(4, 64, 32, 1_213_296), (4, 64, 16, 621_424), (2, 64, 16, 600_652), (4, 64, 8, 325_488), (4, 24, 8, 52_968)],
)
def test_srvgg(scale, width, depth, expected):
    assert count(SRVGGNetCompact(scale=scale, width=width, depth=depth)) == expected


@pytest.mark.parametrize(
    ("scale", "depth", "expected"),
    [
        (4, 23, 16_697_987),
        (2, 23, 16_703_171),
        # As x4 with a first layer of 48 channels in place of 3.
        (1, 23, 16_697_987 + 45 * 9 * 64),
        (4, 6, 4_467_779),
        (4, 16, 11_662_019),
    ],
)
def test_rrdb(scale, depth, expected):
    with torch.device("meta"):
        assert count(RRDBNet(scale=scale, depth=depth)) == expected


def test_srgan_discriminator():
    assert count(SRGANDiscriminator(patch=96)) == 23_565_505
    # papers.md has 38,243,713 for 128 without the 1,856 biases before batch normalisation.
    assert count(SRGANDiscriminator(patch=128)) == 38_243_713 + 1_856


def test_patch_discriminator():
    trunk = 23_565_505 - (512 * 36 * 1024 + 1024) - (1024 + 1)

    assert count(PatchDiscriminator()) == trunk + 512 * 9 + 1


def test_unet_discriminator():
    assert count(UNetDiscriminator()) == 4_376_897


def test_vgg_discriminator():
    assert count(VGGDiscriminator(patch=128)) == 14_499_401


def test_bicubic_has_none():
    assert count(Bicubic(scale=4)) == 0
