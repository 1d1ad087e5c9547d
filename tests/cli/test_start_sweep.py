"""What a person sees before a sweep starts, and what lies on the disk then."""

import json
import os
import subprocess
import sys

import pytest
import rich

from sr_lightning.cli import start_sweep as module
from sr_lightning.cli.compose import Composer
from sr_lightning.cli.start_sweep import start_sweep
from sr_lightning.cli.train import refuse_training_or_resume
from sr_lightning.refusal import Refusal
from sr_lightning.report.lock import held
from sr_lightning.sweeps.estimate import Outlook, Task
from sr_lightning.sweeps.manifest import read_manifest


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


def outlook(task: Task) -> Outlook:
    """Half a minute; a network without any width cannot be built."""
    if task.config["model"].get("width") == 0:
        return Outlook(None, "model=edsr_baseline cannot be built: no width")
    return Outlook(30.0 if task.steps else 0.0)


@pytest.fixture
def start(composer, tmp_path, monkeypatch, capsys):
    """Return the lines that are printed and what Hydra gets; each cell is said to take 30 s."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rich, "_console", None)
    monkeypatch.setattr(module, "estimate", lambda tasks, device: [outlook(task) for task in tasks])
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "x"])

    def run(*arguments: str) -> tuple[list[str], list[str]]:
        overrides = start_sweep(composer, arguments, refuse_training_or_resume)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()], overrides

    return run


SWEEP = ("model=espcn,srcnn,bicubic", "scale=2,3", "trainer.max_steps=50", "sweep.skip_impossible=true")


def test_the_table_tells_how_each_cell_stands(start, tmp_path):
    lines, overrides = start(*SWEEP, "hydra.launcher.jobs=2")
    assert lines[0].split() == ["model", "scale", "steps", "state", "time"]
    assert [line.split()[:5] for line in lines[1:5]] == [
        [str(number), model, scale, "50", "new"]
        for number, (model, scale) in enumerate([(m, s) for m in ("espcn", "srcnn") for s in ("2", "3")], 1)
    ]
    assert lines[5].split()[:6] == ["-", "bicubic", "2", "50", "left", "out:"]
    assert lines[-1] == "4 cells, 2 left out, about 1 min on 2 at a time"
    manifest = read_manifest(tmp_path / overrides[-1].partition("=")[2].strip("'"))
    assert (manifest.command, len(manifest.cells)) == (["train.py", "-m", "x"], 4)

    results = {"status": "finished", "steps": 50, "validation": {"psnr": 31.234}}
    for cell, (status, steps) in zip(manifest.cells, (("finished", 50), ("failed", 20), ("running", 0)), strict=False):
        cell.folder.mkdir(parents=True)
        (cell.folder / "results.json").write_text(json.dumps({**results, "status": status, "steps": steps}))
    with held(manifest.cells[3].folder):
        (manifest.cells[3].folder / "config.yaml").write_text("")
        lines, again = start(*SWEEP, "hydra.launcher.jobs=2")
    assert again == overrides, "the same command meets the same cells"
    assert [" ".join(line.split()[4:]) for line in lines[1:5]] == [
        "finished: 31.23 dB", "goes on at step 20 of 50 after an error 30 s", "begins again 30 s",
        "another process trains it 30 s",
    ]  # fmt: skip
    assert lines[-1] == "4 cells, 1 finished, 3 go on, 2 left out, about 1 min on 2 at a time"


WIDTHS = ("model.width=0,8", "seed=1,2,3", "trainer.max_steps=50", "hydra.launcher.jobs=1")


def test_a_network_that_cannot_be_built_is_refused_before_anything_starts(start, tmp_path):
    with pytest.raises(Refusal) as refusal:
        start(*WIDTHS)
    assert str(refusal.value) == (
        "3 of 6 cells cannot be trained: model.width=0 (3 cells): model=edsr_baseline cannot be built: no width; "
        "sweep.skip_impossible=true leaves them out."
    )
    assert not list(tmp_path.iterdir())
    with pytest.raises(Refusal, match=r"^model=edsr_baseline cannot be built: no width$"):
        start("model.width=0", "seed=1,2", "sweep.skip_impossible=true")


def test_a_network_that_cannot_be_built_may_be_left_out(start, tmp_path):
    """Folders named by number, too, are those that launchers will give to what is left."""
    numbers = r"hydra.sweep.subdir='${hydra.job.num}'"
    lines, overrides = start(*WIDTHS, "sweep.skip_impossible=true", numbers)
    assert [line.split()[:4] for line in lines[1:4]] == [[str(number), "8", str(number), "50"] for number in (1, 2, 3)]
    assert [line.split()[:6] for line in lines[4:7]] == [
        ["-", "0", str(seed), "50", "left", "out:"] for seed in (1, 2, 3)
    ]
    assert lines[-1] == "3 cells, 3 left out, about 2 min one after the other"
    manifest = read_manifest(tmp_path / overrides[-1].partition("=")[2].strip("'"))
    assert [(cell.folder.name, cell.overrides[0]) for cell in manifest.cells] == [
        (str(number), "model.width=8") for number in range(3)
    ]


def test_the_network_of_a_searchs_corner_is_built_too(start):
    with pytest.raises(Refusal, match=r"model\.width=0.*: model=edsr_baseline cannot be built: no width"):
        start("hydra/sweeper=search", "sweep.name=s", "model.width=choice(0,8)")


def test_without_estimates(start):
    lines, _ = start("scale=2,3", "sweep.estimate=false")
    assert lines[0].split() == ["scale", "steps", "state"]
    assert lines[-1] == "2 cells"


def test_elsewhere_nothing_is_known_of_how_many_run(start, monkeypatch):
    monkeypatch.setattr(
        module, "estimate", lambda tasks, device: [Outlook(None if device is None else 1.0) for _ in tasks]
    )
    lines, _ = start("scale=2,3", "hydra/launcher=ray")
    assert [line.split()[-1] for line in lines[1:3]] == ["?", "?"]
    assert lines[-1] == "2 cells, no run of their kind to estimate the time by"


def test_of_many_cells_there_is_a_summary(start):
    lines, overrides = start("model=espcn,srcnn", "loss=[l1],[l1,mse]", "seed=range(0,12)", "hydra.launcher.jobs=1")
    assert [line.split() for line in lines[1:5]] == [
        [model, loss, "4", "12", "12", "6", "min"] for model in ("espcn", "srcnn") for loss in ("l1", "l1+mse")
    ]
    assert lines[5] == "each of them: " + overrides[-1].partition("=")[2].strip("'")
    assert lines[-1] == "48 cells, about 24 min one after the other"


def test_of_a_search_there_is_what_is_searched(start, tmp_path):
    lines, overrides = start(
        "hydra/sweeper=search", "sweep.name=s", "model=espcn,srcnn", "optimizer.lr=tag(log, interval(0.1, 0.2))",
        "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2", "hydra.launcher.jobs=2",
    )  # fmt: skip
    assert [line.split(maxsplit=1) for line in lines[:3]] == [
        ["searched", "among"], ["model", "espcn,srcnn"], ["optimizer.lr", "tag(log, interval(0.1, 0.2))"]
    ]  # fmt: skip
    assert lines[-1] == "maximize validation.psnr, 6 trials, 2 at a time, about 2 min for all"
    assert overrides[-1] == "names.group=s"
    assert [path.name for path in tmp_path.rglob("*.json")] == ["search.json"], "nobody knows its cells yet"


def test_nothing_heavy_is_imported_before_the_first_job(repository, tmp_path):
    """torch takes seconds, and its threads would be inherited by processes that a launcher forks."""
    script = (
        "import sys\n"
        "from sr_lightning.cli import app, train\n"
        "from sr_lightning.sweeps import estimate\n"
        "estimate._measure = lambda *given: {}\n"
        "app._hand_over = lambda *given: None\n"
        "sys.argv = ['train.py', '-m', 'scale=2,3']\n"
        "train.main()\n"
        "print([name for name in ('torch', 'lightning', 'numpy', 'wandb') if name in sys.modules])\n"
    )
    environment = {**os.environ, "SR_LIGHTNING_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(repository)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[-2:] == ["2 cells, no run of their kind to estimate the time by", "[]"], done.stderr
