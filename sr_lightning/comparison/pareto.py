"""Pareto fronts: which of many results no other beats in everything."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Direction = Literal["max", "min"]


def pareto_fronts(points: Sequence[Sequence[float]], directions: Sequence[Direction]) -> list[int]:
    """Return the number of each point's front: 1 for points that none dominates, 2 for those without the first, ...

    Non-dominated sorting (Deb et al., NSGA-II, 2002). A point dominates another that it equals or betters in all values
    and betters in one: equal points are on the same front.

    Args:
        points: (N, K) finite values.
        directions: of each value, whether more is better (`max`) or less.

    Raises:
        ValueError: the values are not as many as the directions, or one of them is no number.

    Example:
        >>> pareto_fronts([(30.0, 0.1), (29.0, 0.2), (31.0, 0.3)], ("max", "min"))
        [1, 2, 1]
    """
    if not len(points):
        return []
    values = np.asarray(points, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(directions) or not np.isfinite(values).all():
        raise ValueError(f"expected points of {len(directions)} finite values each, got {points!r}.")
    values = values * [1 if direction == "max" else -1 for direction in directions]
    at_least = np.asarray((values[:, None] >= values[None]).all(-1))
    dominates = at_least & ~at_least.T
    fronts = np.zeros(len(values), dtype=int)
    number = 0
    while (left := fronts == 0).any():
        number += 1
        fronts[left & ~dominates[left].any(0)] = number
    return [int(front) for front in fronts]
