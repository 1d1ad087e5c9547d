"""VDSR: its skip, its scales, how it starts, and its published names."""

import math

import pytest
import torch

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.vdsr import VDSR


@pytest.fixture
def network():
    torch.manual_seed(0)
    return VDSR(scale=2, width=8, depth=4)


def test_without_its_residual_it_is_bicubic(network):
    torch.nn.init.zeros_(network.tail.weight)
    lr = torch.rand(1, 1, 7, 9)

    assert torch.equal(network(lr), imresize(lr, 2))


def test_one_set_of_weights_serves_several_scales(network):
    lr = torch.rand(1, 1, 7, 9)
    for_three = VDSR(scale=3, width=8, depth=4)
    for_three.load_state_dict(network.state_dict())

    assert torch.equal(network(lr, 3), for_three(lr))
    assert torch.equal(network(lr, 2), network(lr))


def test_the_skip_is_not_rounded_under_autocast(network):
    torch.nn.init.zeros_(network.tail.weight)
    lr = torch.rand(1, 1, 7, 9)

    with torch.autocast("cpu", torch.bfloat16):
        sr = network(lr)

    assert torch.equal(sr, imresize(lr, 2))


def test_starts_as_he_et_al():
    network = VDSR(scale=2)

    for layer in (network.body[0], network.body[-1]):
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
        assert layer.bias.abs().max() == 0


@pytest.mark.parametrize("bias", [True, False])
def test_names_in_published_files(check_layouts, bias):
    arguments = {"channels": 1, "width": 8, "depth": 5, "bias": bias}

    [names] = check_layouts(VDSR(scale=2, **arguments), arguments)

    layers = ["input", *(f"residual_layer.{index}.conv" for index in range(3)), "output"]
    kinds = ("weight", "bias") if bias else ("weight",)
    assert names == {f"{layer}.{kind}" for layer in layers for kind in kinds}
