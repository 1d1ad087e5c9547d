"""A sweep on SLURM: one array of jobs, each with GPUs of its own.

Over hydra-submitit-launcher it waits for every cell, whatever becomes of one, goes on at a time limit from where the
run stands, finds the jobs of an earlier start that are still queued or running, and submits nothing that is finished.
"""

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import submitit
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher  # type: ignore[import-untyped]
from submitit.core.core import Job as Submitted
from submitit.core.utils import FailedJobError
from submitit.slurm.slurm import SlurmJob

from sr_lightning.report.files import write_json
from sr_lightning.sweeps.launching import Job, Launch, failed, in_one_line, run_unfinished

# In a cell's folder: which job of SLURM's trains it, and since which Unix time.
NOTE = "slurm.json"
# What submitit calls by SLURM's own names; the others get its prefix.
COMMON = (
    "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout",
)  # fmt: skip
# Of a job that will still write its result.
WAITING = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "PREEMPTED", "REQUEUED", "REQUEUE_HOLD")
# Seconds after its submission in which sacct may not know a job yet: its database is written later.
UNKNOWN_FOR = 300.0


def launch_on_slurm(launch: Launch, jobs: Sequence[Job]) -> list[JobReturn]:
    """Submit cells and wait for all of them.

    Args:
        launch: of the sweep.
        jobs: the cells, each of which knows by its own configuration what it asks SLURM for.
    """

    def run(unfinished: Sequence[Job]) -> Mapping[Path, JobReturn]:
        submitted = {job.folder: found for job in unfinished if (found := still_there(job.folder))}
        if submitted:
            print(f"{len(submitted)} cells are queued or running since an earlier start", flush=True)
        new = [job for job in unfinished if job.folder not in submitted]
        for settings, alike in by_settings(new):
            submitted |= submit(launch, settings, alike)
            print(f"{len(alike)} cells given to SLURM; squeue shows them", flush=True)
        try:
            return {job.folder: _answer(job, submitted[job.folder]) for job in unfinished}
        except KeyboardInterrupt:
            print("SLURM's jobs go on; the same command waits for them, scancel ends them", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)

    return run_unfinished(launch, jobs, run)


def by_settings(jobs: Sequence[Job]) -> list[tuple[dict[str, Any], list[Job]]]:
    """Return jobs that ask SLURM for the same together, with what they ask for: an array has one size of jobs."""
    groups: dict[str, tuple[dict[str, Any], list[Job]]] = {}
    for job in jobs:
        settings = job.launcher()
        groups.setdefault(json.dumps(settings, sort_keys=True), (settings, []))[1].append(job)
    return list(groups.values())


def submit(launch: Launch, settings: Mapping[str, Any], jobs: Sequence[Job]) -> dict[Path, Submitted[Any]]:
    """Submit cells as one array; returns each one's job, by its folder.

    Args:
        launch: of the sweep.
        settings: `conf/hydra/launcher/submitit_slurm.yaml`, as plain values.
        jobs: the cells.
    """
    executor = submitit.AutoExecutor(
        settings["submitit_folder"], cluster="slurm", slurm_max_num_timeout=settings["max_num_timeout"]
    )
    own = ("_target_", "submitit_folder", "max_num_timeout")
    given = {key: value for key, value in settings.items() if key not in own}
    executor.update_parameters(**{key if key in COMMON else f"slurm_{key}": value for key, value in given.items()})
    runner = InJob()
    runner.setup(hydra_context=launch.context, task_function=launch.task, config=launch.config)
    arguments = [
        (list(job.overrides), "hydra.sweep.dir", job.number, str(job.number), Singleton.get_state()) for job in jobs
    ]
    submitted = executor.map_array(runner, *zip(*arguments, strict=True))
    for job, one in zip(jobs, submitted, strict=True):
        write_json(job.folder / NOTE, {"job_id": one.job_id, "folder": str(executor.folder), "submitted": time.time()})
    return {job.folder: one for job, one in zip(jobs, submitted, strict=True)}


def still_there(folder: Path) -> Submitted[Any] | None:
    """Return the job that trains a cell since an earlier start, None where none will end any more."""
    if not (folder / NOTE).is_file():
        return None
    note = json.loads((folder / NOTE).read_text())
    job: SlurmJob[Any] = SlurmJob(note["folder"], note["job_id"])
    # "CANCELLED by 1000"
    state = job.watcher.get_state(job.job_id, mode="force").partition(" ")[0]
    # What submitit says of a job that sacct does not name.
    just_submitted = state == "UNKNOWN" and time.time() - note.get("submitted", 0.0) < UNKNOWN_FOR
    return job if (state in WAITING or just_submitted) and not job.paths.result_pickle.exists() else None


def _answer(job: Job, submitted: Submitted[Any]) -> JobReturn:
    error = submitted.exception()
    if error is None:
        return in_one_line(job, submitted.result())
    why = f"ended as {submitted.state}"
    if isinstance(error, FailedJobError):
        # The last line of the traceback, which stands between two rules.
        why = str(error).rpartition("\n-----")[0].rpartition("\n")[2]
    return failed(job, f"SLURM's job {submitted.job_id}: {why}; its log is {submitted.paths.stderr}")


class InJob(SlurmLauncher):  # type: ignore[misc]
    """What a job of SLURM's does: one cell, in one task whose process starts the others of a distributed run itself."""

    def __call__(self, *arguments: Any) -> JobReturn:
        """Train the cell; shortly before the time limit it saves a checkpoint, and the job is queued again."""
        # Else Lightning takes SLURM's tasks for the run's processes; by this name it knows that they are not.
        os.environ["SLURM_JOB_NAME"] = "interactive"
        warnings.filterwarnings("ignore", "The `srun` command is available")
        limit = _Limit()
        try:
            answer: JobReturn = super().__call__(*arguments)
            return answer
        except SystemExit:
            limit.requeue()
            raise


class _Limit:
    """The signal that SLURM sends before the time limit, made the one on which a run saves and leaves."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._reached = False
        # Of submitit: would leave at once, in the middle of a step.
        self._queue_again = signal.getsignal(signal.SIGUSR2)
        signal.signal(signal.SIGUSR2, self._near)

    def _near(self, number: int, frame: FrameType | None) -> None:
        # SLURM may signal every process of the job, a loader's too.
        if os.getpid() == self._pid:
            self._reached = True
            os.kill(self._pid, signal.SIGTERM)

    def requeue(self) -> None:
        """After the limit, leave by submitit's way: it counts, and queues this job again."""
        if self._reached and callable(self._queue_again):
            self._queue_again(signal.SIGUSR2, None)
