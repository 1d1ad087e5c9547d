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


@pytest.mark.parametrize("stride", [1, 2])
def test_a_map_counts_by_its_sum(images, stride):
    """As BasicSR takes it: the gradient of the whole map with ones, its squares summed over an image's pixels."""
    real, fake = images
    judge = nn.Conv2d(2, 1, 2, stride=stride, padding=1)
    # What a pixel adds to the sum of the map: the kernel's entries that pass over it, one for each place.
    places = judge(real[:1]).shape[2:]
    slopes = torch.zeros(2, 5, 5)
    for row in range(places[0]):
        for column in range(places[1]):
            top, left = row * stride, column * stride
            slopes[:, top : top + 2, left : left + 2] += judge.weight.detach()[0]
    norm = slopes[:, 1:4, 1:4].square().sum().sqrt()
    r1 = DiscriminatorPenalty(kind="r1", weight=10.0)(judge, real, fake, samples=SAMPLES)
    torch.testing.assert_close(r1.detach(), 5.0 * norm**2)
    gradient = DiscriminatorPenalty(kind="gradient", weight=10.0)(judge, real, fake, samples=SAMPLES)
    torch.testing.assert_close(gradient.detach(), 10.0 * (norm - 1) ** 2)


def test_images_of_a_map_discriminator_against_the_formula_by_hand(images):
    """`D(x)` has the logits `a x^2 / 2` at each place: the gradient of their sum is `a x`, whatever the map's size."""
    real, _ = images

    class Map(Quadratic):
        def forward(self, images):
            return self.a * images.square() / 2

    judge = Map()
    expected = 0.0
    for image in real:
        for slope, pixel in zip(judge.a.detach().flatten(), image.flatten(), strict=True):
            expected += 5.0 * (slope.item() * pixel.item()) ** 2 / len(real)
    value = DiscriminatorPenalty(kind="r1", weight=10.0)(judge, real, real, samples=SAMPLES)
    assert value.item() == pytest.approx(expected, rel=1e-5)


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
