"""The list of a sweep's cells, and the sweeper that goes by it."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.sr_lightning_cells.cells_sweeper import CellsSweeper
from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.manifest import ListedCell, Manifest, read_manifest, write_manifest

CELLS = [
    ListedCell(Path("runs/sweep/a"), ["scale=2"]),
    ListedCell(Path("runs/elsewhere/b"), ["scale=3", "names.group=g"]),
]


@pytest.fixture
def written(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("runs/sweep/g.json")
    write_manifest(path, command=["train.py", "-m"], created="2026-11-21T10:00:00", cells=CELLS)
    return path


def test_what_is_written_is_read(written):
    assert read_manifest(written) == Manifest(
        ["train.py", "-m"],
        "2026-11-21T10:00:00",
        [CELLS[0], ListedCell(Path("runs/sweep/../elsewhere/b"), CELLS[1].overrides)],
    )


def test_runs_and_list_can_be_moved_together(written, tmp_path):
    shutil.move("runs", "moved")
    folders = [cell.folder.resolve() for cell in read_manifest(tmp_path / "moved" / "sweep" / "g.json").cells]
    assert folders == [tmp_path / "moved" / "sweep" / "a", tmp_path / "moved" / "elsewhere" / "b"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": [{"folder": "a"}], "command": [], "created": ""}'])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(Refusal, match=r"expected the list of a sweep's cells, got .*list\.json, which is none"):
        read_manifest(tmp_path / "list.json")
    with pytest.raises(Refusal, match="which is none"):
        read_manifest(tmp_path / "missing.json")


def test_the_sweeper_hands_over_the_listed_cells_and_their_errors(written, monkeypatch):
    launched = []

    def launch(overrides, initial_job_idx):
        launched.append((overrides, initial_job_idx))
        return [JobReturn(status=JobStatus.COMPLETED), JobReturn(status=JobStatus.FAILED, _return_value=KeyError("x"))]

    plugins = SimpleNamespace(instantiate_launcher=lambda **given: SimpleNamespace(launch=launch))
    monkeypatch.setattr(Plugins, "instance", lambda: plugins)
    sweeper = CellsSweeper(manifest=str(written), params={})
    sweeper.setup(hydra_context=None, task_function=None, config=None)
    with pytest.raises(KeyError, match="x"):
        sweeper.sweep(["scale=2,3,4"])
    assert launched == [([["scale=2"], ["scale=3", "names.group=g"]], 0)]
