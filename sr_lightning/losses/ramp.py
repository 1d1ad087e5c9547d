"""The weight of a loss term, which may enter late and grow."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class RampedWeight:
    """0 before `start`, then growing linearly over `ramp` steps to `weight`.

    A pure function of the step, so that a resumed run goes on exactly.

    Args:
        weight: The weight in the end, zero or larger.
        start: Steps of the generator before the term enters.
        ramp: Steps over which its weight then grows; 0 takes it in full at once.

    Raises:
        ValueError: A number that is negative or not finite.

    Example:
        >>> [RampedWeight(1.0, start=1, ramp=2).at(step) for step in range(4)]
        [0.0, 0.5, 1.0, 1.0]
    """

    weight: float
    start: int = 0
    ramp: int = 0

    def __post_init__(self) -> None:
        """Refuses what no weight can be."""
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected zero or more, got {value}.")

    def at(self, step: int) -> float:
        """The weight by which the term counts in the step that comes after `step` steps."""
        done = step - self.start
        if done < 0:
            return 0.0
        return self.weight * (min(1.0, (done + 1) / self.ramp) if self.ramp else 1.0)
