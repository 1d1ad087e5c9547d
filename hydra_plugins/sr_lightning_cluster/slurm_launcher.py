"""`hydra/launcher=submitit_slurm`. Hydra imports this file at every start: nothing heavy, and nothing of the extra."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sr_lightning.sweeps.launching import Launch


class SlurmLauncher(Launcher):
    """Runs the cells of a sweep as jobs of SLURM's.

    Args:
        settings: the keys of the yaml.
    """

    def __init__(self, **settings: Any) -> None:
        """Each cell has its own, with its own values: they are read from there."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra says of the sweep."""
        self.sweep = Launch(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit the cells and wait for all of them."""
        from sr_lightning.sweeps.on_slurm import launch_on_slurm

        return launch_on_slurm(self.sweep, self.sweep.jobs(job_overrides, initial_job_idx))
