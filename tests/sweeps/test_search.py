import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

optuna = pytest.importorskip("optuna")
from optuna.trial import TrialState  # noqa: E402

from sr_lightning.report.lock import held  # noqa: E402

pytest_plugins = ("tests.sweeps.stub_sweep",)
# What the sweeper has from Optuna 2 must not be heard of.
pytestmark = pytest.mark.filterwarnings("error::FutureWarning")

BASIC = "hydra/launcher=basic"
LEARNING_RATE = (BASIC, "hparams_search=learning_rate", "loss=l1", "seed=1")


def study_of(name: str) -> Any:
    return optuna.load_study(study_name=name, storage=f"sqlite:///runs/sweep/{name}/study.db")


def rates(state: TrialState) -> list[float]:
    return [trial.params["optimizer.lr"] for trial in study_of("learning_rate").get_trials(states=(state,))]


def test_the_same_command_goes_on_with_the_trials_that_are_missing(
    sweep: Callable[..., Any], capsys: pytest.CaptureFixture[str]
):
    sweep(*LEARNING_RATE, "hydra.sweeper.n_trials=3")
    assert len(rates(TrialState.COMPLETE)) == 3
    sweep(*LEARNING_RATE, "hydra.sweeper.n_trials=3")
    assert len(rates(TrialState.COMPLETE)) == 3
    assert "the study learning_rate has 3 of 3 trials" in capsys.readouterr().out
    sweep(*LEARNING_RATE, "hydra.sweeper.n_trials=5")
    found = rates(TrialState.COMPLETE)
    assert len(set(found)) == 5, "a start does not choose again what an earlier one has chosen"
    assert all(1e-5 <= rate <= 1e-2 for rate in found)

    results = yaml.safe_load(Path("runs/sweep/learning_rate/optimization_results.yaml").read_text())
    assert results["best_params"]["optimizer.lr"] == max(found)
    assert results["best_value"] == pytest.approx(2 + max(found))
    told = json.loads((Path(results["folder"]) / "results.json").read_text())
    assert told["validation"]["psnr"] == results["best_value"]
    assert Path(results["folder"]).name in capsys.readouterr().out


def test_a_trial_of_a_killed_search_is_finished_first_in_its_own_folder(sweep: Callable[..., Any], tmp_path: Path):
    arguments = [BASIC, "hparams_search=learning_rate", "loss=l1", "seed=99", "hydra.sweeper.n_trials=2"]
    program = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], cwd=tmp_path)
    while not (begun := list(tmp_path.glob("runs/**/attempts"))):
        assert program.poll() is None
        time.sleep(0.05)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert len(rates(TrialState.RUNNING)) == 1
    (rate,) = rates(TrialState.RUNNING)
    (begun[0].parent / "go").touch()

    sweep(*arguments[:3], "seed=99", "hydra.sweeper.n_trials=1")
    assert rates(TrialState.COMPLETE) == [rate]
    assert rates(TrialState.RUNNING) == []
    assert len(begun[0].read_text().splitlines()) == 2, "the same folder"


KILLED = """
import sys
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from sr_lightning.yamls import conf_dir
from tests.sweeps.stub_task import run
hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(conf_dir())))
hydra.multirun("train", run, sys.argv[1:], with_log_configuration=False)
"""


@pytest.mark.parametrize(("seed", "reason"), [(13, "thirteen has bad luck"), (14, "its result is nan")])
def test_trials_that_fail_are_told_and_tried_again_by_the_same_command(
    sweep: Callable[..., Any], capsys: pytest.CaptureFixture[str], seed: int, reason: str
):
    arguments = (*LEARNING_RATE[:3], f"seed={seed}", "hydra.sweeper.n_trials=2")
    for tries in (1, 2):
        with pytest.raises(SystemExit, match="1"):
            sweep(*arguments)
        told = capsys.readouterr()
        assert "1 of 1 trials failed: the search ends (hydra.sweeper.max_failure_rate)" in told.out
        assert f"trial {tries - 1} failed: {reason}" in told.err
    first, second = rates(TrialState.FAIL)
    assert first == second

    with pytest.raises(SystemExit, match="1"):
        sweep(*arguments, "hydra.sweeper.max_failure_rate=1")
    assert len(set(rates(TrialState.FAIL))) == 2, "one tried again, one new"


def test_of_several_objectives_the_pareto_front_is_shown(sweep: Callable[..., Any], capsys: pytest.CaptureFixture[str]):
    sweep(BASIC, "hparams_search=width_depth", "hydra.sweeper.n_trials=9", "hydra.sweeper.n_jobs=4")
    trials = study_of("width_depth").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 9
    values = {tuple(trial.values) for trial in trials}
    best = {one for one in values if not any(a >= one[0] and b <= one[1] and (a, b) != one for a, b in values)}
    results = yaml.safe_load(Path("runs/sweep/width_depth/optimization_results.yaml").read_text())
    assert {tuple(solution["values"]) for solution in results["solutions"]} == best
    shown = capsys.readouterr().out
    assert "Pareto front" in shown
    for solution in results["solutions"]:
        assert Path(solution["folder"]).name in shown


@pytest.mark.parametrize("sampler", ["NSGAIISampler", "RandomSampler"])
def test_other_samplers_serve_too(sweep: Callable[..., Any], sampler: str):
    sweep(
        BASIC, "hparams_search=width_depth", "hydra.sweeper.n_trials=2",
        f"hydra.sweeper.sampler._target_=optuna.samplers.{sampler}",
    )  # fmt: skip
    assert len(study_of("width_depth").trials) == 2


def test_a_search_runs_once_at_a_time(sweep: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with held(tmp_path / "runs/sweep/learning_rate"), pytest.raises(SystemExit):
        sweep(*LEARNING_RATE)
    assert "another process" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_search_for_an_architecture(tiny_arguments: Callable[..., list[str]], tmp_path: Path):
    searched = ["model.width=range(8, 16, step=8)", "model.depth=range(1, 2)"]
    fixed = [text for text in tiny_arguments("edsr_baseline") if not text.startswith(("model.width", "model.depth"))]
    arguments = [sys.executable, "-m", "sr_lightning", "train", "-m", "hparams_search=width_depth", *fixed, *searched]
    arguments += ["hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2", "sweep.estimate=false"]
    own = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False, env=own)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "Pareto front" in done.stdout
    folder = tmp_path / "runs/sweep/width_depth"
    runs = [json.loads(path.read_text()) for path in folder.glob("*/results.json")]
    assert {run["status"] for run in runs} == {"finished"}
    scored = {(run["validation"]["psnr"], run["multiply_adds"]) for run in runs}
    solutions = yaml.safe_load((folder / "optimization_results.yaml").read_text())["solutions"]
    assert {tuple(solution["values"]) for solution in solutions} <= scored

    again = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False, env=own)
    assert again.returncode == 0, again.stderr
    assert "the study width_depth has 3 of 3 trials" in again.stdout
