"""Penalties on the discriminator's gradient by the images, which keep the adversarial game from running away."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sr_lightning.functional.draws import Draws
from sr_lightning.refusal import nearest

_KINDS = ("none", "r1", "gradient")


class DiscriminatorPenalty:
    """A term of the discriminator's loss alone.

    - "none": no penalty.
    - "r1": `weight / 2 * E|grad D(real)|^2` (Mescheder et al. 2018, arXiv 1801.04406, equation 9, weight = gamma).
    - "gradient": `weight * E(|grad D(x)| - 1)^2` of mixtures `x = e * real + (1 - e) * fake` with e uniform in [0, 1)
      for each image (WGAN-GP, Gulrajani et al. 2017, arXiv 1704.00028, equation 3, weight = lambda). The paper warns of
      batch normalisation in the discriminator, which makes an image's gradient depend on the others.

    `D` of an image is the sum of its map of logits, as in BasicSR (`losses/gan_loss.py`: the map's gradient is taken
    with ones), though the adversarial losses average over the map; `|.|` is the norm over all pixels of the image and E
    the mean over the batch. Everything is in float32, outside autocast: it is differentiated twice.

    Args:
        kind: One of these names.
        weight: gamma or lambda.
        every: The penalty is taken at every so many steps only, and then counts so many times (Karras et al. 2020,
            arXiv 1912.04958, appendix B: 16 costs a fraction and trains alike).
        seed: Of the mixtures.

    Raises:
        ValueError: Another kind, a negative weight, or no step at all.
    """

    def __init__(self, *, kind: str = "none", weight: float = 10.0, every: int = 1, seed: int = 0) -> None:
        if kind not in _KINDS:
            raise ValueError(f"penalty must be one of {', '.join(_KINDS)}; got {kind!r}{nearest(kind, _KINDS)}")
        if weight < 0 or every < 1:
            raise ValueError(f"a penalty needs weight >= 0 and every >= 1, got {weight} and {every}.")
        self.kind = kind
        self.weight = weight
        self.every = every
        self.seed = seed

    def due(self, step: int) -> bool:
        """Whether the step that comes after `step` steps has the penalty."""
        return self.kind != "none" and self.weight > 0 and step % self.every == 0

    def __call__(self, discriminator: nn.Module, real: Tensor, fake: Tensor, *, samples: Sequence[int]) -> Tensor:
        """Returns the penalty, weighted, a float32 scalar with gradient for the discriminator.

        Args:
            discriminator: Maps images to logits of any shape `(N, ...)`.
            real: `(N, C, H, W)`.
            fake: The same shape.
            samples: The images' numbers in the stream of training, by which mixtures are drawn.
        """
        with torch.autocast(real.device.type, enabled=False):
            if self.kind == "r1":
                squares = _squared_norms(discriminator, real.float())
                return 0.5 * self.weight * self.every * squares.mean()
            shares = Draws(samples, seed=self.seed, purpose="gradient penalty").uniform()
            share = torch.from_numpy(shares).to(real.device, torch.float32).view(-1, 1, 1, 1)
            squares = _squared_norms(discriminator, torch.lerp(fake.float(), real.float(), share))
            # The root has no gradient at 0, where a network of ReLUs may well be.
            norms = (squares + 1e-12).sqrt()
            return self.weight * self.every * (norms - 1).square().mean()


def _squared_norms(discriminator: nn.Module, images: Tensor) -> Tensor:
    """`|grad D|^2` of each image, `(N,)`, with a graph to differentiate once more."""
    images = images.detach().requires_grad_()
    # Summed over the batch too: an image's gradient is its own (but for batch normalisation).
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))
