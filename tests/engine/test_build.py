"""Only what a yaml may name is ever called, and whatever is wrong names its key."""

import builtins
import os

import pytest
import torch
from torch import nn

from sr_lightning.engine import build
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.refusal import Refusal

ESPCN = {"_target_": "sr_lightning.networks.espcn.ESPCN", "scale": 2, "channels": 1}
CALLED: list[str] = []


class Trap:
    """No network; notes that it was made."""

    def __init__(self, **_: object) -> None:
        CALLED.append("Trap")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    CALLED.clear()
    import sys

    monkeypatch.setitem(sys.modules, "a_trap", sys.modules[__name__])


def test_spec_is_left_out():
    network = build.build_network({**ESPCN, "spec": {"scales": [2]}})
    assert network.scale == 2


def test_what_an_optimiser_refuses_is_refused_when_it_is_configured():
    node = {"_target_": "torch.optim.Adam", "lr": 0.1, "betas": [1.5, 0.9]}
    with pytest.raises(Refusal, match=r"^module\.discriminator_optimizer: Invalid beta parameter at index 0: 1\.5"):
        build.build_optimizer(node, precision="32-true", key="module.discriminator_optimizer")


class WantsAMatrix(torch.optim.SGD):
    """An optimiser of somebody else's, which looks at the parameters."""

    def __init__(self, params, lr: float = 0.1) -> None:
        params = list(params)
        if all(parameter.ndim < 4 for parameter in params):
            raise AssertionError
        super().__init__(params, lr)


def test_optimisers_of_others_are_left_to_their_network():
    node = {"_target_": f"{__name__}.WantsAMatrix", "lr": 0.1}
    make = build.build_optimizer(node, precision="32-true")
    assert make([nn.Parameter(torch.zeros(1, 1, 3, 3))]).defaults["lr"] == 0.1


def test_fused_kernels_give_way_to_another_kind():
    node = {"_target_": "torch.optim.Adam", "lr": 0.1, "foreach": True}
    assert "fused" not in build.build_optimizer(node, precision="32-true").keywords


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.print", "subprocess.Popen", "a_trap.Trap", "torch.load", "collections.Counter"]
)
def test_what_is_no_network_is_refused_without_being_called(target, monkeypatch):
    monkeypatch.setattr(os, "system", lambda *_: CALLED.append("system"))
    monkeypatch.setattr(builtins, "print", lambda *_: CALLED.append("print"))
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: CALLED.append("Popen"))
    with pytest.raises(Refusal, match=r"^model\._target_: .*" + target.replace(".", r"\.")):
        build.build_network({"_target_": target})
    for part in ("loss.term", "module"):
        with pytest.raises(Refusal, match=rf"^{part}._target_"):
            build._instantiate({"_target_": target}, key=part, kind=nn.Module)
    with pytest.raises(Refusal, match=r"^optimizer\._target_"):
        build.build_optimizer({"_target_": target}, precision="32-true")
    assert not CALLED


def test_a_target_among_the_arguments_is_not_called():
    with pytest.raises(Refusal, match=r"^model: "):
        build.build_network({**ESPCN, "width": {"_target_": "a_trap.Trap"}})
    assert not CALLED


@pytest.mark.parametrize("target", ["os.system", "a_trap.Trap"])
def test_a_checkpoint_cannot_call_anything(tmp_path, rgb_checkpoint, target):
    content = torch.load(rgb_checkpoint, weights_only=True)
    for model in (
        {"_target_": target, "command": "true"},
        {**content["sr_lightning"]["model"], "depth": {"_target_": target}},
    ):
        content["sr_lightning"]["model"] = model
        torch.save(content, tmp_path / "evil.ckpt")
        with pytest.raises(Refusal, match=r"^model"):
            load_network(tmp_path / "evil.ckpt")
    assert not CALLED


def test_unknown_argument_names_its_key_and_the_nearest():
    with pytest.raises(Refusal, match=r"^model\.widht: ESPCN has no such argument; did you mean 'width'\?"):
        build.build_network({**ESPCN, "widht": 3})
    with pytest.raises(Refusal, match=r"^loss\.mine\.epsilon: CharbonnierLoss has no such argument"):
        build.build_loss({"mine": {"_target_": "sr_lightning.losses.pixel.CharbonnierLoss", "weight": 1, "epsilon": 2}})
    with pytest.raises(Refusal, match=r"^optimizer\.momentum: Adam has no such argument"):
        build.build_optimizer({"_target_": "torch.optim.Adam", "lr": 1, "momentum": 0.9}, precision="32-true")


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"scale": 2}, "model: expected a key _target_ that names a class, got scale"),
        ({"_target_": "no_such_package.Net"}, "model._target_: cannot import the class 'no_such_package.Net'"),
        ({"_target_": "sr_lightning.networks.espcn.Esp"}, "model._target_: cannot import the class"),
        ({"_target_": ESPCN["_target_"]}, "scale"),
        ({**ESPCN, "width": "wide"}, "model: "),
    ],
)
def test_unusable_networks_are_refused(node, expected):
    with pytest.raises(Refusal) as refusal:
        build.build_network(node)
    assert expected in str(refusal.value)


def test_loss_terms_are_weighted():
    loss = build.build_loss(
        {
            "l1": {"_target_": "sr_lightning.losses.pixel.L1Loss", "weight": 2},
            "mse": {"_target_": "sr_lightning.losses.pixel.MSELoss"},
        }
    )
    total, terms = loss(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5))
    assert total.item() == pytest.approx(2 * 0.5 + 0.25)
    assert {name: term.item() for name, term in terms.items()} == {"l1": 0.5, "mse": 0.25}


def test_no_loss_term_is_refused():
    with pytest.raises(Refusal):
        build.build_loss({})


@pytest.mark.parametrize(("precision", "fused"), [("32-true", True), ("bf16-mixed", True), ("16-mixed", None)])
def test_optimizer_is_a_factory_with_fused_kernels(precision, fused):
    make = build.build_optimizer({"_target_": "torch.optim.Adam", "lr": 0.1}, precision=precision)
    weights = [nn.Parameter(torch.zeros(1))]
    assert make(weights).defaults["fused"] is fused
    assert (make(weights).defaults["lr"], make(weights, lr=0.5).defaults["lr"]) == (0.1, 0.5)


def test_callbacks_get_what_they_ask_for(tmp_path):
    available = {"folder": tmp_path, "bicubic": {}, "resume_step": 0, "path": tmp_path / "metrics.csv"}
    panels = build.build_callback(
        {"_target_": "sr_lightning.callbacks.panels.Panels", "images": 1, "crop": 8}, name="panels", available=available
    )
    assert panels.folder == tmp_path
    with pytest.raises(Refusal, match=r"^callbacks\.mine\._target_: expected a .*Callback"):
        build.build_callback({"_target_": "sr_lightning.networks.espcn.ESPCN"}, name="mine", available={})
    with pytest.raises(Refusal, match=r"^logger\.mine\._target_: expected a .*Logger"):
        build.build_logger({"_target_": "sr_lightning.networks.espcn.ESPCN"}, name="mine", available={})
