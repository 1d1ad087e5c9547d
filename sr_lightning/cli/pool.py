"""The cells of a sweep on this machine's devices: composed, checked against each other, trained, summed up."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rich
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from omegaconf import OmegaConf
from rich.console import Console

from sr_lightning.cli.app import refuse
from sr_lightning.cli.resolve import resolve
from sr_lightning.refusal import Refusal
from sr_lightning.report.identity import config_hash
from sr_lightning.sweeps.cells import objectives, refuse_another
from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.launching import Job, Launch, seen_by_hydra
from sr_lightning.sweeps.live_table import display
from sr_lightning.sweeps.machine import cores, memory, visible_gpus
from sr_lightning.sweeps.pool import Pool
from sr_lightning.sweeps.slots import Slots, chosen_gpus, need_of
from sr_lightning.sweeps.standing import Standing
from sr_lightning.sweeps.summary import print_failures, print_interruption, print_summary


@dataclass(frozen=True)
class Settings:
    """`hydra.launcher` of `conf/hydra/launcher/pool.yaml`, which explains it."""

    jobs: int | None
    gpus: list[int | str] | None
    retries: int
    poll: float


@dataclass(frozen=True)
class _Composed:
    """A cell with what it was composed of; the hash tells two of them apart."""

    overrides: Sequence[str]
    cell: Cell
    hash: str


def launch_on_pool(
    launch: Launch, settings: Settings, overrides: Sequence[Sequence[str]], first: int
) -> list[JobReturn]:
    """Train cells and return what became of each, in order.

    Leaves the process where a signal came, with 128 and its number, and with 1 where a cell failed whose sweep is no
    search: Hydra would show one failure alone.

    Args:
        launch: what Hydra says of the sweep.
        settings: of the pool.
        overrides: of each cell.
        first: the number of the first cell.
    """
    try:
        visible = visible_gpus(os.environ)
        gpus = chosen_gpus(visible, settings.gpus)
        # One at a time: Hydra's configurations of thousands would fill the memory.
        numbered = enumerate(overrides, first)
        composed = [_compose(launch.jobs([cell], number)[0], gpus=gpus, visible=visible) for number, cell in numbered]
        cells = _each_once(composed)
    except Refusal as refusal:
        refuse(refusal)
    standings = _train(cells, settings, gpus=gpus, compare=_list_of_cells(launch))
    if not launch.is_search and any(standing.state == "failed" for standing in standings):
        print_failures(standings, console=Console(stderr=True))
        sys.exit(1)
    by_folder = {standing.cell.folder: standing for standing in standings}
    paths = list(launch.config.sweep.objectives)
    return [_answer(one, by_folder[one.cell.folder], paths) for one in composed]


def _train(cells: Sequence[Cell], settings: Settings, *, gpus: Sequence[str], compare: Path | None) -> list[Standing]:
    """Train cells, show how they stand and what became of them; leaves the process where a signal came."""
    slots = Slots(gpus=gpus, cells=len(cells), most=settings.jobs, cores=cores(), memory=memory())
    at_once = min(len(cells), slots.at_once(cells[0].need))
    console = rich.get_console()
    shown = display(console, at_once=at_once)
    pool = Pool(cells, slots=slots, retries=settings.retries, poll=settings.poll, display=shown)
    standings = pool.run()
    print_summary(standings, console=console, compare=compare, at_once=at_once)
    if pool.signal is not None:
        print_interruption(pool.signal, console=console)
        sys.exit(128 + pool.signal)
    return standings


def _compose(job: Job, *, gpus: Sequence[str], visible: Sequence[str]) -> _Composed:
    """Return a cell on its own; refuse one that wants more devices than there are, or the folder of another."""
    with seen_by_hydra(job.config):
        config = OmegaConf.to_container(resolve(job.task))
    assert isinstance(config, dict)
    plain = {str(key): value for key, value in config.items()}
    # Of a search, whose cells nobody knew before; its job would put this configuration over another run's.
    refuse_another(job.folder, plain)
    need = need_of(config["trainer"], gpus=gpus)
    environment = {str(key): str(value) for key, value in job.config.hydra.job.env_set.items()}
    cell = Cell(
        name=os.path.relpath(job.folder, job.config.hydra.sweep.dir),
        folder=job.folder,
        config=OmegaConf.to_yaml(OmegaConf.create({**config, "resume": None})),
        need=need,
        max_steps=int(config["trainer"]["max_steps"]),
        environment={**environment, **_cuda(need.kind, visible)},
    )
    return _Composed(job.overrides, cell, config_hash(plain))


def _cuda(kind: str, visible: Sequence[str]) -> Mapping[str, str]:
    if kind == "gpu":
        # nvidia-smi counts this way; numbers that the caller gave are counted as the caller does.
        return {} if "CUDA_VISIBLE_DEVICES" in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {"CUDA_VISIBLE_DEVICES": ""} if visible else {}


def _each_once(composed: Sequence[_Composed]) -> list[Cell]:
    """Return each cell once, as a search may ask for the same twice; refuse two different ones in one folder."""
    found: dict[Path, _Composed] = {}
    for one in composed:
        other = found.setdefault(one.cell.folder, one)
        if other.hash != one.hash:
            differs = [text for text in one.overrides if text not in other.overrides]
            raise Refusal(
                f"hydra.sweep.subdir gives one folder, {one.cell.folder}, to two cells, which differ in "
                f"{' '.join(differs)}; leave it out, or name in it what differs."
            )
    return [one.cell for one in found.values()]


def _list_of_cells(launch: Launch) -> Path | None:
    """Return what compare.py takes: the sweep's list of cells where there is one, else the folder with all of them.

    While a search goes on there is nothing to compare yet.
    """
    listed = OmegaConf.select(launch.config, "hydra.sweeper.manifest")
    return None if launch.is_search else Path(listed or launch.config.hydra.sweep.dir).absolute()


def _answer(composed: _Composed, standing: Standing, paths: Sequence[str]) -> JobReturn:
    answer = JobReturn(
        overrides=list(composed.overrides), working_dir=str(standing.cell.folder), status=JobStatus.COMPLETED
    )
    try:
        if not standing.results:
            raise Refusal(str(standing.reason))
        answer.return_value = objectives(standing.results, paths)
    except Refusal as refusal:
        answer.status = JobStatus.FAILED
        # Hydra shows this one without a traceback.
        answer.return_value = CompactHydraException(str(refusal))
    return answer
