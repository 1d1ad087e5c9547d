"""A search: Optuna chooses cells by the results of those before, whichever launcher trains them."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console
from rich.table import Table

from sr_lightning.report.files import write_atomically
from sr_lightning.report.lock import held
from sr_lightning.sweeps.launching import Launch
from sr_lightning.sweeps.space import Space
from sr_lightning.sweeps.study import ask, finished, take_up
from sr_lightning.sweeps.table import WIDTH

# Rows of the table at the end, where there is one objective.
BEST = 5


@dataclass(frozen=True)
class Limits:
    """How far a search goes.

    Attributes:
        n_trials: finished trials in all.
        n_jobs: trials side by side.
        max_failure_rate: share of the trials of this start that may fail before it ends.
    """

    n_trials: int
    n_jobs: int
    max_failure_rate: float


def search(launch: Launch, launcher: Launcher, study: Study, space: Space, limits: Limits) -> None:
    """Train until the study has its trials, and show the best; leaves the process with 1 where trials failed.

    Args:
        launch: of the sweep.
        launcher: trains cells.
        study: its trials so far.
        space: what is searched.
        limits: when it ends.

    Raises:
        Refusal: the same search is running in another process.
    """
    folder = Path(launch.config.hydra.sweep.dir)
    with held(folder):
        again = take_up(study)
        done = len(finished(study))
        if done:
            print(f"the study {study.study_name} has {done} of {limits.n_trials} trials", flush=True)
        if again:
            print(f"{again} trials that did not finish are tried again", flush=True)
        failures = _Search(launcher, study, space, limits).run(limits.n_trials - done)
    rows = best(study)
    _save(folder / "optimization_results.yaml", rows, several=len(study.directions) > 1)
    if rows:
        console = rich.get_console()
        wide = console if console.is_terminal else Console(file=console.file, width=WIDTH)
        wide.print(table(rows, list(launch.config.sweep.objectives)))
    for trial in failures:
        print(f"trial {trial.number} failed: {trial.user_attrs['why']} ({trial.user_attrs['folder']})", file=sys.stderr)
    if failures:
        sys.exit(1)


class _Search:
    def __init__(self, launcher: Launcher, study: Study, space: Space, limits: Limits) -> None:
        self.launcher = launcher
        self.study = study
        self.space = space
        self.limits = limits

    def run(self, trials: int) -> list[FrozenTrial]:
        """Train so many trials, in rounds; returns those that failed."""
        failures: list[FrozenTrial] = []
        tried = 0
        while tried < trials and len(failures) <= self.limits.max_failure_rate * tried:
            asked = self._round(min(self.limits.n_jobs, trials - tried))
            tried += len(asked)
            failures += [trial for trial in asked if trial.state == TrialState.FAIL]
        if tried < trials:
            print(f"{len(failures)} of {tried} trials failed: the search ends (hydra.sweeper.max_failure_rate)")
        return failures

    def _round(self, count: int) -> list[FrozenTrial]:
        asked = [ask(self.study, self.space.searched) for _ in range(count)]
        cells = [self.space.texts(trial.params) for trial in asked]
        answers = self.launcher.launch(cells, initial_job_idx=asked[0].number)
        return [self._tell(trial, answer) for trial, answer in zip(asked, answers, strict=True)]

    def _tell(self, trial: Trial, answer: JobReturn) -> FrozenTrial:
        # Launchers that call the task themselves hand Hydra's answer on, which knows the folder.
        known = answer.hydra_cfg and answer.hydra_cfg.hydra.runtime.output_dir
        trial.set_user_attr("folder", str(known or answer.working_dir))
        values, why = _values(answer)
        if why:
            trial.set_user_attr("why", why)
            return self.study.tell(trial, state=TrialState.FAIL)
        told = self.study.tell(trial, values)
        given = ", ".join(f"{key}={_text(value)}" for key, value in told.params.items())
        print(f"trial {told.number}: {', '.join(map(_text, told.values))} with {given}", flush=True)
        return told


def _values(answer: JobReturn) -> tuple[Sequence[float], str]:
    """Return what a trial gave, or why it gave nothing that counts."""
    given = answer._return_value
    if answer.status != JobStatus.COMPLETED:
        return [], " ".join(str(given).split()) or type(given).__name__
    values = [float(value) for value in (given if isinstance(given, tuple) else (given,))]
    return values, "" if all(map(math.isfinite, values)) else f"its result is {', '.join(map(str, values))}"


def best(study: Study) -> list[FrozenTrial]:
    """Return the best trials, each with other values: the Pareto front of several objectives, by the first one."""
    several = len(study.directions) > 1
    trials = study.best_trials if several else finished(study)
    sign = -1 if study.directions[0].name == "MAXIMIZE" else 1
    distinct = {str(trial.params): trial for trial in trials}.values()
    ordered = sorted(distinct, key=lambda trial: sign * trial.values[0])
    return ordered if several else ordered[:BEST]


def table(trials: Sequence[FrozenTrial], objectives: Sequence[str]) -> Table:
    """Return trials for people: results, values, the folder's name."""
    several = len(objectives) > 1
    title = "none is better in one and no worse in the others (Pareto front)" if several else "best trials"
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in (*objectives, *trials[0].params):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("folder", overflow="fold")
    for trial in trials:
        row = [*trial.values, *trial.params.values()]
        shown.add_row(*map(_text, row), Path(trial.user_attrs["folder"]).name)
    return shown


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value:.5g}"
    return str(value)


def _save(path: Path, trials: Sequence[FrozenTrial], *, several: bool) -> None:
    """Write the best trials as hydra-optuna-sweeper does, with their folders besides."""
    found: list[dict[str, Any]] = [
        {"params": trial.params, "values": list(trial.values), "folder": trial.user_attrs["folder"]} for trial in trials
    ]
    content: dict[str, Any] = {"name": "optuna"}
    if several:
        content["solutions"] = found
    elif found:
        content |= {
            "best_params": found[0]["params"],
            "best_value": found[0]["values"][0],
            "folder": found[0]["folder"],
        }
    write_atomically(path, OmegaConf.to_yaml(OmegaConf.create(content)))
