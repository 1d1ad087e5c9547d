"""What happens before a sweep starts, whatever launcher runs it: cells are checked, shown and listed."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import rich

from sr_lightning.cli.check import get
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.search import Search, plan_search
from sr_lightning.cli.study import check_study
from sr_lightning.cli.sweep import Cell, Check, Sweep, check_single, compose_whole, plan_sweep
from sr_lightning.report.lock import is_held
from sr_lightning.sweeps.cells import CellState, state_of
from sr_lightning.sweeps.device import Place, place_of
from sr_lightning.sweeps.estimate import Task, estimate
from sr_lightning.sweeps.manifest import ListedCell, write_manifest
from sr_lightning.sweeps.table import Row, print_cells, print_search

NEW = CellState("new", {})
# Sweepers over every combination: ours, and Hydra's, whose place it takes. A primary yaml that overrides the sweeper
# would win over hparams_search.
GRIDS = ("basic", "cells")


def start_sweep(composer: Composer, texts: Sequence[str], check: Check) -> list[str]:
    """Refuse what cannot be trained, show what will be, write the list of cells; return the arguments for Hydra."""
    overrides = composer.parse(texts)
    check_single(overrides)
    whole, kept = compose_whole(composer, overrides)
    if whole.choices["hydra/sweeper"] not in GRIDS:
        search = plan_search(composer, overrides, whole, check)
        check_study(search, whole)
        show_search(search, whole)
        return search.overrides
    sweep = plan_sweep(composer, overrides, whole, kept, check)
    show_cells(sweep)
    write_list(sweep)
    return sweep.overrides


def write_list(sweep: Sweep) -> None:
    """Write the list of a sweep's cells, which its sweeper and later readers go by."""
    write_manifest(
        sweep.manifest,
        command=sys.argv,
        created=datetime.now().isoformat(timespec="seconds"),
        cells=[ListedCell(folder, cell.overrides) for cell, folder in sweep.cells],
    )


def show_cells(sweep: Sweep) -> None:
    """Print the cells of a sweep, how each stands and how long it will take."""
    states = [state_of(folder) for _, folder in sweep.cells]
    cells = [cell for cell, _ in sweep.cells]
    place = _place(cells[0], sweep.whole, cells=len(cells))
    seconds = _estimate(cells, states, sweep.whole, place)
    rows = [
        _row(cell, state, held=is_held(folder), seconds=time)
        for (cell, folder), state, time in zip(sweep.cells, states, seconds or [None] * len(cells), strict=True)
    ]
    rows += [_row(each.cell, NEW, left_out=each.reason) for each in sweep.left_out]
    print_cells(
        rows,
        at_once=None if place is None else place.at_once,
        listed=sweep.manifest,
        estimated=seconds is not None,
        console=rich.get_console(),
    )


def show_search(search: Search, whole: Composed) -> None:
    """Print what is searched, and how long it will take by the first and last corners."""
    trials, jobs = int(search.settings["n_trials"]), int(search.settings["n_jobs"])
    place = _place(search.corners[0], whole, cells=jobs)
    corners = [search.corners[0], search.corners[-1]]
    seconds = _estimate(corners, [NEW, NEW], whole, place)
    print_search(
        search.keys,
        objectives=search.objectives,
        direction=search.settings["direction"],
        trials=trials,
        at_once=jobs if place is None else place.at_once,
        seconds=seconds,
        console=rich.get_console(),
    )


def _place(cell: Cell, whole: Composed, *, cells: int) -> Place | None:
    trainer = get(cell.composed.tree, "trainer")
    return place_of(whole.choices["hydra/launcher"], whole.hydra("launcher"), trainer=trainer, cells=cells)


def _estimate(
    cells: Sequence[Cell], states: Sequence[CellState], whole: Composed, place: Place | None
) -> list[float | None] | None:
    """Return the seconds of each cell, None each where not known; None altogether where that was not asked for."""
    if not whole.tree["sweep"]["estimate"]:
        return None
    tasks = [_task(cell, state) for cell, state in zip(cells, states, strict=True)]
    with rich.get_console().status("estimating how long the cells will take"):
        return estimate(tasks, None if place is None else place.device)


def _task(cell: Cell, state: CellState) -> Task:
    steps = int(get(cell.composed.tree, "trainer.max_steps"))
    done = steps if state.status == "finished" else int(state.results.get("steps") or 0)
    return Task(cell.config, max(0, steps - done))


def _row(cell: Cell, state: CellState, **more: Any) -> Row:
    names = cell.composed.tree["names"]
    kind = (str(names["model"]), str(names["loss"]), str(cell.composed.tree["scale"]))
    return Row(cell.values, kind, int(get(cell.composed.tree, "trainer.max_steps")), state, **more)
