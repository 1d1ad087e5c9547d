"""What a person sees while a sweep runs: a table on a terminal, a line for each event where the output is a pipe."""

import time
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sr_lightning.report.duration import duration
from sr_lightning.sweeps.pool import Display
from sr_lightning.sweeps.standing import ENDED, Standing, State, counts, time_left

# Lines of a table besides its rows: head, foot, what stands above.
FRAME = 6
# Seconds between two lines about the same job in a pipe.
INTERVAL = 30.0
COLOURS = {"done": "green", "failed": "red", "retry": "yellow", "locked": "yellow", "interrupted": "yellow"}
WORDS: dict[State, str] = {
    "waiting": "waiting", "locked": "held by another process", "running": "running", "retry": "to be tried again",
    "done": "done", "skipped": "finished before", "failed": "failed", "interrupted": "interrupted",
}  # fmt: skip


def display(console: Console, *, at_once: int) -> Display:
    """Return what suits the output.

    Args:
        console: where to.
        at_once: how many jobs run side by side.
    """
    return LiveTable(console, at_once=at_once) if console.is_terminal else Lines(console, at_once=at_once)


class _Told:
    """What is shown on a console.

    Args:
        console: where to.
        at_once: how many jobs run side by side.
    """

    def __init__(self, console: Console, *, at_once: int) -> None:
        self.console = console
        self.at_once = at_once

    def say(self, text: str) -> None:
        """Print a line; above a table where there is one."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


class LiveTable(_Told):
    """A table that is drawn anew; where there are more cells than lines, of those that run, wait for another or failed.

    The console is a terminal.
    """

    def __init__(self, console: Console, *, at_once: int) -> None:
        super().__init__(console, at_once=at_once)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def begin(self, standings: Sequence[Standing]) -> None:
        """Draw it."""
        self._live.start()
        self.refresh(standings)

    def tell(self, standing: Standing) -> None:
        """Say above it why a job failed."""
        if standing.state in ("failed", "retry"):
            self.say(f"{standing.cell.name}: {standing.reason}")

    def refresh(self, standings: Sequence[Standing]) -> None:
        """Draw it anew."""
        self._live.update(self.drawn(standings), refresh=True)

    def end(self) -> None:
        """Wipe it out; the summary takes its place."""
        self._live.stop()

    def drawn(self, standings: Sequence[Standing]) -> Group:
        """Return the table with its foot."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("cell", overflow="fold")
        for name in ("on", "state", "step", "PSNR", "gain", "ETA"):
            table.add_column(name, justify="left" if name in ("on", "state") else "right", no_wrap=True)
        for standing in _worth_a_row(standings, lines=self.console.height - FRAME):
            table.add_row(*_row(standing))
        return Group(table, Text(foot(standings, at_once=self.at_once), style="bold"))


def _worth_a_row(standings: Sequence[Standing], *, lines: int) -> list[Standing]:
    if len(standings) <= lines:
        return list(standings)
    order: tuple[State, ...] = ("running", "locked", "retry", "failed")
    chosen = sorted((one for one in standings if one.state in order), key=lambda one: order.index(one.state))
    return chosen[: max(1, lines)]


def _row(standing: Standing) -> list[str | Text]:
    progress = standing.progress
    running = standing.state == "running"
    return [
        standing.cell.name,
        standing.share.label if standing.share is not None and running else "",
        Text(standing.shown_state, style=COLOURS.get(standing.state, "")),
        "" if progress.step is None else f"{progress.step}/{standing.cell.max_steps}",
        "" if progress.psnr is None else f"{progress.psnr:.2f}",
        "" if progress.gain is None else f"{progress.gain:+.2f}",
        duration(progress.eta) if running and progress.eta is not None else "",
    ]


def foot(standings: Sequence[Standing], *, at_once: int) -> str:
    """Return how many have ended, what the others do, and when all will have ended."""
    found = counts(standings)
    others: tuple[State, ...] = ("skipped", "running", "waiting", "locked", "retry", "interrupted", "failed")
    parts = [f"{found['done'] + found['skipped']}/{len(standings)} cells done"]
    parts += [f"{found[state]} {WORDS[state]}" for state in others if found[state]]
    left = time_left(standings, at_once=at_once, now=time.time())
    if found["running"] and left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


class Lines(_Told):
    """A line for each job that starts or ends, and now and then for its PSNR: where the console is no terminal."""

    def __init__(self, console: Console, *, at_once: int) -> None:
        super().__init__(console, at_once=at_once)
        self._standings: Sequence[Standing] = ()
        self._said: dict[str, tuple[float, float]] = {}

    def begin(self, standings: Sequence[Standing]) -> None:
        """Say how many there are."""
        self._standings = standings
        pace = f", {self.at_once} at a time" if counts(standings)["waiting"] else ""
        self.say(f"sweep: {foot(standings, at_once=self.at_once)}{pace}")

    def tell(self, standing: Standing) -> None:
        """Say that one has begun or ended."""
        parts = [f"{WORDS[standing.state]:<8} {standing.cell.name}"]
        if standing.state == "running":
            assert standing.share is not None
            parts.append(standing.share.label)
        if standing.state == "done":
            parts.append(_score(standing))
            parts.append("" if standing.trained is None else f"trained in {duration(standing.trained)}")
        if standing.state in ("failed", "retry", "interrupted"):
            parts.append(str(standing.reason))
        if standing.state in ENDED:
            parts.append(f"({foot(self._standings, at_once=self.at_once)})")
        self.say("  ".join(filter(None, parts)))

    def refresh(self, standings: Sequence[Standing]) -> None:
        """Say what the last validation of a job gave, if that is news."""
        for standing in standings:
            psnr = standing.progress.psnr
            if standing.state != "running" or psnr is None:
                continue
            when, former = self._said.get(standing.cell.name, (0.0, -1.0))
            if psnr != former and time.monotonic() - when >= INTERVAL:
                self._said[standing.cell.name] = (time.monotonic(), psnr)
                step = f"step {standing.progress.step}/{standing.cell.max_steps}"
                self.say(f"{step:<8} {standing.cell.name}  {_score(standing)}")

    def end(self) -> None:
        """Leave: the summary follows."""


def _score(standing: Standing) -> str:
    progress = standing.progress
    gain = "" if progress.gain is None else f" ({progress.gain:+.2f} on bicubic)"
    return "" if progress.psnr is None else f"val PSNR {progress.psnr:.2f} dB{gain}"
