import pytest
import torch
from torch import nn

from sr_lightning.functional.draws import Draws
from sr_lightning.losses.penalty import DiscriminatorPenalty

SAMPLES = [5, 6, 7]


class Quadratic(nn.Module):
    """`D(x) = sum(a x^2) / 2` with the gradient `a x`."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.rand(2, 3, 3))

    def forward(self, images):
        return (self.a * images.square()).sum(dim=(1, 2, 3), keepdim=True) / 2


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(3, 2, 3, 3), torch.rand(3, 2, 3, 3)


def test_r1_and_its_gradient_in_closed_form(images):
    real, fake = images
    judge = Quadratic()
    value = DiscriminatorPenalty(kind="r1", weight=8.0)(judge, real, fake, samples=SAMPLES)
    value.backward()
    torch.testing.assert_close(value, 4.0 * (judge.a * real).square().sum(dim=(1, 2, 3)).mean())
    torch.testing.assert_close(judge.a.grad, 8.0 * (judge.a.detach() * real.square()).mean(0))


def test_gradient_penalty_and_its_gradient_in_closed_form(images):
    real, fake = images
    judge = Quadratic()
    value = DiscriminatorPenalty(kind="gradient", weight=3.0, seed=4)(judge, real, fake, samples=SAMPLES)
    value.backward()
    share = torch.from_numpy(Draws(SAMPLES, seed=4, purpose="gradient penalty").uniform()).float().view(3, 1, 1, 1)
    mixed = share * real + (1 - share) * fake
    a = judge.a.detach()
    norms = (a * mixed).square().sum(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(value, 3.0 * (norms - 1).square().mean())
    # d|a x| / da = a x^2 / |a x|.
    factor = (2 * (norms - 1) / norms).view(3, 1, 1, 1)
    torch.testing.assert_close(judge.a.grad, 3.0 * (factor * a * mixed.square()).mean(0))


@pytest.mark.parametrize("kind", ["r1", "gradient"])
def test_second_derivative_of_a_network_against_differences(kind):
    """What descent goes by, against differences of the penalty itself."""
    torch.manual_seed(1)
    judge = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 3))
    real, fake = torch.rand(2, 3, 1, 8, 8)
    penalty = DiscriminatorPenalty(kind=kind)
    penalty(judge, real, fake, samples=SAMPLES).backward()
    weight, step = judge[0].weight, 1e-2
    for index in ((0, 0, 0, 0), (3, 0, 2, 1)):
        around = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[index] += sign * step
            around.append(penalty(judge, real, fake, samples=SAMPLES).item())
            with torch.no_grad():
                weight[index] -= sign * step
        assert weight.grad[index].item() == pytest.approx((around[0] - around[1]) / (2 * step), rel=2e-2, abs=1e-5)


@pytest.mark.parametrize("kind", ["r1", "gradient"])
def test_float32_under_autocast(kind):
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(8, 1, 3))
    real, fake = torch.rand(2, 3, 3, 8, 8)
    penalty = DiscriminatorPenalty(kind=kind)
    gradients = []
    for enabled in (False, True):
        judge.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = penalty(judge, real, fake.bfloat16() if enabled else fake.bfloat16().float(), samples=SAMPLES)
        value.backward()
        assert value.dtype == torch.float32
        # The last bias does not change the slope.
        gradients.append([parameter.grad.clone() for parameter in list(judge.parameters())[:-1]])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    assert gradients[0][0].abs().max() > 0


def test_a_map_counts_by_its_mean(images):
    real, fake = images
    judge = nn.Conv2d(2, 1, 1, bias=False)
    # D of an image is the mean over 9 places of w x: its gradient is w / 9 at each.
    expected = 5.0 * 9 * (judge.weight / 9).square().sum()
    torch.testing.assert_close(
        DiscriminatorPenalty(kind="r1")(judge, real, fake, samples=SAMPLES), expected, check_stride=False
    )


def test_lazily_it_counts_as_often_as_it_was_left_out(images):
    judge = Quadratic()
    each = DiscriminatorPenalty(kind="r1")(judge, *images, samples=SAMPLES)
    lazy = DiscriminatorPenalty(kind="r1", every=4)
    torch.testing.assert_close(lazy(judge, *images, samples=SAMPLES), 4 * each)
    assert [step for step in range(10) if lazy.due(step)] == [0, 4, 8]
    assert not DiscriminatorPenalty(kind="none").due(0)
    assert not DiscriminatorPenalty(kind="r1", weight=0.0).due(0)


def test_mixtures_are_drawn_by_the_samples_number(images):
    real, fake = images
    judge, penalty = Quadratic(), DiscriminatorPenalty(kind="gradient")
    whole = penalty(judge, real, fake, samples=SAMPLES)
    parts = [penalty(judge, real[i : i + 1], fake[i : i + 1], samples=[SAMPLES[i]]) for i in range(3)]
    torch.testing.assert_close(whole, torch.stack(parts).mean())
    assert penalty(judge, real, fake, samples=[8, 9, 10]) != whole


def test_no_gradient_anywhere_is_no_disaster(images):
    judge = Quadratic()
    judge.a.data.zero_()
    value = DiscriminatorPenalty(kind="gradient", weight=1.0)(judge, *images, samples=SAMPLES)
    value.backward()
    assert value.item() == pytest.approx(1.0, abs=1e-4)
    assert judge.a.grad.isfinite().all()


def test_refusals():
    with pytest.raises(ValueError, match="penalty must be one of none, r1, gradient; got 'r2'"):
        DiscriminatorPenalty(kind="r2")
    with pytest.raises(ValueError, match=r"every >= 1, got 1\.0 and 0"):
        DiscriminatorPenalty(kind="r1", weight=1.0, every=0)
