import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps import fake_slurm

pytest.importorskip("submitit")
from submitit.slurm.slurm import SlurmJob

from sr_lightning.sweeps import on_slurm

pytest_plugins = ("tests.sweeps.stub_sweep",)
# Hushed by the command line, whose filters pytest takes away.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/\w+' is validated against ConfigStore")

SLURM = "hydra/launcher=submitit_slurm"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with SLURM's commands; what they know lies in this folder."""
    folder = tmp_path / "slurm"
    for name, value in fake_slurm.install(folder).items():
        monkeypatch.setenv(name, value)
    # It remembers jobs of the test before, which had the same numbers.
    SlurmJob.watcher.clear()
    return folder


def attempts(folder: Path) -> int:
    return len((folder / "attempts").read_text().splitlines())


def test_cells_are_one_array_of_jobs_with_a_gpu_each_and_finished_ones_are_not_submitted_again(
    slurm: Path, sweep: Callable[..., Any], cell: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
):
    arguments = (SLURM, "hydra.launcher.partition=short", "hydra.launcher.timeout_min=90", "seed=1,2")
    (returns,) = sweep(*arguments)
    options = fake_slurm.options((slurm / "1.sbatch").read_text())
    assert options["array"] == "0-1%2"
    assert (options["gpus-per-node"], options["ntasks-per-node"], options["nodes"]) == ("1", "1", "1")
    assert (options["time"], options["partition"], options["cpus-per-task"]) == ("90", "short", "4")
    assert options["signal"] == "USR2@120"
    assert [answer.return_value for answer in returns] == pytest.approx([2.0001, 3.0001])
    assert attempts(cell(1)) == attempts(cell(2)) == 1

    (again,) = sweep(*arguments)
    assert [answer.return_value for answer in again] == pytest.approx([2.0001, 3.0001])
    assert not (slurm / "2.sbatch").exists()
    assert "2 of 2 cells are finished already" in capsys.readouterr().out


def test_a_job_that_fails_leaves_the_others_and_the_same_command_submits_it_alone(
    slurm: Path, sweep: Callable[..., Any], cell: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
):
    arguments = (SLURM, "trainer.accelerator=cpu", "trainer.devices=2", "seed=13,1")
    with pytest.raises(SystemExit, match="1"):
        sweep(*arguments)
    assert json.loads((cell(1) / "results.json").read_text())["status"] == "finished"
    error = capsys.readouterr().err
    assert "1 of 2 cells failed" in error
    assert f"{cell(13)}: thirteen has bad luck" in error
    assert "gpus-per-node" not in fake_slurm.options((slurm / "1.sbatch").read_text())

    with pytest.raises(SystemExit):
        sweep(*arguments)
    assert "array" not in fake_slurm.options((slurm / "2.sbatch").read_text()), "one job, no array"
    assert (attempts(cell(13)), attempts(cell(1))) == (2, 1)


def test_cells_that_ask_for_different_machines_are_different_arrays(slurm: Path, sweep: Callable[..., Any]):
    sweep(SLURM, "trainer.devices=${seed}", "seed=1,2")
    given = [fake_slurm.options((slurm / f"{number}.sbatch").read_text()) for number in (1, 2)]
    assert [options["gpus-per-node"] for options in given] == ["1", "2"]


def test_a_job_that_is_killed_is_told_with_its_log(
    slurm: Path, sweep: Callable[..., Any], cell: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    # A job's result may lie on a slow file system; here it does not.
    monkeypatch.setattr("submitit.slurm.slurm.SlurmJob._results_timeout_s", 0)
    killer = subprocess.Popen([sys.executable, "-c", KILL, str(slurm / "1.pid")])
    with pytest.raises(SystemExit):
        sweep(SLURM, "seed=99")
    assert killer.wait(10) == 0
    assert re.search(r"SLURM's job 1: ended as FAILED; its log is .*1_0_log\.err", capsys.readouterr().err)
    assert not (cell(99) / "results.json").exists()


# Kills the process whose number a file will hold, once its task is running.
KILL = """
import os, signal, sys, time
from pathlib import Path
pid = Path(sys.argv[1])
while not (pid.exists() and list(pid.parents[1].glob("runs/**/attempts"))):
    time.sleep(0.05)
os.kill(int(pid.read_text()), signal.SIGKILL)
"""


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown to sacct yet"])
def test_a_job_of_an_earlier_start_is_waited_for_rather_than_submitted_again(
    slurm: Path, sweep: Callable[..., Any], cell: Callable[[int], Path], tmp_path: Path, known: bool,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    if not known:
        (slurm / "lag").touch()
    first = subprocess.Popen(
        [sys.executable, "-c", FIRST], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        # What is started in the background of a script inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not list(tmp_path.glob("runs/**/attempts")):
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    assert "SLURM's jobs go on; the same command waits for them" in first.communicate()[1]
    assert first.returncode == 130
    answer = on_slurm._answer

    def let_it_end(*arguments: Any) -> Any:
        (cell(99) / "go").touch()
        return answer(*arguments)

    # Not before it is clear which jobs are waited for.
    monkeypatch.setattr(on_slurm, "_answer", let_it_end)
    (returns,) = sweep(SLURM, "seed=99")
    assert returns[0].return_value == pytest.approx(100.0001)
    assert attempts(cell(99)) == 1
    assert not (slurm / "2.sbatch").exists()


@pytest.mark.parametrize(("seconds", "waits"), [(0, True), (240, True), (360, False), (None, False)])
def test_a_job_that_sacct_does_not_know_is_one_of_the_last_minutes_or_gone(
    slurm: Path, tmp_path: Path, seconds: float | None, waits: bool
):
    # An earlier version wrote no time.
    since = {} if seconds is None else {"submitted": time.time() - seconds}
    (tmp_path / on_slurm.NOTE).write_text(json.dumps({"job_id": "1", "folder": str(tmp_path), **since}))
    assert (on_slurm.still_there(tmp_path) is not None) == waits


# What is typed first, and left by Ctrl-C: its job goes on.
FIRST = """
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from sr_lightning.yamls import conf_dir
from tests.sweeps.stub_task import run
hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(conf_dir())))
arguments = ["hydra/sweeper=basic", "hydra/launcher=submitit_slurm", "seed=99"]
hydra.multirun("train", run, arguments, with_log_configuration=False)
"""


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_after_its_time_limit(
    slurm: Path, tiny_arguments: Callable[..., list[str]], tmp_path: Path
):
    steps = 600
    arguments = tiny_arguments("edsr_baseline", f"trainer.max_steps={steps}", f"trainer.val_every_steps={steps}")
    arguments += ["trainer.devices=2", "seed=1"]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "sr_lightning", "train", "-m", SLURM, "hydra.launcher.timeout_min=1", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while not (metrics := list(tmp_path.glob("runs/**/metrics.csv"))) or len(metrics[0].read_text().splitlines()) < 3:
        assert sweep.poll() is None, sweep.communicate()[0]
        time.sleep(0.1)
    subprocess.run(["scancel", "1", "--signal", "SIGUSR2"], check=True)
    out, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, out
    folder = metrics[0].parent
    results = json.loads((folder / "results.json").read_text())
    assert (results["status"], results["steps"]) == ("finished", steps)
    log = (folder / "train.log").read_text()
    assert log.count("interrupted by SIGTERM") == 1
    assert "Requeued job 1 (9 remaining timeouts)" in next(tmp_path.glob("runs/**/*_0_log.out")).read_text()
    # Of a run on the CPU, whatever the sweep as a whole says.
    assert "gpus-per-node" not in fake_slurm.options((slurm / "1.sbatch").read_text())
    logged = [int(line.split(",")[0]) for line in metrics[0].read_text().splitlines()[1:]]
    assert logged == sorted(set(logged)), "no step was trained twice"
