"""Every layout of every network: a file in it is recognised, tells the network's sizes, and comes back bit-equal."""

import re

import pytest
import torch

from sr_lightning.engine.build import build_network
from sr_lightning.engine.pretrained import pretrained_network
from tests.test_contracts import MODELS, compose, small, spec

# Layouts whose names hold for one size, or one design, alone.
DESIGNS = {
    "CARN-pytorch": ("model.depth=3", "data.scales=[2,3,4]"),
    "CARN-pytorch, one scale": ("model.depth=3", "data.scales=null"),
    "mdsr": ("data.scales=[2,3,4]",),
    "leftthomas SRGAN": ("model.depth=5", "model.after_trunk=prelu", "model.output=tanh"),
    "ESRGAN 2018": ("model.unshuffle=false",),
}


def layouts_of(model):
    with torch.device("meta"):
        network = build_network(compose(f"model={model}").tree["model"])
    return [layout.name for layout in getattr(network, "layouts", ()) if not layout.only_read]


def overrides_of(model, layout):
    """A small network of the design that the layout is for, at its scale where its name says one."""
    at = re.search(r", x(\d)$", layout)
    scale = int(at[1]) if at else max(spec(model)["scales"], key=lambda scale: (scale == 4, scale))
    design = DESIGNS.get(layout, DESIGNS.get(layout.partition(",")[0], DESIGNS.get(model, ())))
    sizes = [text for text in small(model) if text.partition("=")[0] not in {each.partition("=")[0] for each in design}]
    return [f"model={model}", f"scale={scale}", *sizes, *design]


CASES = [(model, layout) for model in MODELS for layout in layouts_of(model)]


def test_something_was_found():
    assert {"edsr", "srcnn", "espcn", "vdsr", "imdn", "rcan", "rrdb", "swinir", "srgan"} <= {
        model for model, _ in CASES
    }


@pytest.mark.parametrize(("model", "layout"), CASES)
def test_a_file_gives_its_network_back(model, layout, saved):
    torch.manual_seed(1)
    tree = compose(*overrides_of(model, layout)).tree
    network = build_network(tree["model"])
    [chosen] = [each for each in network.layouts if each.name == layout]
    ours = network.state_dict()
    published = chosen.to_published(ours)
    assert len(published) == len(ours), "two of our names have one published name"
    path = saved(chosen.to_file(ours))

    # As configured where nobody has said a size.
    usual = compose(f"model={model}", f"scale={tree['scale']}").tree["model"]
    found = pretrained_network({**usual, "pretrained": str(path)}, name=model)

    assert found.found.complete
    for name, tensor in ours.items():
        assert torch.equal(found.network.state_dict()[name], tensor), name
    # What shapes do not show (an output's tanh) is as in the files of the family.
    lr = torch.rand(2, network.channels, 9, 8)
    with torch.no_grad():
        assert torch.equal(found.network.eval()(lr), network.eval()(lr))
