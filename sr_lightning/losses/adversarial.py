"""The adversarial game, written on logits: what the generator minimises, and what the discriminator does."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_lightning.refusal import nearest

_KINDS = ("vanilla", "least_squares")


class AdversarialLoss:
    """Real images have the target 1, generated ones 0; the generator wants 1 for its own (non-saturating).

    - "vanilla": binary cross-entropy with logits (Goodfellow et al. 2014; SRGAN, ESRGAN).
    - "least_squares": mean squared distance of the raw output to the target (LSGAN, Mao et al. 2017).

    Both average over the batch and, for a patch discriminator, over its map.

    Args:
        kind: "vanilla" or "least_squares".

    Raises:
        ValueError: Another kind.
    """

    def __init__(self, *, kind: str = "vanilla") -> None:
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}; got {kind!r}{nearest(kind, _KINDS)}")
        self.kind = kind

    def generator(self, fake_logits: Tensor) -> Tensor:
        """How far the discriminator is from taking generated images for real ones; a float32 scalar."""
        return self._distance(fake_logits, target=1.0)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Half the sum of its errors on real and on generated images; a float32 scalar.

        The half keeps the loss at the scale of one batch: ln 2 for "vanilla" when it cannot tell them apart.
        """
        real = self._distance(real_logits, target=1.0)
        fake = self._distance(fake_logits, target=0.0)
        return 0.5 * (real + fake)

    def _distance(self, logits: Tensor, *, target: float) -> Tensor:
        logits = logits.float()
        targets = torch.full_like(logits, target)
        if self.kind == "vanilla":
            return F.binary_cross_entropy_with_logits(logits, targets)
        return F.mse_loss(logits, targets)
