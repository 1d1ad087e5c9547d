"""Jobs of milliseconds: small programs that leave what a run leaves."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.slots import Need
from sr_lightning.sweeps.standing import Standing

RESULTS = {
    "status": "finished", "exit_code": 0, "error": None, "steps": 4, "seconds": 3.0,
    "validation": {"psnr": 30.0, "bicubic": {"psnr": 29.0}},
}  # fmt: skip
# What every program begins with: `folder`, and `finish()` as a run does it.
PROLOGUE = f"""
import json, os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def finish(**results):
    (folder / "results.json").write_text(json.dumps({RESULTS!r} | results))
"""


@pytest.fixture
def make_cell(tmp_path: Path) -> Callable[..., Cell]:
    """Make a cell by name whose job is a program: `make_cell("a", "finish()")`."""

    def make(name: str, program: str = "finish()", *, need: Need | None = None, **environment: str) -> Cell:
        folder = tmp_path / name
        return Cell(
            name=name,
            folder=folder,
            config="scale: 2\n",
            need=need or Need("cpu", 1),
            max_steps=4,
            environment=environment,
            command=(sys.executable, "-c", PROLOGUE + program, str(folder)),
        )

    return make


@pytest.fixture
def finish() -> Callable[[Path], None]:
    """Leave the results of a finished run in a folder."""

    def leave(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(json.dumps(RESULTS))

    return leave


class Recorder:
    """A display that remembers, and does something when a cell reaches a state."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.on: dict[tuple[str, str], Callable[[], None]] = {}

    def begin(self, standings: Sequence[Standing]) -> None:
        self.told += [(one.cell.name, one.state) for one in standings]

    def tell(self, standing: Standing) -> None:
        event = (standing.cell.name, standing.state)
        self.told.append(event)
        self.on.pop(event, lambda: None)()

    def refresh(self, standings: Sequence[Standing]) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)

    def end(self) -> None:
        self.said.append("end")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
