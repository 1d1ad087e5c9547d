"""Values worked out by hand."""

import math
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from sr_lightning.modules.schedules import Constant, Cosine, MultiStep, Schedule

STEPS: dict[str, Any] = {"unit": "steps", "epoch_steps": 1000, "warmup": 0}
EPOCHS: dict[str, Any] = {"unit": "epochs", "epoch_steps": 10, "warmup": 0}


def factors(schedule: Schedule, steps: list[int], total: int = 100) -> list[float]:
    return [schedule.factor(step, total) for step in steps]


def test_constant_stays() -> None:
    assert factors(Constant(**STEPS), [0, 50, 10**9]) == [1.0, 1.0, 1.0]


def test_warmup_rises_linearly_from_its_first_share() -> None:
    schedule = Constant(**{**STEPS, "warmup": 4})
    assert factors(schedule, [0, 1, 2, 3, 4, 5]) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_warmup_in_epochs() -> None:
    schedule = Constant(**{**EPOCHS, "warmup": 2})
    assert factors(schedule, [0, 9, 19, 20]) == [0.05, 0.5, 1.0, 1.0]


def test_multistep_changes_at_its_milestones() -> None:
    schedule = MultiStep(milestones=[20, 10], gamma=0.5, **STEPS)
    assert factors(schedule, [0, 9, 10, 19, 20, 99]) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_multistep_in_epochs() -> None:
    schedule = MultiStep(milestones=[1, 3], gamma=0.1, **EPOCHS)
    assert factors(schedule, [9, 10, 29, 30]) == pytest.approx([1.0, 0.1, 0.1, 0.01])


def test_cosine_falls_over_the_whole_phase() -> None:
    schedule = Cosine(length=None, floor=0.1, **STEPS)
    assert factors(schedule, [0, 25, 50, 100, 200]) == pytest.approx(
        [1.0, 0.1 + 0.9 * 0.5 * (1 + math.sqrt(0.5)), 0.55, 0.1, 0.1]
    )


def test_cosine_begins_after_the_warmup_and_ends_with_its_length() -> None:
    schedule = Cosine(length=4, floor=0.0, **{**EPOCHS, "warmup": 2})
    # 20 steps up, then 20 down to step 40.
    assert factors(schedule, [9, 19, 20, 30, 40, 90]) == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0, 0.0])


def test_unknown_unit() -> None:
    with pytest.raises(ValueError, match=r"expected steps or epochs, got 'days'"):
        Constant(unit="days", epoch_steps=1, warmup=0)  # type: ignore[arg-type]


def bound(schedule: Schedule, total: int) -> tuple[torch.optim.SGD, LambdaLR]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    return optimizer, schedule.bind(optimizer, total=total)


def rates(optimizer: torch.optim.SGD, scheduler: LambdaLR, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_bound_to_an_optimiser_it_multiplies_its_rate() -> None:
    optimizer, scheduler = bound(MultiStep(milestones=[2], gamma=0.5, **{**STEPS, "warmup": 2}), 4)
    assert rates(optimizer, scheduler, 4) == [1.0, 2.0, 1.0, 1.0]


def test_resumed_it_goes_on_exactly() -> None:
    schedule = Cosine(length=None, floor=1e-3, **{**STEPS, "warmup": 3})
    whole = rates(*bound(schedule, 20), 20)
    optimizer, scheduler = bound(schedule, 20)
    first = rates(optimizer, scheduler, 7)
    state = torch.utils.data.default_convert(scheduler.state_dict()), optimizer.state_dict()
    optimizer, scheduler = bound(schedule, 20)
    scheduler.load_state_dict(state[0])
    optimizer.load_state_dict(state[1])
    assert first + rates(optimizer, scheduler, 13) == whole


@pytest.mark.parametrize(
    ("make", "given", "expected"),
    [
        (MultiStep, {"milestones": [5, 0], "gamma": 0.5}, r"expected milestones from 1 on, got \[5, 0\]"),
        (MultiStep, {"milestones": [5], "gamma": -1}, "expected gamma above 0, got -1"),
        (MultiStep, {"milestones": [5], "gamma": math.inf}, "expected gamma above 0, got inf"),
        (Cosine, {"length": 0, "floor": 0.0}, "expected length above 0, or null for all steps, got 0"),
        (Cosine, {"length": None, "floor": 2}, "expected floor from 0 to 1, a share of the rate, got 2"),
        (Cosine, {"length": 5, "floor": -0.1}, "expected floor from 0 to 1"),
    ],
)
def test_what_is_no_schedule(make: Any, given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make(**given, **STEPS)
