"""Sweeps by the real command line, each job a process of its own."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Arguments = Callable[..., list[str]]

# Fails in the first run of seed 1 that has not been told that it may go on.
FAIL_ONCE = """
import os, pathlib
import lightning.pytorch as pl
class Fail(pl.Callback):
    def __init__(self, seed):
        self.seed = seed
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if self.seed == 1 and module.step == 2 and not pathlib.Path(os.environ["MAY_GO_ON"]).exists():
            raise RuntimeError("no [such] thing")
"""


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def processes_in(folder: Path) -> list[int]:
    """Processes, zombies not counted, whose command names a folder below this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_text() if entry.name.isdigit() else ""
            zombie = command and (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if f"{folder}" in command and not zombie and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], Any], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


class Sweep:
    """`train.py -m` with the same arguments again and again; its cells are `<folder>/<seed>`."""

    def __init__(self, repository: Path, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        self.command = [
            sys.executable, str(repository / "train.py"), "-m", *arguments, f"hydra.sweep.dir={folder}",
            "hydra.sweep.subdir=${seed}", "sweep.estimate=false",
        ]  # fmt: skip
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *more: str, **environment: str) -> subprocess.Popen[str]:
        self.started.append(
            subprocess.Popen(
                [*self.command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, cwd=self.folder.parent,
            )
        )  # fmt: skip
        return self.started[-1]

    def run(self, *more: str, **environment: str) -> tuple[int, str]:
        process = self.start(*more, **environment)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def log(self, seed: int) -> str:
        return (self.folder / str(seed) / "job.log").read_text()

    def step(self, seed: int) -> int:
        """How far a cell says it is."""
        path = self.folder / str(seed) / "progress.json"
        return int(json.loads(path.read_text())["step"]) if path.exists() else 0

    def kill_all(self) -> None:
        """SIGKILL to the sweep and to all its jobs, and to whatever these have started."""
        for process in self.started:
            process.kill()
        for pid in processes_in(self.folder):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self.started:
            process.wait()


@pytest.fixture
def sweep_of(repository: Path, tiny_arguments: Arguments, tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    made = []

    def make(*overrides: str, name: str = "sweep") -> Sweep:
        made.append(Sweep(repository, tmp_path / name, tiny_arguments("edsr_baseline", *overrides)))
        return made[-1]

    yield make
    for sweep in made:
        sweep.kill_all()


def test_a_failed_cell_a_retry_and_the_same_command_again(sweep_of: Callable[..., Sweep], tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "fail_once.py").write_text(FAIL_ONCE)
    own = {"PYTHONPATH": str(packages), "MAY_GO_ON": str(tmp_path / "may_go_on")}
    sweep = sweep_of(
        "seed=1,2", "+callbacks.fail._target_=fail_once.Fail", "+callbacks.fail.seed=${seed}",
        "callbacks.checkpoints.every_steps=1",
    )  # fmt: skip
    code, output = sweep.run("hydra.launcher.retries=1", **own)
    assert code == 1, output
    assert "Traceback" not in output
    assert "error: 1 of 2 cells failed; the same command tries them again:" in output
    assert "sweep/1: RuntimeError: no [such] thing; log sweep/1/job.log" in output
    assert "compare them: python compare.py " in output
    assert (read(sweep.folder / "1")["status"], read(sweep.folder / "2")["status"]) == ("failed", "finished")
    assert sweep.log(1).count(" attempt ") == 2
    assert "Traceback" in sweep.log(1)
    # The same command: one goes on from its checkpoint, the other is left alone.
    (tmp_path / "may_go_on").touch()
    finished = (sweep.folder / "2" / "results.json").stat().st_mtime_ns
    code, output = sweep.run(**own)
    assert code == 0, output
    assert (sweep.folder / "2" / "results.json").stat().st_mtime_ns == finished
    results = read(sweep.folder / "1")
    assert (results["status"], results["steps"]) == ("finished", 4)
    # Once more: nothing is to be done, so no process is started.
    logs = [sweep.log(seed) for seed in (1, 2)]
    assert [log.count(" attempt ") for log in logs] == [3, 1]
    begun = time.monotonic()
    code, output = sweep.run(**own)
    # A job takes longer to import what it needs.
    assert time.monotonic() - begun < 30
    assert code == 0, output
    assert "2/2 cells done, 2 finished before" in output
    assert [sweep.log(seed) for seed in (1, 2)] == logs


def test_a_folder_in_use_is_refused_and_a_signal_ends_the_sweep(
    sweep_of: Callable[..., Sweep], repository: Path
) -> None:
    sweep = sweep_of("seed=1,2", "trainer.max_steps=100000", "hydra.launcher.jobs=1")
    process = sweep.start()
    wait_until(lambda: sweep.step(1) >= 4)
    second = subprocess.run(
        [sys.executable, str(repository / "train.py"), f"resume={sweep.folder / '1'}"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"error: another process trains in {sweep.folder / '1'} right now" in second.stderr
    assert read(sweep.folder / "1")["status"] == "running"
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert "Traceback" not in output
    assert "interrupted by SIGTERM; the same command goes on: python" in output
    results = read(sweep.folder / "1")
    assert (results["status"], results["exit_code"]) == ("interrupted", 143)
    assert results["steps"] >= 4
    assert not (sweep.folder / "2").exists()
    assert processes_in(sweep.folder) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=1,2", "hydra.sweep.subdir=x"], "hydra.sweep.subdir"),
        (["seed=1", "trainer.num_nodes=2"], "trainer.num_nodes: the pool has this machine alone"),
        (["seed=1", "hydra.launcher.gpus=[3]"], "expected positions among the 0 visible GPUs"),
    ],
)
def test_refused_before_anything_starts(
    sweep_of: Callable[..., Sweep], overrides: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    sweep = sweep_of(*[text for text in overrides if text.startswith("seed")])
    code, output = sweep.run(*[text for text in overrides if not text.startswith("seed")])
    assert code == 1
    assert output.splitlines()[-1].startswith("error: ")
    assert message in output.splitlines()[-1]
    assert not list(sweep.folder.glob("*/job.log"))


def test_a_folder_of_another_configuration_is_refused(sweep_of: Callable[..., Sweep]) -> None:
    sweep = sweep_of("seed=1,2")
    (sweep.folder / "2").mkdir(parents=True)
    (sweep.folder / "2" / "results.json").write_text('{"status": "finished", "config_hash": "0123456789ab"}')
    code, output = sweep.run()
    assert code == 1
    assert f"{sweep.folder / '2'} holds a run of another configuration than this sweep's" in output.splitlines()[-1]
    assert not (sweep.folder / "1").exists()


LONG = ("trainer.max_steps=200", "trainer.val_every_steps=100", "callbacks.checkpoints.every_steps=20")


def trained(folder: Path) -> tuple[Any, list[dict[str, str]]]:
    """What a cell has reached, and what it wrote of each step."""
    results = read(folder)
    assert (results["status"], results["steps"]) == ("finished", 200)
    with (folder / "metrics.csv").open() as file:
        return results["validation"], list(csv.DictReader(file))


@pytest.mark.slow
def test_a_sweep_killed_at_a_random_moment(sweep_of: Callable[..., Sweep]) -> None:
    """And another of which the launcher alone is killed: both end as one that nobody disturbed."""
    undisturbed = sweep_of("seed=1,2", *LONG, name="undisturbed")
    code, output = undisturbed.run()
    assert code == 0, output
    killed = sweep_of("seed=1,2", *LONG, name="killed")
    killed.start()
    wait_until(lambda: killed.step(1) + killed.step(2) > 0)
    moment = random.uniform(0, 3)
    print(f"killed {moment:.2f} s after the first step, at {killed.step(1)} and {killed.step(2)}")
    time.sleep(moment)
    killed.kill_all()
    assert processes_in(killed.folder) == []
    code, output = killed.run()
    assert code == 0, output
    orphaned = sweep_of("seed=1,2", *LONG, name="orphaned")
    launcher = orphaned.start("hydra.launcher.jobs=1")
    wait_until(lambda: orphaned.step(1) >= 20)
    launcher.kill()
    launcher.communicate()
    # At once: its job may still be saving, and the folder be held.
    code, output = orphaned.run("hydra.launcher.jobs=1")
    assert code == 0, output
    assert processes_in(orphaned.folder) == []
    for seed in "12":
        expected = trained(undisturbed.folder / seed)
        assert trained(killed.folder / seed) == expected
        assert trained(orphaned.folder / seed) == expected


@pytest.mark.slow
def test_one_job_killed_from_outside(sweep_of: Callable[..., Sweep]) -> None:
    sweep = sweep_of("seed=1,2", *LONG)
    process = sweep.start("hydra.launcher.retries=1")
    wait_until(lambda: sweep.step(1) >= 20)
    (pid,) = processes_in(sweep.folder / "1")
    os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert "to be tried again 1  killed by SIGKILL (out of memory?)" in output
    assert sweep.log(1).count(" attempt ") == 2
    trained(sweep.folder / "1")
    trained(sweep.folder / "2")


@pytest.mark.slow
def test_two_processes_per_job_and_both_jobs_at_once(sweep_of: Callable[..., Sweep]) -> None:
    sweep = sweep_of(
        "seed=1,2", "trainer.devices=2", "data.batch_size=4", "trainer.max_steps=60", "logger=wandb",
        "logger.wandb.offline=true",
    )  # fmt: skip
    process = sweep.start("hydra.launcher.jobs=2")
    together: set[int] = set()

    def both() -> bool:
        seeds = [seed for seed in (1, 2) if 0 < sweep.step(seed) < 60]
        together.update(seeds if len(seeds) == 2 else [])
        return process.poll() is not None

    wait_until(both, 200)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert together == {1, 2}
    assert sorted(path.name for path in sweep.folder.iterdir() if path.is_dir()) == ["1", "2"]
    for seed in (1, 2):
        results = read(sweep.folder / str(seed))
        assert (results["status"], results["steps"]) == ("finished", 60)
        assert len(list((sweep.folder / str(seed)).glob("wandb/offline-run-*"))) == 1
        # Said once, by one process of two; and not by a sweep of its own.
        assert sweep.log(seed).count("run folder") == 1
        assert "cells" not in sweep.log(seed)
