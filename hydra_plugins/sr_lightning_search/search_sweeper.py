"""`hydra/sweeper=search`. Hydra imports this file at every start: nothing heavy, and nothing of the extra."""

from collections.abc import Callable
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig


class SearchSweeper(Sweeper):
    """Lets Optuna choose the cells, by the results of those before.

    Args:
        params: what is searched, by key.
        direction: of each objective.
        n_trials: finished trials in all.
        n_jobs: trials side by side.
        max_failure_rate: share of failed trials that ends the search.
        seed: of the sampler.
        storage: where trials are kept.
        study_name: their name there.
        sampler: makes the sampler from a seed.
    """

    def __init__(
        self,
        *,
        params: DictConfig,
        direction: str | ListConfig,
        n_trials: int,
        n_jobs: int,
        max_failure_rate: float,
        seed: int,
        storage: str,
        study_name: str,
        sampler: Callable[..., Any],
    ) -> None:
        self.params = {str(key): str(value) for key, value in params.items()}
        self.directions: list[Any] = [direction] if isinstance(direction, str) else list(direction)
        self.limits: dict[str, Any] = {"n_trials": n_trials, "n_jobs": n_jobs, "max_failure_rate": max_failure_rate}
        self.study: dict[str, Any] = {"storage": storage, "name": study_name, "sampler": sampler, "seed": seed}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher that Hydra says."""
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.given = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Search; leaves the process with 1 where trials failed."""
        from sr_lightning.cli.app import refuse
        from sr_lightning.refusal import Refusal
        from sr_lightning.sweeps.launching import Launch
        from sr_lightning.sweeps.search import Limits, search
        from sr_lightning.sweeps.space import read_space
        from sr_lightning.sweeps.study import open_study

        assert self.launcher is not None
        try:
            study = open_study(**self.study, directions=self.directions)
            search(Launch(*self.given), self.launcher, study, read_space(self.params, arguments), Limits(**self.limits))
        except Refusal as refusal:
            refuse(refusal)
