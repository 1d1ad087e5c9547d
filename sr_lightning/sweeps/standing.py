"""How each cell of a running sweep stands, and how long all of them will take."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sr_lightning.sweeps.jobs import Cell, Process
from sr_lightning.sweeps.progress import Progress
from sr_lightning.sweeps.slots import Share

State = Literal["waiting", "locked", "running", "retry", "done", "skipped", "failed", "interrupted"]
# What will not change any more.
ENDED: tuple[State, ...] = ("done", "skipped", "failed", "interrupted")


@dataclass
class Standing:
    """What has become of a cell so far.

    Attributes:
        cell: the cell.
        state: `skipped` was finished before, `locked` waits for another sweep's process in its folder, `retry` failed
            and waits to be started again.
        attempts: processes started for it.
        process: while it runs.
        share: where it runs or ran last.
        progress: how far it is.
        seconds: that its attempts took in this sweep, the running one not counted.
        exit_code: of its last attempt.
        reason: why that failed.
        results: its `results.json`, once it is finished.
    """

    cell: Cell
    state: State = "waiting"
    attempts: int = 0
    process: Process | None = None
    share: Share | None = None
    progress: Progress = field(default_factory=Progress)
    seconds: float = 0.0
    exit_code: int | None = None
    reason: str | None = None
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def trained(self) -> float | None:
        """Seconds of training alone, over all starts of the run; None where it has not finished."""
        return self.results.get("seconds")

    @property
    def shown_state(self) -> str:
        """The state in a word: of a running job what it does."""
        return self.progress.state if self.state == "running" else self.state


def counts(standings: Sequence[Standing]) -> Counter[State]:
    """Return how many cells are in each state."""
    return Counter(standing.state for standing in standings)


def time_left(standings: Sequence[Standing], *, at_once: int, now: float) -> float | None:
    """Return seconds until all cells have ended, reckoned by those that have and by what running ones say of theirs.

    Args:
        standings: of all cells.
        at_once: how many jobs run side by side.
        now: Unix time.

    Returns:
        None before anything is known.
    """
    running = [standing for standing in standings if standing.state == "running"]
    waiting = sum(standing.state in ("waiting", "locked", "retry") for standing in standings)
    left = [standing.progress.eta for standing in running if standing.progress.eta is not None]
    whole = [standing.seconds for standing in standings if standing.state == "done"]
    whole += [
        now - standing.process.started + standing.progress.eta
        for standing in running
        if standing.process is not None and standing.progress.eta is not None
    ]
    if not whole:
        return None
    typical = sum(whole) / len(whole)
    work = sum(left) + typical * (waiting + len(running) - len(left))
    return max([work / max(1, at_once), *left])
