import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from sr_lightning.sweeps import live_table as module
from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.live_table import Lines, LiveTable, display, foot
from sr_lightning.sweeps.progress import Progress
from sr_lightning.sweeps.slots import Need, Share
from sr_lightning.sweeps.standing import Standing, State

GPU = Share(Need("gpu", 1), ("3",), 4, None)
STATES: tuple[State, ...] = ("skipped", "done", "running", "failed", "waiting")


@pytest.fixture
def stand(make_cell: Callable[..., Cell]) -> Callable[..., Standing]:
    def make(stands: State, name: str | None = None, **progress: Any) -> Standing:
        reason = "RuntimeError: no [such] thing" if stands == "failed" else None
        share = GPU if stands == "running" else None
        cell = make_cell(name or stands)
        results = {"seconds": 8.0} if stands in ("done", "skipped") else {}
        return Standing(
            cell, stands, share=share, progress=Progress(**progress), reason=reason, seconds=60.0, results=results
        )

    return make


@pytest.fixture
def sweep(stand: Callable[..., Standing]) -> list[Standing]:
    return [
        stand("skipped", state="ended", step=4, psnr=31.0, gain=0.25),
        stand("done", state="ended", step=4, psnr=30.0, gain=-1.0),
        stand("running", state="training", step=2, psnr=28.345, gain=1.2, eta=90.0),
        stand("failed", state="ended", step=1),
        stand("waiting"),
    ]


def terminal(height: int = 24) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=height, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def drawn(standings: list[Standing], height: int = 24) -> list[list[str]]:
    console = terminal(height)
    console.print(LiveTable(console, at_once=1).drawn(standings))
    return [line.split() for line in text_of(console).splitlines()]


def test_a_row_for_each_cell(sweep: list[Standing]) -> None:
    head, *rows, last = drawn(sweep)
    assert head == ["cell", "on", "state", "step", "PSNR", "gain", "ETA"]
    assert rows == [
        ["skipped", "skipped", "4/4", "31.00", "+0.25"],
        ["done", "done", "4/4", "30.00", "-1.00"],
        ["running", "GPU", "3", "training", "2/4", "28.34", "+1.20", "2", "min"],
        ["failed", "failed", "1/4"],
        ["waiting", "waiting"],
    ]
    assert " ".join(last).startswith("2/5 cells done, 1 finished before, 1 running, 1 waiting, 1 failed")


def test_of_thousands_only_those_worth_a_look(stand: Callable[..., Standing]) -> None:
    names: list[tuple[State, int]] = [("waiting", 3000), ("failed", 30), ("running", 3), ("done", 900)]
    many = [stand(state, f"{state}{index}") for state, count in names for index in range(count)]
    _, *rows, last = drawn(many, height=20)
    assert [row[0] for row in rows] == ["running0", "running1", "running2", *(f"failed{index}" for index in range(11))]
    assert " ".join(last) == "900/3933 cells done, 3 running, 3000 waiting, 30 failed, 2 d 2 h left"


def test_the_table_is_wiped_out_and_failures_stay(sweep: list[Standing]) -> None:
    console = terminal()
    table = display(console, at_once=2)
    assert isinstance(table, LiveTable)
    table.begin(sweep)
    table.tell(sweep[3])
    table.tell(sweep[1])
    table.refresh(sweep)
    table.end()
    # What was drawn last is erased, line by line.
    assert text_of(console).count("\x1b[1A\x1b[2K") >= 7
    assert text_of(console).count("failed: RuntimeError: no [such] thing") == 1


def test_a_line_for_each_event(sweep: list[Standing], monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=40)
    lines = display(console, at_once=2)
    assert isinstance(lines, Lines)
    lines.begin(sweep)
    for standing in sweep[1:4]:
        lines.tell(standing)
    for psnr in (28.0, 28.0, 29.0, 29.5):
        sweep[2].progress = Progress("training", 2, psnr, None if psnr < 29 else 0.5)
        lines.refresh(sweep)
        # The third is news, but too soon; the fourth is due.
        if psnr == 29.0:
            monkeypatch.setattr(module, "INTERVAL", 0.0)
    lines.end()
    state = "2/5 cells done, 1 finished before, 1 running, 1 waiting, 1 failed"
    assert text_of(console).splitlines() == [
        f"sweep: {state}, 2 min left, 2 at a time",
        f"done     done  val PSNR 30.00 dB (-1.00 on bicubic)  trained in 8 s  ({state}, 2 min left)",
        "running  running  GPU 3",
        f"failed   failed  RuntimeError: no [such] thing  ({state}, 2 min left)",
        "step 2/4 running  val PSNR 28.00 dB",
        "step 2/4 running  val PSNR 29.50 dB (+0.50 on bicubic)",
    ]


def test_the_foot_of_an_ended_sweep(stand: Callable[..., Standing]) -> None:
    assert foot([stand("done"), stand("skipped")], at_once=1) == "2/2 cells done, 1 finished before"
    assert foot([stand("done"), stand("interrupted"), stand("waiting")], at_once=1) == (
        "1/3 cells done, 1 waiting, 1 interrupted"
    )
