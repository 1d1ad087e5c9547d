"""The adversarial game, written on logits: what the generator minimises, and what the discriminator does."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_lightning.refusal import nearest

_KINDS = ("vanilla", "least_squares", "hinge", "relativistic_average")


class AdversarialLoss:
    """Real images have the target 1, generated ones 0; the generator wants 1 for its own (non-saturating).

    - "vanilla": binary cross-entropy with logits (Goodfellow et al. 2014; SRGAN, Real-ESRGAN).
    - "least_squares": mean squared distance of the raw output to the target (LSGAN, Mao et al. 2017).
    - "hinge": the discriminator wants more than 1 for real and less than -1 for generated images and no more than that;
      the generator raises the raw output (Lim and Ye 2017, arXiv 1705.02894).
    - "relativistic_average": binary cross-entropy of how much more real an image is than the other kind's average
      (Jolicoeur-Martineau 2018, arXiv 1807.00734; ESRGAN). The generator's loss has both halves and needs the logits of
      real images. As in BasicSR, the discriminator's averages get no gradient.

    All average over the batch and, for a patch discriminator, over its map, in float32.

    Args:
        kind: One of these names.

    Raises:
        ValueError: Another kind.
    """

    def __init__(self, *, kind: str = "vanilla") -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}{nearest(kind, _KINDS)}")
        self.kind = kind

    @property
    def compares(self) -> bool:
        """Whether the generator's loss needs the logits of real images."""
        return self.kind == "relativistic_average"

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """How far the discriminator is from taking generated images for real ones; a float32 scalar.

        Args:
            fake_logits: Of generated images, with gradient.
            real_logits: Of real images, which get none; only a kind that compares looks at them.

        Raises:
            ValueError: The kind compares, and there is nothing to compare with.
        """
        fake = fake_logits.float()
        if self.kind == "hinge":
            return -fake.mean()
        if not self.compares:
            return self._distance(fake, target=1.0)
        if real_logits is None:
            raise ValueError(f"kind={self.kind} compares with the logits of real images, got none.")
        real = real_logits.detach().float()
        return 0.5 * (self._distance(real - fake.mean(), target=0.0) + self._distance(fake - real.mean(), target=1.0))

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Half the sum of its errors on real and on generated images; a float32 scalar.

        The half keeps the loss at the scale of one batch: ln 2 for "vanilla" when it cannot tell them apart.
        """
        real, fake = real_logits.float(), fake_logits.float()
        if self.kind == "hinge":
            return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean())
        if self.compares:
            real, fake = real - fake.detach().mean(), fake - real.detach().mean()
        return 0.5 * (self._distance(real, target=1.0) + self._distance(fake, target=0.0))

    def _distance(self, logits: Tensor, *, target: float) -> Tensor:
        targets = torch.full_like(logits, target)
        if self.kind == "least_squares":
            return F.mse_loss(logits, targets)
        return F.binary_cross_entropy_with_logits(logits, targets)
