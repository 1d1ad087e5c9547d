"""Learning-rate schedules: the factor on the optimiser's own rate at each step of the generator.

A schedule is a plain function of the step, so that its state is the step alone and a resumed run is exact.
Counts may be given in epochs; an epoch is a fixed number of steps (`trainer.epoch_steps`, 1000 as in EDSR and
IMDN), because random patches have no natural end.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

Unit = Literal["steps", "epochs"]


class Schedule(ABC):
    """A learning-rate schedule with a linear warm-up.

    Args:
        unit: what `warmup` and the subclass's counts are given in.
        epoch_steps: steps of one epoch.
        warmup: length of the linear rise from 0 to the full rate; the first step has rate 1/warmup.

    Raises:
        ValueError: where the unit is neither "steps" nor "epochs".
    """

    def __init__(self, *, unit: Unit, epoch_steps: int, warmup: int) -> None:
        if unit not in ("steps", "epochs"):
            raise ValueError(f"unit: expected steps or epochs, got {unit!r}.")
        self.in_steps = epoch_steps if unit == "epochs" else 1
        self.warmup = warmup * self.in_steps

    def factor(self, step: int, total: int) -> float:
        """Return the factor at `step` (0 for the first) of a phase of `total` steps."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return rise * self.after_warmup(step, total)

    @abstractmethod
    def after_warmup(self, step: int, total: int) -> float:
        """Return the factor without the warm-up."""

    def bind(self, optimizer: Optimizer, *, total: int) -> LambdaLR:
        """Return the PyTorch scheduler of a phase of `total` steps."""
        return LambdaLR(optimizer, lambda step: self.factor(step, total))


class Constant(Schedule):
    """The rate stays."""

    def after_warmup(self, step: int, total: int) -> float:
        """Return 1."""
        return 1.0


class MultiStep(Schedule):
    """The rate is multiplied by `gamma` at each milestone.

    Raises:
        ValueError: milestones before the second step, or a factor that is not positive.
    """

    def __init__(self, *, milestones: Sequence[int], gamma: float, unit: Unit, epoch_steps: int, warmup: int) -> None:
        super().__init__(unit=unit, epoch_steps=epoch_steps, warmup=warmup)
        if any(milestone < 1 for milestone in milestones):
            raise ValueError(f"expected milestones from 1 on, got {list(milestones)}.")
        if not 0 < gamma < math.inf:
            raise ValueError(f"expected gamma above 0, got {gamma}.")
        self.milestones = sorted(milestone * self.in_steps for milestone in milestones)
        self.gamma = gamma

    def after_warmup(self, step: int, total: int) -> float:
        """Return gamma to the power of the milestones passed."""
        return float(self.gamma ** sum(step >= milestone for milestone in self.milestones))


class Cosine(Schedule):
    """The rate falls along half a cosine from 1 to `floor` (SGDR without restarts, arXiv:1608.03983, eq. 5).

    Raises:
        ValueError: a length below 1, or a floor that is no share.
    """

    def __init__(self, *, length: int | None, floor: float, unit: Unit, epoch_steps: int, warmup: int) -> None:
        super().__init__(unit=unit, epoch_steps=epoch_steps, warmup=warmup)
        if length is not None and length < 1:
            raise ValueError(f"expected length above 0, or null for all steps, got {length}.")
        if not 0 <= floor <= 1:
            raise ValueError(f"expected floor from 0 to 1, a share of the rate, got {floor}.")
        self.length = None if length is None else length * self.in_steps
        self.floor = floor

    def after_warmup(self, step: int, total: int) -> float:
        """Return the cosine's value; past its end the floor."""
        length = max(1, (self.length or total) - self.warmup)
        progress = min(1.0, max(0, step - self.warmup) / length)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))
