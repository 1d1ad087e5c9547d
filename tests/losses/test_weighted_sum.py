import pytest
import torch

from sr_lightning.losses.pixel import L1Loss, MSELoss
from sr_lightning.losses.weighted_sum import WeightedSum


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
        ({"l1": L1Loss()}, {"l1": -1.0}, r"must not be negative, got loss\.l1\.weight=-1\.0"),
    ],
)
def test_refusals(terms, weights, message):
    with pytest.raises(ValueError, match=message):
        WeightedSum(terms=terms, weights=weights)
