"""A search's trials, as Optuna keeps them: what is finished, what a killed search left, what to try again."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import optuna
from hydra.core.override_parser.types import Override
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

Direction = Literal["minimize", "maximize"]
# The sweeper makes distributions by names that Optuna 3 has given up and Optuna 6 will not have.
DEPRECATED = r"\w+Distribution(\(.*\) is| has been) deprecated"


def open_study(
    *, storage: str, name: str, sampler: Callable[..., BaseSampler], seed: int, directions: Sequence[Direction]
) -> Study:
    """Open a study, or begin it.

    Args:
        storage: a database by sqlalchemy's name.
        name: of the study in it.
        sampler: makes the sampler from a seed.
        seed: of its random numbers. Trials that are there already count, or a search that goes on would choose by
            chance what it had chosen before.
        directions: `minimize` or `maximize` for each objective.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage.startswith("sqlite:///"):
        Path(storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=storage, study_name=name, directions=list(directions), load_if_exists=True)
    study.sampler = sampler(seed=seed + len(study.get_trials(deepcopy=False)))
    return study


def finished(study: Study) -> list[FrozenTrial]:
    """Return the trials that gave a result."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def take_up(study: Study) -> int:
    """Queue again what an earlier start left unfinished or saw fail; returns how many trials that are.

    A trial is tried again under a new number, with the same values and so in the same folder, where its run goes on.
    """
    left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.FAIL))
    others = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.WAITING))
    known = {_key(trial) for trial in others}
    for trial in left:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if _key(trial) not in known and trial.params:
            study.enqueue_trial(trial.params)
            known.add(_key(trial))
    return len(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))


def _key(trial: FrozenTrial) -> str:
    params = trial.params or trial.system_attrs.get("fixed_params", {})
    return json.dumps(params, sort_keys=True)


def ask(study: Study, searched: Mapping[str, Override]) -> Trial:
    """Begin a trial, with a value for each searched key."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", DEPRECATED, FutureWarning)
        # Puts the distributions into today's terms.
        return study.ask({key: create_optuna_distribution_from_override(each) for key, each in searched.items()})
