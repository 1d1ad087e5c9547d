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


def test_vanilla_starts_at_ln_2():
    nothing = torch.zeros(3, 1)

    assert AdversarialLoss().discriminator(nothing, nothing).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("kind", ["vanilla", "least_squares"])
def test_each_pulls_its_own_way(kind):
    loss = AdversarialLoss(kind=kind)
    real = torch.zeros(2, 1, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    fake = torch.full((2, 1, 3, 3), 0.5, requires_grad=True)

    as_generator = torch.autograd.grad(loss.generator(fake), fake)[0]
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
    with pytest.raises(ValueError, match=r"vanilla, least_squares; got 'vanila'; did you mean 'vanilla'\?"):
        AdversarialLoss(kind="vanila")
