"""Layers with a rate of their own."""

from functools import partial

import pytest
import torch

from sr_lightning.engine import build
from sr_lightning.modules.layer_rates import LayerRates
from sr_lightning.modules.schedules import Constant, MultiStep
from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.fsrcnn import FSRCNN
from sr_lightning.refusal import Refusal

SGD = {"_target_": "torch.optim.SGD", "lr": 0.1}


def test_a_layer_moves_by_its_share():
    network = FSRCNN(scale=2, width=4, mapping_width=3, depth=1)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = LayerRates(partial(torch.optim.SGD, lr=0.1), network, shares={"tail": 0.1})(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)

    optimizer.step()

    for name, parameter in network.named_parameters():
        moved = 0.01 if name.startswith("tail.") else 0.1
        assert torch.allclose(before[name] - parameter, torch.full_like(parameter, moved), atol=1e-6), name
    # What is logged, whatever the layers' order.
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_schedules_and_another_rate_act_on_all_layers():
    network = FSRCNN(scale=2, width=4, mapping_width=3, depth=1)
    make = LayerRates(partial(torch.optim.SGD, lr=0.1), network, shares={"tail": 0.1})

    optimizer = make(network.parameters(), lr=1.0)
    schedule = MultiStep(milestones=[1], gamma=0.5, unit="steps", epoch_steps=1, warmup=0).bind(optimizer, total=2)
    optimizer.step()
    schedule.step()

    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


def test_of_two_names_the_inner_one_counts():
    network = EDSR(scale=2, width=4, depth=2)
    optimizer = LayerRates(partial(torch.optim.SGD, lr=1.0), network, shares={"body.0": 0.25, "body": 0.5})(
        network.parameters()
    )
    rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}

    for name, parameter in network.named_parameters():
        expected = 0.25 if name.startswith("body.0.") else 0.5 if name.startswith("body.") else 1.0
        assert rates[id(parameter)] == expected, name


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (
            {"tial": 0.1},
            r"^optimizer\.layer_lr\.tial: the network has no such layer; it has head, body, tail; did you mean",
        ),
        # The beginning of a name is none.
        ({"tai": 0.1}, r"^optimizer\.layer_lr\.tai: the network has no such layer"),
        ({"tail": 0.0}, r"^optimizer\.layer_lr\.tail: expected a positive share of the rate, got 0.0"),
    ],
)
def test_what_cannot_be_is_refused(shares, message):
    network = FSRCNN(scale=2, width=4, mapping_width=3, depth=1)
    with pytest.raises(Refusal, match=message):
        build._build_optimizer_of(network, {**SGD, "layer_lr": shares}, precision="32-true")


def test_without_any_there_is_one_group():
    network = FSRCNN(scale=2, width=4, mapping_width=3, depth=1)
    optimizer = build._build_optimizer_of(network, {**SGD, "layer_lr": {}}, precision="32-true")(network.parameters())
    assert len(optimizer.param_groups) == 1
    assert Constant(unit="steps", epoch_steps=1, warmup=0).bind(optimizer, total=1).get_last_lr() == [0.1]
