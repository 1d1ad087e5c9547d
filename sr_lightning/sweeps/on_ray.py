"""A sweep on Ray: each cell is a task with GPUs and CPU cores of its own, on this machine or on a cluster.

Over hydra-ray-launcher it waits for every cell, whatever becomes of one, starts no Ray where all are finished, and
finds out how many GPUs and cores a cell can have.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_ray_launcher._launcher_util import _run_job, start_ray
from omegaconf import OmegaConf

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.launching import Job, Launch, failed, in_one_line, run_unfinished
from sr_lightning.sweeps.trainer_devices import read_devices

# Seconds that cells get to save a checkpoint.
PATIENCE = 60


def launch_on_ray(launch: Launch, jobs: Sequence[Job]) -> list[JobReturn]:
    """Run cells on Ray and wait for all of them.

    Args:
        launch: of the sweep.
        jobs: the cells, with `init` and `remote` of `conf/hydra/launcher/ray.yaml` in their configurations.

    Raises:
        Refusal: Ray does not start, or no machine has as many GPUs as a cell wants.
    """

    def run(unfinished: Sequence[Job]) -> Mapping[Path, JobReturn]:
        # Ray would tell its makers of each start; it asks when it is started.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            start_ray(OmegaConf.create(unfinished[0].launcher()["ray"]["init"]))
        except Exception as error:  # of several kinds, and of none in particular
            raise Refusal(f"hydra/launcher=ray: Ray could not be started or joined: {error}{_hint(error)}") from error
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        options = [_options(job, nodes, cells=len(jobs)) for job in unfinished]
        print(
            f"{len(unfinished)} cells on Ray, each with {options[0]['num_gpus']:g} GPU(s) and "
            f"{options[0]['num_cpus']:g} CPU core(s); each writes train.log in its folder below "
            f"{launch.config.hydra.sweep.dir}",
            flush=True,
        )
        return _wait(launch, unfinished, options)

    return run_unfinished(launch, jobs, run)


def _hint(error: Exception) -> str:
    """Say what a cluster may miss: it does not answer a driver without its token, and Ray does not say why."""
    return " (a cluster with a token wants RAY_AUTH_MODE=token)" if isinstance(error, ConnectionError) else ""


def _options(job: Job, nodes: Sequence[Mapping[str, float]], *, cells: int) -> dict[str, Any]:
    trainer = job.config.trainer
    devices = 0 if trainer.accelerator == "cpu" else read_devices(trainer.devices).count or 1
    return resources(job.launcher()["ray"]["remote"], nodes, devices=devices, cells=cells)


def resources(
    remote: Mapping[str, Any], nodes: Sequence[Mapping[str, float]], *, devices: int, cells: int
) -> dict[str, Any]:
    """Return the options of Ray's tasks, with GPUs and CPU cores where the settings leave them open.

    Args:
        remote: options as given; `num_gpus` and `num_cpus` may be None.
        nodes: what each machine has: `{"CPU": 16.0, "GPU": 2.0}`.
        devices: GPUs that one cell trains on where there are any.
        cells: of the whole sweep, so that one that goes on gets as many threads as it had: sums of floats depend on it.

    Raises:
        Refusal: no machine has so many GPUs; Ray would wait for one for ever.
    """
    most = max(node.get("GPU", 0) for node in nodes)
    gpus = remote["num_gpus"]
    if gpus is None:
        gpus = devices if most else 0
        if gpus > most:
            raise Refusal(
                f"trainer.devices={devices}: a cell trains on the GPUs of one machine, and Ray has at most {most:g} on "
                "one."
            )
    cpus = remote["num_cpus"]
    if cpus is None:
        cores = min(node["CPU"] for node in nodes if not gpus or node.get("GPU", 0) >= gpus)
        side_by_side = most // gpus if gpus else -(-cells // len(nodes))
        cpus = max(1, int(cores // side_by_side))
    return {**remote, "num_gpus": gpus, "num_cpus": cpus}


def _wait(launch: Launch, jobs: Sequence[Job], options: Sequence[Mapping[str, Any]]) -> dict[Path, JobReturn]:
    waiting = {
        _task(one).remote(
            str(Path.cwd()),
            hydra_context=launch.context,
            sweep_config=job.config,
            task_function=launch.task,
            singleton_state=Singleton.get_state(),
        ): job
        for job, one in zip(jobs, options, strict=True)
    }
    returned = {}
    try:
        while waiting:
            ended, _ = ray.wait(list(waiting))
            for reference in ended:
                job = waiting.pop(reference)
                returned[job.folder] = _answer(job, reference)
                print(f"{len(returned)} of {len(jobs)} cells have ended: {job.folder.name}", flush=True)
    except KeyboardInterrupt:
        _interrupt(list(waiting))
    return returned


def _interrupt(references: list[Any]) -> NoReturn:
    """Hand Ctrl-C on to the cells, by which they save a checkpoint, and leave."""
    print("interrupted: the cells save a checkpoint; the same command goes on with them", file=sys.stderr, flush=True)
    for reference in references:
        ray.cancel(reference)
    ray.wait(references, num_returns=len(references), timeout=PATIENCE)
    sys.exit(128 + signal.SIGINT)


def _task(options: Mapping[str, Any]) -> Any:
    # Ray's types know positional arguments alone.
    return ray.remote(**options)(_work)


def _answer(job: Job, reference: Any) -> JobReturn:
    try:
        return in_one_line(job, ray.get(reference))
    except ray.exceptions.RayError as error:
        # The worker was killed, ran out of memory, or left by a signal.
        return failed(job, error)


def _work(folder: str, **job: Any) -> JobReturn:
    """Run a job in a worker, which on another machine starts in a folder of Ray's."""
    os.chdir(folder)
    sys.path.append(folder)
    return _run_job(**job)
