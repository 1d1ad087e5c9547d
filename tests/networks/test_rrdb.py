"""RRDBNet against spandrel's, how it starts, and its published names."""

import math
from pathlib import Path

import pytest
import torch

from sr_lightning.networks.rrdb import RRDBNet
from sr_lightning.weights.match import match
from sr_lightning.weights.read import WeightsFile

ARGUMENTS = {"channels": 3, "width": 8, "depth": 2, "growth": 32}


@pytest.mark.parametrize("layout", ["BasicSR", "ESRGAN 2019", "ESRGAN 2018"])
@pytest.mark.parametrize(("scale", "unshuffle"), [(4, True), (2, True), (1, True), (8, True), (2, False), (1, False)])
def test_equals_spandrels(equals_spandrels, scale, unshuffle, layout):
    network = RRDBNet(scale=scale, unshuffle=unshuffle, **ARGUMENTS)
    stages = len(network.upsample)
    name = f"{layout}, x{2**stages}" if layout == "ESRGAN 2018" else layout
    [chosen] = [each for each in network.layouts if each.name == name]

    # Sides that two and four do not divide: both mirror the image.
    equals_spandrels("ESRGAN", network, chosen, torch.rand(2, 3, 9, 11))


def test_upsamples_once_by_three():
    torch.manual_seed(0)
    network = RRDBNet(scale=3, **ARGUMENTS)

    assert len(network.upsample) == 1
    assert network(torch.rand(1, 3, 5, 4)).shape == (1, 3, 15, 12)


def test_dense_blocks_start_near_the_identity():
    network = RRDBNet(scale=4, depth=1)

    last = network.body[0].dense3.conv5
    # He's standard deviation for what it sees, 64 + 4 * 32 channels, times 0.1.
    assert last.weight.std().item() == pytest.approx(0.1 * math.sqrt(2 / (192 * 9)), rel=0.05)
    assert last.bias.abs().max() == 0
    features = torch.rand(1, 64, 6, 6)
    assert (network.body[0].dense1(features) - features).abs().max() < 0.05


def test_refuses_other_scales():
    with pytest.raises(ValueError, match="RRDBNet supports scale 1, 2, 3, 4 or 8, got 5"):
        RRDBNet(scale=5)


TRUNKS = {"BasicSR": "body.{}.rdb{}.conv{}", "ESRGAN 2019": "RRDB_trunk.{}.RDB{}.conv{}",
          "ESRGAN 2018": "model.1.sub.{}.RDB{}.conv{}.0"}  # fmt: skip
# By the number of upsamplings; papers.md has those with two.
ENDS = {
    "BasicSR": {
        2: ("conv_first", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"),
        1: ("conv_first", "conv_body", "conv_up1", "conv_hr", "conv_last"),
    },
    "ESRGAN 2019": {
        2: ("conv_first", "trunk_conv", "upconv1", "upconv2", "HRconv", "conv_last"),
        1: ("conv_first", "trunk_conv", "upconv1", "HRconv", "conv_last"),
    },
    "ESRGAN 2018": {
        2: ("model.0", "model.1.sub.2", "model.3", "model.6", "model.8", "model.10"),
        1: ("model.0", "model.1.sub.2", "model.3", "model.5", "model.7"),
    },
}


@pytest.mark.parametrize(
    ("scale", "unshuffle", "stages", "told"),
    # At x4 there is nothing to tell: the network is the same.
    [(4, False, 2, {}), (2, True, 2, {"unshuffle": True}), (2, False, 1, {"unshuffle": False})],
)
def test_names_in_published_files(check_layouts, scale, unshuffle, stages, told):
    network = RRDBNet(scale=scale, unshuffle=unshuffle, **ARGUMENTS)
    fitting = [each for each in network.layouts if "," not in each.name or each.name.endswith(f"x{2**stages}")]

    found = check_layouts(network, {**ARGUMENTS, **told}, layouts=fitting)

    for (family, trunk), names in zip(TRUNKS.items(), found, strict=True):
        layers = [*ENDS[family][stages]]
        layers += [trunk.format(block, dense, conv) for block in (0, 1) for dense in (1, 2, 3) for conv in range(1, 6)]
        assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_mmagics_files_have_the_same_names_below_the_generators():
    network = RRDBNet(scale=4, **ARGUMENTS)
    tensors = network.layouts[0].to_published(network.state_dict())
    content = {"state_dict": {f"generator.{name}": tensor for name, tensor in tensors.items()}}
    file = WeightsFile(path=Path("esrgan.pth"), sha256="", content=content, description=None)

    found = match(network, file)

    assert found.complete
    assert found.layout.name == "BasicSR"
