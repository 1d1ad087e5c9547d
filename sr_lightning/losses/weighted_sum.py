"""Several named losses as one."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightedSum(nn.Module):
    """`sum(weight[name] * term[name](sr, hr))`, with each term reported for the log.

    Args:
        terms: Content losses by name.
        weights: One weight, zero or larger, for each of the names.

    Raises:
        ValueError: No term, names that differ, or a negative weight.
    """

    def __init__(self, *, terms: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("A loss needs at least one term, got none: choose one, for example loss=l1.")
        if terms.keys() != weights.keys():
            raise ValueError(f"Every loss term needs a weight: terms {sorted(terms)}, weights {sorted(weights)}.")
        for name, weight in weights.items():
            if weight < 0:
                raise ValueError(f"The weight of a loss must not be negative, got loss.{name}.weight={weight}.")
        self.terms = nn.ModuleDict(terms)
        self.weights = dict(weights)

    def forward(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the weighted total and each term's own value, unweighted and detached."""
        values: dict[str, Tensor] = {name: term(sr, hr) for name, term in self.terms.items()}
        total = torch.stack([self.weights[name] * value for name, value in values.items()]).sum()
        return total, {name: value.detach() for name, value in values.items()}
