"""The U-Net: its shape, what it starts from, and what it does with sizes."""

import pytest
import torch

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.unet import UNet


def test_has_the_parameters_of_the_papers_network():
    with torch.device("meta"):
        network = UNet(scale=2)

    # By hand from figure 1, each convolution with its bias: 64 channels, doubled four times; 1 channel in and out.
    widths = [64, 128, 256, 512, 1024]
    before = [1, *widths[:-1]]
    down = sum(9 * a * b + b + 9 * b * b + b for a, b in zip(before, widths, strict=True))
    up = sum(4 * 2 * b * b + b + 9 * 2 * b * b + b + 9 * b * b + b for b in widths[:-1])
    assert sum(each.numel() for each in network.parameters()) == down + up + 64 + 1 == 31_030_593


def test_adds_to_the_bicubic_image():
    network = UNet(scale=3, channels=2, width=8, depth=2)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.constant_(network.tail.bias, 0.25)
    lr = torch.rand(1, 2, 7, 5)

    torch.testing.assert_close(network(lr), imresize(lr, 3) + 0.25)


def test_starts_near_the_bicubic_image_with_features_of_one_size():
    torch.manual_seed(0)
    network = UNet(scale=2, width=16, depth=3)
    lr = torch.rand(1, 1, 24, 24)
    spreads = []
    for layers in (*network.down, *network.up):
        layers.register_forward_hook(lambda _l, _i, output: spreads.append(output.square().mean().sqrt().item()))

    sr = network(lr)

    assert (sr - imresize(lr, 2)).abs().max() < 0.05
    # Without He's initialisation each layer makes them smaller: by the last to a hundredth.
    assert all(0.2 < spread < 5 for spread in spreads)


def test_levels_halve_the_image_and_come_back():
    network = UNet(scale=2, width=8, depth=3)
    sizes = []
    for layers in (*network.down, *network.up):
        layers.register_forward_hook(lambda _l, _i, output: sizes.append(tuple(output.shape[1:])))

    network(torch.rand(1, 1, 12, 16))

    assert sizes == [(8, 24, 32), (16, 12, 16), (32, 6, 8), (64, 3, 4), (32, 6, 8), (16, 12, 16), (8, 24, 32)]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("part", ["skip", "below"])
def test_each_level_sees_its_own_features_and_those_from_below(level, part):
    torch.manual_seed(0)
    network = UNet(scale=2, width=8, depth=2)
    lr = torch.rand(1, 1, 16, 16)
    before = network(lr)

    convolution = network.up[level][0]
    half = convolution.in_channels // 2
    with torch.no_grad():
        convolution.weight[:, slice(half) if part == "skip" else slice(half, None)] = 0

    assert (network(lr) - before).abs().max() > 1e-6


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (17, 9)])
def test_what_is_mirrored_stays_inside(size):
    network = UNet(scale=2, width=8, depth=3)

    assert network(torch.rand(2, 1, *size)).shape == (2, 1, 2 * size[0], 2 * size[1])
