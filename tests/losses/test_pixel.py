import pytest
import torch

from sr_lightning.losses.pixel import CharbonnierLoss, HuberLoss, L1Loss, MSELoss

SR = torch.tensor([[[[0.0, 0.5], [1.0, 0.25]]]])
HR = torch.tensor([[[[0.0, 0.25], [0.5, 0.25]]]])


@pytest.mark.parametrize(
    ("loss", "expected", "floor"),
    [
        (L1Loss(), 0.75 / 4, 0.0),
        (MSELoss(), (0.0625 + 0.25) / 4, 0.0),
        # sqrt(d^2 + 0.01) of d = 0, 0.25, 0.5, 0.
        (CharbonnierLoss(eps=0.1), (0.1 + 0.2692582 + 0.5099020 + 0.1) / 4, 0.1),
        (CharbonnierLoss(), 0.1880002, 1e-3),
        # 0.25^2 / 2 below delta, 0.3 * (0.5 - 0.15) beyond.
        (HuberLoss(delta=0.3), (0.03125 + 0.105) / 4, 0.0),
    ],
)
def test_by_hand(loss, expected, floor):
    assert loss(SR, HR).item() == pytest.approx(expected, abs=1e-5)
    assert loss(HR, HR).item() == pytest.approx(floor, abs=1e-8)


@pytest.mark.parametrize("loss", [L1Loss(), MSELoss(), CharbonnierLoss(), HuberLoss()])
def test_float32_scalar_and_finite_gradient_even_at_equality(loss):
    sr = torch.rand(2, 3, 4, 4, requires_grad=True)

    with torch.autocast("cpu", torch.bfloat16):
        value = loss(sr, sr.detach().bfloat16())
    value.backward()

    assert value.shape == ()
    assert value.dtype == torch.float32
    assert sr.grad.isfinite().all()
    assert sr.grad.abs().max() > 0
    assert loss(sr, sr.detach()).isfinite()


def test_charbonnier_refuses_no_tip():
    with pytest.raises(ValueError, match=r"eps > 0 .* got 0"):
        CharbonnierLoss(eps=0)


def test_huber_refuses_no_width():
    with pytest.raises(ValueError, match=r"delta > 0, got -1"):
        HuberLoss(delta=-1)
