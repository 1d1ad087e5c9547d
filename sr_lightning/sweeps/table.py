"""What a sweep is about to do, before it starts: its cells, how each stands, how long it will take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sr_lightning.report.duration import duration
from sr_lightning.sweeps.cells import CellState
from sr_lightning.sweeps.estimate import time_for_all

# Rows that a person still reads; of more cells there is a summary.
ROWS = 40
# Columns where the output is no terminal, so that reasons stay in one line.
WIDTH = 160
COLOURS = {"finished": "green", "unfinished": "yellow", "new": ""}


@dataclass(frozen=True)
class Row:
    """One cell of a sweep.

    Attributes:
        values: what it has of the swept keys.
        kind: its model, loss and scale, by which many cells are summed up.
        max_steps: asked for.
        state: of its folder.
        held: whether another process trains in it now.
        seconds: what it will take, None where that is not known.
        left_out: why it is not trained, None of one that is.
    """

    values: Mapping[str, str]
    kind: tuple[str, str, str]
    max_steps: int
    state: CellState
    held: bool = False
    seconds: float | None = None
    left_out: str | None = None

    @property
    def standing(self) -> Text:
        """How it stands, in words."""
        if self.left_out is not None:
            return Text(f"left out: {self.left_out}", style="yellow")
        if self.state.status == "finished":
            psnr = self.state.psnr
            return Text("finished" if psnr is None else f"finished: {psnr:.2f} dB", style="green")
        if self.held:
            return Text("another process trains it", style="yellow")
        if self.state.status == "new":
            return Text("new")
        step = self.state.results.get("steps") or 0
        failed = " after an error" if self.state.results.get("status") == "failed" else ""
        begins = f"goes on at step {step} of {self.max_steps}" if step else "begins again"
        return Text(begins + failed, style="yellow")


def print_cells(rows: Sequence[Row], *, at_once: int | None, listed: Path, estimated: bool, console: Console) -> None:
    """Print the table of a sweep's cells and the line below it.

    Args:
        rows: of all cells, those left out last.
        at_once: how many run side by side, None where nobody here knows.
        listed: the file that lists them.
        estimated: whether their times were asked for.
        console: where to.
    """
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH)
    wide.print(cells_table(rows, estimated=estimated) if len(rows) <= ROWS else _summary(rows, estimated=estimated))
    if len(rows) > ROWS:
        _line(console, f"each of them: {listed}")
    _line(console, total_line(rows, at_once=at_once, estimated=estimated))


def print_search(
    keys: Mapping[str, str],
    *,
    objectives: Sequence[str],
    direction: str | Sequence[str],
    trials: int,
    at_once: int,
    seconds: Sequence[float | None] | None,
    console: Console,
) -> None:
    """Print what is searched.

    Args:
        keys: how each key was written.
        objectives: what is told of each trial.
        direction: of each objective, or of the one.
        trials: in all.
        at_once: how many run side by side.
        seconds: that the cheapest and the dearest trial will take; None where that was not asked for.
        console: where to.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("searched", "among"):
        table.add_column(heading, overflow="fold")
    for key, written in keys.items():
        table.add_row(key, written)
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH)
    wide.print(table)
    directions = [direction] if isinstance(direction, str) else direction
    goals = ", ".join(f"{verb} {objective}" for verb, objective in zip(directions, objectives, strict=True))
    parts = [goals, f"{trials} trials, {at_once} at a time"]
    known = [each for each in seconds or () if each is not None]
    if known:
        parts.append(f"about {duration(time_for_all([sum(known) / len(known)] * trials, at_once=at_once))} for all")
    _line(console, ", ".join(parts))


def cells_table(rows: Sequence[Row], *, estimated: bool) -> RenderableType:
    """Return a table with a row for each cell."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right")
    keys = list(rows[0].values)
    for key in keys:
        table.add_column(key, overflow="fold")
    table.add_column("steps", justify="right")
    table.add_column("state", overflow="fold")
    if estimated:
        table.add_column("time", justify="right", no_wrap=True)
    number = 0
    for row in rows:
        number += row.left_out is None
        cells: list[str | Text] = [str(number) if row.left_out is None else "-", *(row.values[key] for key in keys)]
        cells += [str(row.max_steps), row.standing]
        table.add_row(*cells, *([_time(row)] if estimated else []))
    return table


def _summary(rows: Sequence[Row], *, estimated: bool) -> RenderableType:
    """Return a table with a row for each model, loss and scale."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "loss"):
        table.add_column(heading, overflow="fold")
    for heading in ("scale", "cells", "new", "goes on", "finished", "left out", *(["time"] if estimated else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    kinds: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    for kind, found in kinds.items():
        counts = [sum(_column(row) == name for row in found) for name in ("new", "unfinished", "finished", "left out")]
        known = [row.seconds for row in found if row.left_out is None]
        time = "?" if None in known else _about(sum(seconds for seconds in known if seconds))
        table.add_row(*kind, str(len(found)), *(str(count or "") for count in counts), *([time] if estimated else []))
    return table


def _column(row: Row) -> str:
    return "left out" if row.left_out is not None else row.state.status


def _time(row: Row) -> str:
    if row.left_out is not None or row.state.status == "finished":
        return ""
    return "?" if row.seconds is None else _about(row.seconds)


def _about(seconds: float) -> str:
    return duration(seconds) if seconds else ""


def total_line(rows: Sequence[Row], *, at_once: int | None, estimated: bool) -> str:
    """Return how many cells there are, how many are done, and how long the others will take."""
    trained = [row for row in rows if row.left_out is None]
    parts = [f"{len(trained)} cell{'s' if len(trained) != 1 else ''}"]
    for status, words in (("finished", "finished"), ("unfinished", "go on")):
        if count := sum(row.state.status == status for row in trained):
            parts.append(f"{count} {words}")
    if left_out := len(rows) - len(trained):
        parts.append(f"{left_out} left out")
    waiting = [row.seconds for row in trained if row.state.status != "finished"]
    if estimated and waiting:
        parts.append(_how_long(waiting, at_once=at_once))
    return ", ".join(parts)


def _how_long(waiting: Sequence[float | None], *, at_once: int | None) -> str:
    known = [seconds for seconds in waiting if seconds is not None]
    unknown = len(waiting) - len(known)
    if not known:
        return "no run of their kind to estimate the time by"
    places = min(at_once or 1, len(waiting))
    where = " one after the other" if places == 1 else f" on {places} at a time"
    text = f"about {duration(time_for_all(known, at_once=places))}{where}"
    return text + (f", {unknown} of them not estimated" if unknown else "")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
