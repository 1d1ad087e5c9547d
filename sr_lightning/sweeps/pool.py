"""Many jobs on the devices of one machine: each in a process of its own, the next as soon as a device is free."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Protocol

from sr_lightning.report.lock import HELD, is_held
from sr_lightning.sweeps.cells import state_of
from sr_lightning.sweeps.jobs import Cell, Process
from sr_lightning.sweeps.progress import progress_of_results, progress_of_run
from sr_lightning.sweeps.slots import Slots
from sr_lightning.sweeps.standing import Standing, State


class Display(Protocol):
    """What a person sees of a pool."""

    def begin(self, standings: Sequence[Standing]) -> None:
        """Show what is to be done."""

    def tell(self, standing: Standing) -> None:
        """Show that one cell has changed its state."""

    def refresh(self, standings: Sequence[Standing]) -> None:
        """Show how far all are, some times a second."""

    def say(self, text: str) -> None:
        """Show a line in between."""

    def end(self) -> None:
        """Leave: nothing runs any more."""


class Pool:
    """Runs cells until each has ended.

    A job that fails leaves the others alone. The first SIGINT or SIGTERM is handed on to the jobs, which save a
    checkpoint and leave; no other job starts. A second one kills them.

    Args:
        cells: in the order in which they are to start.
        slots: the machine's devices.
        retries: how often a failed job is started again.
        poll: seconds between two looks at the jobs.
        display: tells a person.
    """

    def __init__(self, cells: Sequence[Cell], *, slots: Slots, retries: int, poll: float, display: Display) -> None:
        self.slots = slots
        self.retries = retries
        self.poll = poll
        self.display = display
        self.standings = [_standing(cell) for cell in cells]
        self.signal: int | None = None
        self._signals = 0
        self._queue = [standing for standing in self.standings if standing.state == "waiting"]
        self._running: dict[Process, Standing] = {}

    def run(self) -> list[Standing]:
        """Return what became of each cell; `signal` tells whether one ended the pool early."""
        self.display.begin(self.standings)
        try:
            with self._signals_taken():
                while self._running or (self._queue and self.signal is None):
                    self._start_jobs()
                    self.display.refresh(self.standings)
                    time.sleep(self.poll)
                    self._hand_on_signals()
                    self._look_at_jobs()
        finally:
            for process in self._running:
                process.kill()
            self.display.end()
        return self.standings

    def _start_jobs(self) -> None:
        """Start what there is a device for, in order: a job that needs many is not overtaken by those that need one."""
        blocked: set[str] = set()
        for standing in list(self._queue):
            need = standing.cell.need
            if self.signal is not None:
                return
            share = None if need.kind in blocked else self.slots.take(need)
            if share is None:
                blocked.add(need.kind)
                continue
            if not self._is_free(standing):
                self.slots.give(share)
                continue
            standing.attempts += 1
            standing.share = share
            standing.process = Process(standing.cell, share, standing.attempts)
            self._running[standing.process] = standing
            self._queue.remove(standing)
            self._change(standing, "running")

    def _is_free(self, standing: Standing) -> bool:
        """Whether a cell is to be started: another sweep may be at it, or have finished it meanwhile."""
        if is_held(standing.cell.folder):
            self._change(standing, "locked")
            return False
        found = state_of(standing.cell.folder)
        if found.status == "finished":
            self._queue.remove(standing)
            standing.results, standing.progress = found.results, progress_of_results(found.results)
            self._change(standing, "skipped")
            return False
        return True

    def _look_at_jobs(self) -> None:
        for process, standing in list(self._running.items()):
            code = process.poll()
            if code is None:
                standing.progress = progress_of_run(standing.cell.folder, since=process.started)
                continue
            del self._running[process]
            assert standing.share is not None
            self.slots.give(standing.share)
            standing.process = None
            standing.seconds += time.time() - process.started
            standing.exit_code = code
            self._change(standing, self._judge(standing, process, code))
            if standing.state in ("locked", "retry"):
                self._queue.append(standing)

    def _judge(self, standing: Standing, process: Process, code: int) -> State:
        """Return what has become of a cell whose process has ended."""
        found = state_of(standing.cell.folder)
        if found.status == "finished":
            standing.results, standing.reason = found.results, None
            standing.progress = progress_of_results(found.results)
            return "done"
        standing.progress = replace(progress_of_run(standing.cell.folder, since=process.started), eta=None)
        standing.reason = process.reason(code)
        if self.signal is not None:
            return "interrupted"
        if standing.reason.startswith(HELD):
            # Another sweep was quicker by a moment.
            standing.attempts -= 1
            return "locked"
        return "retry" if standing.attempts <= self.retries else "failed"

    def _change(self, standing: Standing, state: State) -> None:
        if standing.state != state:
            standing.state = state
            self.display.tell(standing)

    @contextmanager
    def _signals_taken(self) -> Iterator[None]:
        former = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self._signals += 1

    def _hand_on_signals(self) -> None:
        if self.signal is None:
            return
        if self._signals > 1:
            for process in self._running:
                process.kill()
        elif sent := sum(process.send_once(self.signal) for process in self._running):
            name = signal.Signals(self.signal).name
            self.display.say(f"{name}: {sent} jobs save a checkpoint and leave; a second one kills them")


def _standing(cell: Cell) -> Standing:
    found = state_of(cell.folder)
    if found.status != "finished":
        return Standing(cell)
    return Standing(cell, "skipped", results=found.results, progress=progress_of_results(found.results))
