"""What is said of a sweep when it has ended."""

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sr_lightning.report.duration import duration
from sr_lightning.report.places import from_here
from sr_lightning.sweeps.jobs import LOG
from sr_lightning.sweeps.live_table import COLOURS, WORDS, foot
from sr_lightning.sweeps.standing import Standing

# Rows that a person still reads.
ROWS = 60
# Columns where the output is no terminal, so that names stay whole.
WIDTH = 140


def print_summary(standings: Sequence[Standing], *, console: Console, compare: Path | None, at_once: int) -> None:
    """Print what became of each cell, and how they are compared.

    Args:
        standings: of all cells.
        console: where to.
        compare: the sweep's list of cells, or the folder that holds them; None where others are to come.
        at_once: how many ran side by side.
    """
    wide = console if console.is_terminal else Console(file=console.file, width=WIDTH)
    wide.print(_table(standings[:ROWS]))
    if len(standings) > ROWS:
        console.print(f"... and {len(standings) - ROWS} more")
    _line(console, foot(standings, at_once=at_once))
    if compare is not None and any(standing.results for standing in standings):
        _line(console, f"compare them: python compare.py {shlex.quote(str(from_here(compare)))} output=page.html")


def print_failures(standings: Sequence[Standing], *, console: Console) -> None:
    """Print which cells failed, why, and where the log of each lies."""
    failures = [standing for standing in standings if standing.state == "failed"]
    _line(console, f"error: {len(failures)} of {len(standings)} cells failed; the same command tries them again:")
    for standing in failures:
        folder = from_here(standing.cell.folder)
        _line(console, f"  {folder}: {standing.reason}; log {folder / LOG}")


def print_interruption(number: int, *, console: Console) -> None:
    """Say which signal ended the sweep, and how it goes on."""
    python, *rest = sys.orig_argv
    command = shlex.join([Path(python).name, *rest])
    _line(console, f"interrupted by {signal.Signals(number).name}; the same command goes on: {command}")


def _table(standings: Sequence[Standing]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("cell", overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("steps", "PSNR", "on bicubic", "trained in"):
        table.add_column(name, justify="right", no_wrap=True)
    for standing in standings:
        progress = standing.progress
        table.add_row(
            standing.cell.name,
            Text(WORDS[standing.state], style=COLOURS.get(standing.state, "")),
            "" if progress.step is None else f"{progress.step}/{standing.cell.max_steps}",
            "" if progress.psnr is None else f"{progress.psnr:.2f}",
            "" if progress.gain is None else f"{progress.gain:+.2f}",
            "" if standing.trained is None else duration(standing.trained),
        )
    return table


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
