from collections.abc import Callable

import pytest

from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.progress import Progress
from sr_lightning.sweeps.standing import Standing, State, counts, time_left


class Begun:
    started = 1000.0


@pytest.fixture
def stand(make_cell: Callable[..., Cell]) -> Callable[..., Standing]:
    def make(state: State, *, eta: float | None = None, seconds: float = 0.0) -> Standing:
        process = Begun() if state == "running" else None
        return Standing(make_cell("a"), state, progress=Progress(eta=eta), seconds=seconds, process=process)  # type: ignore[arg-type]

    return make


def test_the_time_left(stand: Callable[..., Standing]) -> None:
    assert time_left([stand("waiting"), stand("running")], at_once=1, now=1010.0) is None
    # Ten seconds done, thirty to go: forty in all, which the waiting one will take too.
    assert time_left([stand("waiting"), stand("running", eta=30.0)], at_once=1, now=1010.0) == 70.0
    assert time_left([stand("waiting"), stand("running", eta=30.0)], at_once=2, now=1010.0) == 35.0
    # Never before the slowest of those that run.
    assert time_left([stand("running", eta=30.0), stand("running", eta=2.0)], at_once=2, now=1010.0) == 30.0
    assert time_left([stand("done", seconds=20.0), stand("retry"), stand("locked")], at_once=1, now=0.0) == 40.0
    # One that has only begun will take as long as others.
    assert time_left([stand("done", seconds=20.0), stand("running")], at_once=1, now=0.0) == 20.0
    assert time_left([stand("done", seconds=20.0), stand("failed")], at_once=1, now=0.0) == 0.0


def test_states_are_counted_and_shown(stand: Callable[..., Standing]) -> None:
    standings = [stand("done"), stand("done"), stand("failed")]
    assert counts(standings) == {"done": 2, "failed": 1}
    assert stand("failed").shown_state == "failed"
    running = stand("running")
    assert running.shown_state == "starting"
    running.progress = Progress("scoring")
    assert running.shown_state == "scoring"
