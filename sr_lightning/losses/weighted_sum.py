"""Several named losses as one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sr_lightning.losses.ramp import RampedWeight


@dataclass(frozen=True)
class Given:
    """What a term may ask for beside `sr` and `hr`, by the names in its attribute `needs`.

    Attributes:
        lr: What the network was given, `(N, C, H, W)` in [0, 1].
        averaged_sr: Makes what the moving average of the generator makes of it, `(N, C, scale*H, scale*W)` without
            gradient; None where no average is kept. Called only if a term that counts asks.
    """

    lr: Tensor | None = None
    averaged_sr: Callable[[], Tensor] | None = None


class WeightedSum(nn.Module):
    """`sum(weight[name] * term[name](sr, hr))`, with each term reported for the log.

    A term whose weight is 0 at a step is not computed. A term with an attribute `needs`, names of `Given`, gets those
    as keywords too.

    Args:
        terms: Content losses by name; two of one kind may stand side by side.
        weights: One for each of the names; a plain number counts from the first step on.

    Raises:
        ValueError: No term, names that differ, or a negative weight.
    """

    def __init__(self, *, terms: Mapping[str, nn.Module], weights: Mapping[str, float | RampedWeight]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("A loss needs at least one term, got none: choose one, for example loss=l1.")
        if terms.keys() != weights.keys():
            raise ValueError(f"Every loss term needs a weight: terms {sorted(terms)}, weights {sorted(weights)}.")
        self.terms = nn.ModuleDict(terms)
        self._weights: dict[str, RampedWeight] = {}
        for name, weight in weights.items():
            try:
                self._weights[name] = weight if isinstance(weight, RampedWeight) else RampedWeight(weight)
            except ValueError as error:
                raise ValueError(f"loss.{name}.{error}") from error

    def weights_at(self, step: int) -> dict[str, float]:
        """The weights in the step that comes after `step` steps; terms of weight 0 are left out."""
        return {name: value for name, weight in self._weights.items() if (value := weight.at(step))}

    def forward(
        self, sr: Tensor, hr: Tensor, *, step: int = 0, given: Given | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the weighted total and each term's own value, unweighted and detached.

        Args:
            sr: `(N, C, H, W)` in [0, 1], not clamped.
            hr: The same shape.
            step: Steps done before this one, counted from the beginning of the phase that the loss belongs to.
            given: What terms may ask for beside.

        Raises:
            ValueError: A term that counts needs what is not given.
        """
        weights = self.weights_at(step)
        values: dict[str, Tensor] = {
            name: self.terms[name](sr, hr, **self._asked(name, given or Given())) for name in weights
        }
        if not values:
            # Something to take a gradient of: of zeros, through the whole network.
            return 0.0 * sr.float().sum(), {}
        total = torch.stack([weights[name] * value for name, value in values.items()]).sum()
        return total, {name: value.detach() for name, value in values.items()}

    def _asked(self, name: str, given: Given) -> dict[str, Tensor]:
        needs: tuple[str, ...] = getattr(self.terms[name], "needs", ())
        values = {need: getattr(given, need) for need in needs}
        for need, value in values.items():
            if value is None:
                raise ValueError(f"loss.{name} needs {need}, which this run does not have.")
        return {need: value() if callable(value) else value for need, value in values.items()}
