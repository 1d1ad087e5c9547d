"""Training on a content loss at every level of an image pyramid: LapSRN (Lai et al., CVPR 2017, arXiv:1704.03915)."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.functional.resize import imresize
from sr_lightning.losses.weighted_sum import Given
from sr_lightning.modules.base import marked_channels_last
from sr_lightning.modules.pixel import PixelModule


class PyramidModule(PixelModule):
    """The sum over all levels of the loss against HR, shrunk bicubically to the level's size (equation 2).

    Each level counts with the mean over its own pixels; the authors' code sums over pixels instead, so that there a
    level counts four times as much as the one before. Recorded are the sums over the levels.

    The network needs, beside `forward`, a method `pyramid` that maps `lr` to the images of all levels, the last of
    which is `forward`'s.

    Raises:
        ValueError: The network has none.
    """

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        """Return the loss of one micro-batch."""
        lr, hr = self.own_channels(batch["lr"]), self.own_channels(batch["hr"])
        levels: list[Tensor] = self._train_forward[0](marked_channels_last(lr))
        totals, terms = zip(*(self._level_loss(level, lr=lr, hr=hr) for level in levels), strict=True)
        total = torch.stack(totals).sum()
        self.observe({**_summed(terms), "loss": total})
        return total

    def _trained_function(self, network: nn.Module) -> Callable[..., Any]:
        pyramid = getattr(network, "pyramid", None)
        if pyramid is None:
            raise ValueError(
                f"module=pyramid trains networks that give an image at each level (a method `pyramid`), which "
                f"{type(network).__name__} does not; use module=pixel."
            )
        function: Callable[..., Any] = pyramid
        return function

    def _level_loss(self, level: Tensor, *, lr: Tensor, hr: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        factor = hr.shape[-1] // level.shape[-1]
        # The average over past weights has the size of the last level alone.
        given = self.given(lr) if factor == 1 else Given(lr=lr)
        target = imresize(hr, Fraction(1, factor)) if factor > 1 else hr
        total, terms = self.loss(level, target, step=self.step, given=given)
        return total, terms


def _summed(terms: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([each[name] for each in terms]).sum() for name in terms[0]}
