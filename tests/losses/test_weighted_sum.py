import pytest
import torch
from torch import nn

from sr_lightning.losses.pixel import L1Loss, MSELoss
from sr_lightning.losses.ramp import RampedWeight
from sr_lightning.losses.weighted_sum import Given, WeightedSum


def test_total_and_terms():
    loss = WeightedSum(terms={"l1": L1Loss(), "mse": MSELoss()}, weights={"mse": 10.0, "l1": 0.5})
    sr = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)

    total, terms = loss(sr, torch.ones(1, 1, 2, 2))
    total.backward()

    assert total.item() == pytest.approx(0.5 * 0.5 + 10 * 0.25)
    assert {name: value.item() for name, value in terms.items()} == {"l1": 0.5, "mse": 0.25}
    assert not any(value.requires_grad for value in terms.values())
    # (0.5 * sign + 10 * 2 * difference) / 4 pixels.
    torch.testing.assert_close(sr.grad, torch.full_like(sr, (-0.5 - 10.0) / 4))


@pytest.mark.parametrize(
    ("terms", "weights", "message"),
    [
        ({}, {}, r"at least one term"),
        ({"l1": L1Loss()}, {"mse": 1.0}, r"terms \['l1'\], weights \['mse'\]"),
        ({"l1": L1Loss()}, {"l1": -1.0}, r"loss\.l1\.weight: expected zero or more, got -1\.0"),
    ],
)
def test_refusals(terms, weights, message):
    with pytest.raises(ValueError, match=message):
        WeightedSum(terms=terms, weights=weights)


class Counting(nn.Module):
    """Mean of what it is given beside, counting its calls."""

    def __init__(self, *needs):
        super().__init__()
        self.needs = needs
        self.calls = 0

    def forward(self, sr, hr, **given):
        self.calls += 1
        assert set(given) == set(self.needs)
        return sum(value.mean() for value in given.values()) + sr.mean()


def test_terms_enter_and_grow_with_the_step():
    first, second = Counting(), Counting()
    loss = WeightedSum(
        terms={"first": first, "second": second}, weights={"first": 2.0, "second": RampedWeight(1.0, 2, 2)}
    )
    sr = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)

    totals = [loss(sr, sr, step=step)[0].item() for step in range(5)]

    assert totals == [1.0, 1.0, 1.25, 1.5, 1.5]
    assert loss.weights_at(1) == {"first": 2.0}
    assert loss.weights_at(2) == {"first": 2.0, "second": 0.5}
    assert set(loss(sr, sr, step=1)[1]) == {"first"}
    # A term of weight 0 is not computed.
    assert (first.calls, second.calls) == (6, 3)


def test_without_any_weight_the_gradient_is_zero():
    term = Counting("lr")
    loss = WeightedSum(terms={"a": term}, weights={"a": RampedWeight(1.0, start=1)})
    sr = torch.rand(1, 1, 2, 2, requires_grad=True)

    total, terms = loss(sr, sr.detach(), step=0)
    total.backward()

    assert (total.item(), terms, term.calls) == (0.0, {}, 0)
    assert torch.equal(sr.grad, torch.zeros_like(sr))


def test_terms_are_handed_what_they_need_and_no_more():
    asked = []

    def averaged():
        asked.append(True)
        return torch.tensor(3.0)

    given = Given(lr=torch.tensor(2.0), averaged_sr=averaged)
    loss = WeightedSum(
        terms={"plain": Counting(), "lr": Counting("lr"), "both": Counting("lr", "averaged_sr")},
        weights={"plain": 1.0, "lr": 1.0, "both": RampedWeight(1.0, start=1)},
    )
    sr = torch.zeros(1, 1, 2, 2)

    assert {name: value.item() for name, value in loss(sr, sr, given=given)[1].items()} == {"plain": 0.0, "lr": 2.0}
    assert asked == []
    assert loss(sr, sr, step=1, given=given)[1]["both"].item() == 5.0
    assert asked == [True]
    with pytest.raises(ValueError, match=r"loss\.both needs averaged_sr, which this run does not have"):
        loss(sr, sr, step=1, given=Given(lr=sr))
