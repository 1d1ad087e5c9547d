"""Wrappers and prefixes of the programs in circulation."""

import pytest
import torch

from sr_lightning.weights.views import views

RAW = {"head.weight": torch.zeros(1), "tail.weight": torch.zeros(2)}
OTHER = {"head.weight": torch.ones(1), "tail.weight": torch.ones(2)}


def prefixed(tensors, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("content", "wrapper"),
    [
        (RAW, ""),
        ({"params": RAW}, "params"),
        ({"state_dict": RAW, "epoch": 3, "optimizer": {"state": {0: torch.ones(1)}}}, "state_dict"),
        ({"model": RAW, "iteration": 7}, "model"),
        ({"generator": RAW, "discriminator": OTHER}, "generator"),
        ({"netG": RAW, "netD": OTHER}, "netG"),
        ({"net": RAW}, "net"),
        ({"model": {"state_dict": RAW}}, "model, state_dict"),
        (prefixed(RAW, "module."), "module."),
        ({"params": prefixed(RAW, "module.")}, "params, module."),
        # mmagic's checkpoints hold the discriminator in the same dictionary.
        (
            {"meta": {}, "state_dict": prefixed(RAW, "generator.") | prefixed(OTHER, "discriminator.")},
            "state_dict, generator.",
        ),
        # Lightning's, of a module that calls its network so; ours calls it `network`.
        ({"state_dict": prefixed(RAW, "model."), "pytorch-lightning_version": "2.6.6"}, "state_dict, model."),
        ({"state_dict": prefixed(RAW, "network.") | prefixed(OTHER, "loss.")}, "state_dict, network."),
        ({"state_dict": prefixed(RAW, "net_g.")}, "state_dict, net_g."),
        (prefixed(RAW, "module.netG."), "module.netG."),
        (prefixed(RAW, "_orig_mod."), "_orig_mod."),
        # Whatever a program calls it.
        ({"G_state_dict": RAW, "epoch": 3}, "G_state_dict"),
        ({"callbacks": {"best": {"weights": RAW}}}, "callbacks, best, weights"),
        ({"state_dict": prefixed(RAW, "sr_model.") | {"netD.weight": torch.zeros(1)}}, "state_dict, sr_model."),
        (prefixed(RAW, "student.module."), "student.module."),
    ],
    ids=str,
)
def test_the_network_is_found(content, wrapper):
    [view] = [view for view in views(content) if view.tensors.keys() >= RAW.keys() and view.wrapper == wrapper]
    assert {name: view.tensors[name] for name in RAW} == RAW
    assert not view.averaged


@pytest.mark.parametrize(
    "content",
    [
        {"params": RAW, "params_ema": OTHER},
        {"params-ema": OTHER},
        {"state_dict": prefixed(RAW, "network."), "ema": OTHER},
        {"state_dict": prefixed(RAW, "generator.") | prefixed(OTHER, "generator_ema.")},
        {"model": RAW, "model_ema": OTHER},
        {"schema": RAW, "EMA_state_dict": OTHER},
        {"state_dict": prefixed(OTHER, "ema_model.")},
    ],
    ids=str,
)
def test_averaged_weights_are_known_as_such(content):
    averaged = [view for view in views(content) if view.averaged]
    assert [dict(view.tensors) for view in averaged] == [OTHER]


def test_what_holds_no_tensors_gives_nothing():
    assert views({"epoch": 3, "optimizer": {"state": {0: torch.ones(1)}}, "ema": {}}) == []
    assert views({}) == []
