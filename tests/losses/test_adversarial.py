import math

import pytest
import torch

from sr_lightning.losses.adversarial import AdversarialLoss

REAL, FAKE = torch.tensor([[2.0], [0.0]]), torch.tensor([[-1.0], [3.0]])


def softplus(value):
    return math.log1p(math.exp(value))


def test_vanilla_by_hand():
    loss = AdversarialLoss(kind="vanilla")

    # -log sigmoid(x) = softplus(-x); -log(1 - sigmoid(x)) = softplus(x).
    assert loss.generator(FAKE).item() == pytest.approx((softplus(1) + softplus(-3)) / 2)
    real, fake = (softplus(-2) + softplus(0)) / 2, (softplus(-1) + softplus(3)) / 2
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx((real + fake) / 2)


def test_least_squares_by_hand():
    loss = AdversarialLoss(kind="least_squares")

    assert loss.generator(FAKE).item() == pytest.approx((4 + 4) / 2)
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(((1 + 1) / 2 + (1 + 9) / 2) / 2)


def test_hinge_by_hand():
    loss = AdversarialLoss(kind="hinge")

    assert loss.generator(FAKE).item() == pytest.approx((1 - 3) / 2)
    # Real 2 is beyond its margin of 1, real 0 misses it by 1; fake -1 stands on its margin of -1, fake 3 is 4 off.
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(((0 + 1) / 2 + (0 + 4) / 2) / 2)


def test_relativistic_average_by_hand():
    loss = AdversarialLoss(kind="relativistic_average")

    # Means: real 1, fake 1. The generator wants real to be below the average fake, and fake above the average real.
    generator = (softplus(2 - 1) + softplus(0 - 1)) / 2, (softplus(-(-1 - 1)) + softplus(-(3 - 1))) / 2
    assert loss.generator(FAKE, REAL).item() == pytest.approx(sum(generator) / 2)
    discriminator = (softplus(-(2 - 1)) + softplus(-(0 - 1))) / 2, (softplus(-1 - 1) + softplus(3 - 1)) / 2
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(sum(discriminator) / 2)


def test_relativistic_average_has_the_gradients_of_basicsr():
    """Its program makes the discriminator's step in two parts, each with the other's logits as constants."""
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    loss = AdversarialLoss(kind="relativistic_average")
    real, fake = (logits.clone().requires_grad_() for logits in (REAL, FAKE))
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)

    mine = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    theirs = (
        torch.autograd.grad(0.5 * entropy(real - fake.detach().mean(), ones), real)[0],
        torch.autograd.grad(0.5 * entropy(fake - real.detach().mean(), zeros), fake)[0],
    )
    torch.testing.assert_close(mine, theirs)
    # The generator's average has a gradient.
    term = (entropy(REAL - fake.mean(), zeros) + entropy(fake - REAL.mean(), ones)) / 2
    (mine,) = torch.autograd.grad(loss.generator(fake, real), fake)
    torch.testing.assert_close(mine, torch.autograd.grad(term, fake)[0])
    assert AdversarialLoss(kind="relativistic_average").compares
    assert not AdversarialLoss(kind="hinge").compares
    with pytest.raises(ValueError, match="compares with the logits of real images, got none"):
        loss.generator(fake)


def test_vanilla_starts_at_ln_2():
    nothing = torch.zeros(3, 1)

    assert AdversarialLoss().discriminator(nothing, nothing).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", ["vanilla", "least_squares", "hinge", "relativistic_average"])
def test_each_pulls_its_own_way(kind):
    loss = AdversarialLoss(kind=kind)
    real = torch.zeros(2, 1, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    fake = torch.full((2, 1, 3, 3), 0.5, requires_grad=True)

    as_generator = torch.autograd.grad(loss.generator(fake, real), fake)[0]
    value = loss.discriminator(real, fake)
    for_real, for_fake = torch.autograd.grad(value, (real, fake))

    assert value.dtype == torch.float32
    assert value.shape == ()
    # Descent raises the logits of generated images for the generator, and lowers them for the discriminator.
    assert (as_generator < 0).all()
    assert (for_fake > 0).all()
    assert (for_real < 0).all()


def test_vanilla_does_not_saturate():
    """A generator that is always caught still learns: the gradient is not that of log(1 - D)."""
    fake = torch.tensor([[-20.0]], requires_grad=True)

    AdversarialLoss().generator(fake).backward()

    assert fake.grad.item() == pytest.approx(-1.0)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"relativistic_average; got 'vanila'; did you mean 'vanilla'\?"):
        AdversarialLoss(kind="vanila")
