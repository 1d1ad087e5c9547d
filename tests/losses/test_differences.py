import pytest
import torch

from sr_lightning.losses.differences import GradientLoss, TotalVariationLoss

IMAGE = torch.tensor([[[[0.0, 1.0, 1.0], [0.5, 0.0, 1.0]]]])


def test_total_variation_by_hand():
    # Down: 0.5, 1, 0. Right: 1, 0; 0.5, 1.
    assert TotalVariationLoss()(IMAGE, torch.rand(1, 1, 2, 3)).item() == pytest.approx(1.5 / 3 + 2.5 / 4)
    assert TotalVariationLoss()(torch.full((1, 3, 4, 4), 0.7), torch.rand(1, 3, 4, 4)) == 0


def test_gradient_by_hand():
    other = IMAGE.flip(-1)
    # Down: 0.5, -1, 0 against 0, -1, 0.5. Right: 1, 0; -0.5, 1 against 0, -1; -1, 0.5.
    assert GradientLoss()(IMAGE, other).item() == pytest.approx(1.0 / 3 + (1 + 1 + 0.5 + 0.5) / 4)


def test_gradient_does_not_see_brightness_but_which_way_an_edge_goes():
    loss, edge = GradientLoss(), torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    assert loss(edge + 0.25, edge) == 0
    assert loss(1 - edge, edge) == pytest.approx(2 / 3)
    # Only the pixels beside a wrong difference are moved.
    sr = torch.zeros(1, 1, 4, 4, requires_grad=True)
    loss(sr, edge).backward()
    assert (sr.grad[..., 1] > 0).all()
    assert (sr.grad[..., 2] < 0).all()
    assert not sr.grad[..., [0, 3]].any()
