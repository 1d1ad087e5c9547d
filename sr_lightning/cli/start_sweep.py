"""What happens before a sweep starts, whatever launcher runs it: cells are checked, shown and listed."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import rich

from sr_lightning.cli.check import get
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.launchers import check_cluster
from sr_lightning.cli.search import Search, plan_search
from sr_lightning.cli.study import check_study
from sr_lightning.cli.sweep import Cell, Check, Sweep, check_single, compose_whole, plan_sweep, without_impossible
from sr_lightning.refusal import Refusal
from sr_lightning.report.lock import is_held
from sr_lightning.sweeps.cells import CellState, state_of
from sr_lightning.sweeps.device import Place, place_of
from sr_lightning.sweeps.estimate import Outlook, Task, estimate
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
        check_cluster(whole.choices)
        check_study(search, whole)
        show_search(search, whole)
        return search.overrides
    sweep = plan_sweep(composer, overrides, whole, kept, check)
    check_cluster(whole.choices)
    write_list(show_cells(sweep))
    return sweep.overrides


def write_list(sweep: Sweep) -> None:
    """Write the list of a sweep's cells, which its sweeper and later readers go by."""
    write_manifest(
        sweep.manifest,
        command=sys.argv,
        created=datetime.now().isoformat(timespec="seconds"),
        cells=[ListedCell(folder, cell.overrides) for cell, folder in sweep.cells],
    )


def show_cells(sweep: Sweep) -> Sweep:
    """Print the cells of a sweep, how each stands and how long it will take.

    Returns:
        The sweep without the cells whose networks cannot be built, as the estimate found out.

    Raises:
        Refusal: there are such cells, and they are not to be left out.
    """
    states = [state_of(folder) for _, folder in sweep.cells]
    cells = [cell for cell, _ in sweep.cells]
    place = _place(cells[0], sweep.whole, cells=len(cells))
    outlooks = _estimate(cells, states, sweep.whole, place)
    if outlooks and any(outlook.impossible for outlook in outlooks):
        return show_cells(without_impossible(sweep, [outlook.impossible for outlook in outlooks]))
    seconds = [outlook.seconds for outlook in outlooks] if outlooks else [None] * len(cells)
    rows = [
        _row(cell, state, held=is_held(folder), seconds=time)
        for (cell, folder), state, time in zip(sweep.cells, states, seconds, strict=True)
    ]
    rows += [_row(each.cell, NEW, left_out=each.reason) for each in sweep.left_out]
    print_cells(
        rows,
        at_once=None if place is None else place.at_once,
        listed=sweep.manifest,
        estimated=outlooks is not None,
        console=rich.get_console(),
    )
    return sweep


def show_search(search: Search, whole: Composed) -> None:
    """Print what is searched, and how long it will take by the first and last corners.

    Raises:
        Refusal: the network of one of them cannot be built.
    """
    trials, jobs = int(search.settings["n_trials"]), int(search.settings["n_jobs"])
    place = _place(search.corners[0], whole, cells=jobs)
    corners = [search.corners[0], search.corners[-1]]
    outlooks = _estimate(corners, [NEW, NEW], whole, place) or []
    for outlook, corner in zip(outlooks, corners, strict=False):
        if outlook.impossible:
            raise Refusal(f"{corner.label}: {outlook.impossible}")
    print_search(
        search.keys,
        objectives=search.objectives,
        direction=search.settings["direction"],
        trials=trials,
        at_once=jobs if place is None else place.at_once,
        seconds=[outlook.seconds for outlook in outlooks],
        console=rich.get_console(),
    )


def _place(cell: Cell, whole: Composed, *, cells: int) -> Place | None:
    trainer = get(cell.composed.tree, "trainer")
    return place_of(whole.choices["hydra/launcher"], whole.hydra("launcher"), trainer=trainer, cells=cells)


def _estimate(
    cells: Sequence[Cell], states: Sequence[CellState], whole: Composed, place: Place | None
) -> list[Outlook] | None:
    """Return how long each cell will take; None where that was not asked for."""
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
