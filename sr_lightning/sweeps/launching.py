"""What a launcher for other machines does around its jobs: their folders, cells that are finished, those that fail."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from sr_lightning.sweeps.cells import state_of


@dataclass(frozen=True)
class Job:
    """One cell of a sweep, composed.

    Attributes:
        number: its place in the sweep, from 0.
        overrides: what Hydra composes it from.
        config: the whole configuration, Hydra's part included.
        folder: the cell's folder, from the root.
    """

    number: int
    overrides: Sequence[str]
    config: DictConfig
    folder: Path

    @property
    def task(self) -> DictConfig:
        """The configuration without Hydra's part."""
        return OmegaConf.masked_copy(self.config, [str(key) for key in self.config if key != "hydra"])

    def launcher(self) -> dict[str, Any]:
        """Return the launcher's settings as this cell has them: what it asks for may depend on its own keys."""
        with seen_by_hydra(self.config):
            settings = OmegaConf.to_container(self.config.hydra.launcher, resolve=True)
        assert isinstance(settings, dict)
        return {str(key): value for key, value in settings.items()}


@contextmanager
def seen_by_hydra(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` mean this configuration."""
    former = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = former


@dataclass(frozen=True)
class Launch:
    """What Hydra hands to a launcher.

    Attributes:
        context: composes the cells.
        task: trains one cell; jobs import it by its name.
        config: the sweep's configuration, as composed without the swept values.
    """

    context: HydraContext
    task: TaskFunction
    config: DictConfig

    def jobs(self, overrides: Sequence[Sequence[str]], first: int) -> list[Job]:
        """Compose cells; the first of them has this number."""
        return [self._job(cell, number) for number, cell in enumerate(overrides, first)]

    def _job(self, overrides: Sequence[str], number: int) -> Job:
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            # A worker need not stand in this folder when Hydra asks it for the cell's.
            config.hydra.sweep.dir = str(Path(config.hydra.sweep.dir).absolute())
        with seen_by_hydra(config):
            folder = Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir
        return Job(number, overrides, config, folder)

    @property
    def is_search(self) -> bool:
        """Whether the sweeper wants to hear of failures, as those do that choose the next cells by the results."""
        return str(self.config.hydra.sweeper._target_).rpartition(".")[2] not in ("CellsSweeper", "BasicSweeper")

    def run_here(self, job: Job) -> JobReturn:
        """Call the task in this process: of a finished cell it only reads the results."""
        return run_job(
            hydra_context=self.context,
            task_function=self.task,
            config=job.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def run_unfinished(
    launch: Launch, jobs: Sequence[Job], run: Callable[[Sequence[Job]], Mapping[Path, JobReturn]]
) -> list[JobReturn]:
    """Let a launcher run what is not finished, each folder once, and tell on stderr which cells failed.

    Leaves the process with 1 where a cell failed whose sweep is no search.

    Args:
        launch: of the sweep.
        jobs: all cells asked for.
        run: runs jobs and returns what became of each, by its folder; called only where there are any.
    """
    unfinished = {job.folder: job for job in jobs if state_of(job.folder).status != "finished"}
    if done := len(jobs) - len(unfinished):
        print(f"{done} of {len(jobs)} cells are finished already", flush=True)
    returned = run(list(unfinished.values())) if unfinished else {}
    returns = [returned.get(job.folder) or launch.run_here(job) for job in jobs]
    failures = [job for job, answer in zip(jobs, returns, strict=True) if answer.status != JobStatus.COMPLETED]
    if failures:
        print(f"{len(failures)} of {len(jobs)} cells failed; the same command goes on with them:", file=sys.stderr)
        for job in failures:
            print(f"  {job.folder}: {returned[job.folder]._return_value}", file=sys.stderr)
        if not launch.is_search:
            # Of what is returned Hydra would show one failure alone.
            sys.exit(1)
    return returns


def failed(job: Job, why: object) -> JobReturn:
    """Return what Hydra's sweepers take for a job that failed; they end with this one line instead of a traceback."""
    text = " ".join(str(why).split()) or type(why).__name__
    # As a task says it to launchers that do not name the cell.
    error = CompactHydraException(text.removeprefix(f"{job.folder}: "))
    return JobReturn(
        overrides=list(job.overrides),
        cfg=job.task,
        working_dir=str(job.folder),
        status=JobStatus.FAILED,
        _return_value=error,
    )


def in_one_line(job: Job, answer: JobReturn) -> JobReturn:
    """Return a job's answer, its error without the traceback of another machine (the cell's `train.log` has it)."""
    return answer if answer.status == JobStatus.COMPLETED else failed(job, answer._return_value)
