"""Files that are written hold what was asked for, and read back as what they were."""

import json

import pytest
import torch
from safetensors import safe_open

from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.rcan import RCAN
from sr_lightning.networks.rrdb import RRDBNet
from sr_lightning.refusal import Refusal
from sr_lightning.weights.match import match
from sr_lightning.weights.read import read_weights
from sr_lightning.weights.write import FORMATS, choose_layout, save_weights

DESCRIPTION = {
    "name": "edsr", "scale": 4, "model": {"_target_": "EDSR", "spec": {"scales": [2, 4]}, "depth": 2}, "step": 7,
    "degradation": "bicubic_x4", "ema": True,
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("layout", ["own", "EDSR-PyTorch", "basicsr"])
def test_what_is_written_is_read_back_bit_equal(edsr, tmp_path, kind, layout):
    network = edsr().to(memory_format=torch.channels_last)
    path = tmp_path / f"weights.{kind}"
    chosen = choose_layout(network, layout)
    names = save_weights(network, path, kind=kind, layout=chosen, description=DESCRIPTION)

    file = read_weights(path, key="checkpoint")
    assert file.description == DESCRIPTION
    found = match(network, file)
    assert (found.layout, found.complete, found.averaged) == (chosen, True, True)
    assert set(found.view.tensors) == set(names)
    for name, tensor in network.state_dict().items():
        assert torch.equal(found.fitting[name], tensor), name
        assert found.fitting[name].is_contiguous()


def test_other_programs_read_name_scale_and_model_off_a_safetensors(edsr, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(edsr(), path, kind="safetensors", layout=choose_layout(edsr(), "own"), description=DESCRIPTION)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert (metadata["name"], metadata["scale"], metadata["format"]) == ("edsr", "4", "pt")
    assert json.loads(metadata["model"])["spec"]["scales"] == [2, 4]


def test_a_pth_holds_the_tensors_below_params_as_basicsr_has_them(edsr, tmp_path):
    path = tmp_path / "weights.pth"
    save_weights(edsr(), path, kind="pth", layout=choose_layout(edsr(), "BasicSR"), description=DESCRIPTION)
    content = torch.load(path, weights_only=True)
    assert {"conv_first.weight", "body.0.conv1.weight", "upsample.2.bias", "conv_last.bias"} < set(content["params"])


def test_the_layout_that_spandrel_knows_is_taken_by_itself(edsr):
    assert choose_layout(RCAN(scale=2, width=16, groups=1, depth=1), "auto").name == "EDSR-PyTorch"
    assert choose_layout(RRDBNet(scale=4, width=4, growth=4, depth=1), "auto").name == "BasicSR"
    assert choose_layout(edsr(), "auto").name == choose_layout(ESPCN(scale=2), "auto").name == "sr_lightning"


def test_an_unknown_layout_is_refused_with_those_there_are(edsr):
    with pytest.raises(Refusal) as refusal:
        choose_layout(edsr(), "BasicS")
    assert str(refusal.value) == (
        "layout: expected one of auto, own, EDSR-PyTorch, BasicSR, got 'BasicS'; did you mean 'BasicSR'?"
    )
