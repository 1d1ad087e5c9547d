"""`hydra/launcher=pool`. Hydra imports this file at every start: nothing heavy."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class PoolLauncher(Launcher):
    """Trains each cell of a sweep in a process of its own, on devices of this machine that are its own for the time.

    Args:
        jobs: most of them at a time; None lets the devices decide.
        gpus: positions among the visible GPUs, or their names; None takes all.
        retries: how often a failed job is started again.
        poll: seconds between two looks at the jobs.
    """

    def __init__(self, *, jobs: int | None, gpus: Sequence[int | str] | None, retries: int, poll: float) -> None:
        self.jobs = jobs
        self.gpus = None if gpus is None else list(gpus)
        self.retries = retries
        self.poll = poll

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra says of the sweep."""
        self.sweep = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the cells and return what became of each; leaves the process where there is nothing to go on with."""
        from sr_lightning.cli.pool import Settings, launch_on_pool
        from sr_lightning.sweeps.launching import Launch

        settings = Settings(jobs=self.jobs, gpus=self.gpus, retries=self.retries, poll=self.poll)
        return launch_on_pool(Launch(*self.sweep), settings, job_overrides, initial_job_idx)
