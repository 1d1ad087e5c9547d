"""Arguments of networks that do not go together are told before any work, in one line."""

import pytest
import torch
from torch import nn

from sr_lightning.engine.build import build_network
from sr_lightning.engine.trial import try_network
from sr_lightning.refusal import Refusal
from tests.test_contracts import MODELS, compose, small, spec


def tried(*overrides):
    node = compose(*overrides).tree["model"]
    try_network(build_network(node), node)


@pytest.mark.parametrize("model", MODELS)
def test_every_network_passes_and_stays_as_it_is(model):
    scale = spec(model)["scales"][0]
    node = compose(f"model={model}", f"scale={scale}", *small(model)).tree["model"]
    network = build_network(node).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    try_network(network, node)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


NOT_TOGETHER = [
    (
        ("model=swin2sr", "model.upsampler=foo"),
        "Swin2SR of these arguments makes 3x64x64 of 3x64x64 at scale=4, expected 3x256",
    ),
    (("model=dat", "model.upsampler=nearest+conv"), "DAT of these arguments makes 3x64x64 of 3x64x64"),
    (("model=safmn", "model.dim=30"), "SAFMN of these arguments cannot take an image of 3x64x64: Given groups=7"),
    (("model=dat", "model.split_size=[8]"), "DAT cannot be made of these arguments: list index out of range"),
    (("model=omnisr", "model.num_feat=30"), "OmniSR cannot be made of these arguments: dimension should be divisible"),
    (("model=srcnn", "model.mapping_kernel=4"), "SRCNN of these arguments makes 1x257x257 of 1x64x64 at scale=4"),
    (("model=srcnn", "model.std=0"), "SRCNN of these arguments gives NaN or infinity for an image."),
]


@pytest.mark.parametrize(("overrides", "expected"), NOT_TOGETHER)
def test_what_does_not_go_together_is_refused(overrides, expected):
    with pytest.raises(Refusal) as refusal:
        tried(*overrides, "scale=4")
    assert str(refusal.value).startswith(f"model: {expected}")


@pytest.mark.parametrize("overrides", [("model=omnisr", "model.window_size=4"), ("model=vdsr", "model.depth=2")])
def test_what_takes_images_is_a_network(overrides):
    """OmniSR of another window cannot take the smallest images that its yaml names; larger ones it can."""
    tried(*overrides, "scale=2")


class OfOthers(nn.Module):
    def __init__(self, *, scale: int, channels: int = 3) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        if scale == 3:
            raise AssertionError

    def forward(self, lr):
        raise RuntimeError("wants another device")


def test_code_of_others_is_not_tried_and_keeps_its_tracebacks():
    node = {"_target_": f"{__name__}.OfOthers", "scale": 2, "spec": {"min_size": 1, "multiple": 1}}
    try_network(build_network(node), node)
    with pytest.raises(AssertionError):
        build_network({**node, "scale": 3})
