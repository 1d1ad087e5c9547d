"""Where a job runs: GPUs that are its own for the time, or a share of the cores."""

import random
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.trainer_devices import read_devices

# Below the ports that systems hand out themselves, so that none is taken between its choice and its use.
PORTS = range(20_000, 32_000)
# Bytes that a process on the CPU is reckoned to need: torch, Lightning, and a network of the size one trains there.
MEMORY_OF_A_PROCESS = 2 * 2**30


@dataclass(frozen=True)
class Need:
    """What a job asks for.

    Attributes:
        kind: what it trains on.
        count: devices, each with a process of its own.
        positions: the very GPUs among the visible ones; empty takes any.
        translated: whether `trainer.devices` means something else once a job only sees its own GPUs, and is to be given
            to it as a plain number.
    """

    kind: Literal["gpu", "cpu"]
    count: int
    positions: tuple[int, ...] = ()
    translated: bool = False


def need_of(trainer: Mapping[str, Any], *, gpus: Sequence[str]) -> Need:
    """Return what a run asks for.

    Args:
        trainer: `trainer` of its configuration. `devices=auto` is one GPU here, -1 all of them.
        gpus: those of this sweep.

    Raises:
        Refusal: it asks for more than there is, or for nothing that makes sense.
    """
    asked = read_devices(trainer["devices"])
    if int(trainer["num_nodes"]) > 1:
        raise Refusal(
            f"trainer.num_nodes: the pool has this machine alone, got {trainer['num_nodes']}; "
            "hydra/launcher=submitit_slurm and hydra/launcher=ray know more machines."
        )
    kind: Literal["gpu", "cpu"] = "gpu" if gpus and trainer["accelerator"] != "cpu" else "cpu"
    count = max(1, len(gpus)) if asked.all_there_are else asked.count or 1
    positions = asked.indices if kind == "gpu" else ()
    need = Need(kind, count, positions, translated=bool(asked.indices) or asked.all_there_are)
    if kind == "gpu" and need.count > len(gpus):
        raise Refusal(f"trainer.devices: the sweep has {_gpus(gpus)}, a job asks for {need.count}.")
    if any(index not in range(len(gpus)) for index in need.positions):
        raise Refusal(f"trainer.devices: expected positions among {_gpus(gpus)}, from 0, got {trainer['devices']}.")
    return need


def _gpus(gpus: Sequence[str]) -> str:
    return f"{len(gpus)} GPU{'s' if len(gpus) != 1 else ''} ({', '.join(gpus)})"


def chosen_gpus(visible: Sequence[str], chosen: Sequence[int | str] | None) -> list[str]:
    """Return the GPUs of a sweep.

    Args:
        visible: all that this process sees, by their names for CUDA_VISIBLE_DEVICES.
        chosen: `hydra.launcher.gpus`: positions among them (as torch counts) or names; None takes all.
    """
    if chosen is None:
        return list(visible)
    for entry in chosen:
        if not isinstance(entry, str) and (isinstance(entry, bool) or entry not in range(len(visible))):
            raise Refusal(
                f"hydra.launcher.gpus: expected positions among the {len(visible)} visible GPUs, from 0, or their "
                f"names, got {entry}."
            )
    return [visible[entry] if isinstance(entry, int) else entry for entry in chosen]


def cpu_jobs(cells: int, *, processes: int, cores: int, memory: int) -> int:
    """Return how many jobs to run at a time on the CPU.

    One process to a core, as long as there are cells and memory for them: starting a job and writing its files keeps
    one core busy, and several small networks side by side use cores better than one with several threads. It depends
    on the number of all cells, not of those still to do, so that a cell that goes on gets as many threads as it had:
    sums of floats depend on them.

    Args:
        cells: of the whole sweep.
        processes: of each job.
        cores: of the machine.
        memory: of the machine, in bytes.
    """
    return max(1, min(cells, cores // processes, memory // (processes * MEMORY_OF_A_PROCESS)))


@dataclass(frozen=True)
class Share:
    """What a job has got.

    Attributes:
        gpus: names for CUDA_VISIBLE_DEVICES, empty on the CPU.
        threads: for each of its processes.
        port: where its processes find each other, None for a single one.
    """

    need: Need
    gpus: tuple[str, ...]
    threads: int
    port: int | None

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which its processes keep to it."""
        variables = {"OMP_NUM_THREADS": str(self.threads)}
        if self.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        if self.port is not None:
            variables["MASTER_PORT"] = str(self.port)
        return variables

    @property
    def label(self) -> str:
        """Say it in a word or two: `GPU 0,1`; `CPU x4` of four threads, `CPU 2x4` of two processes with four each."""
        if self.need.kind == "gpu":
            return f"GPU {','.join(self.gpus)}"
        return f"CPU {self.need.count}x{self.threads}" if self.need.count > 1 else f"CPU x{self.threads}"


class Slots:
    """Devices that are handed out to jobs and taken back.

    Args:
        gpus: of the sweep, by their names for CUDA_VISIBLE_DEVICES.
        cells: number of cells of the whole sweep.
        most: jobs at a time, None where the devices decide.
        cores: of the machine.
        memory: of the machine, in bytes.
    """

    def __init__(self, *, gpus: Sequence[str], cells: int, most: int | None, cores: int, memory: int) -> None:
        self._gpus = list(gpus)
        self._free = list(gpus)
        self._cells = cells
        self._most = most
        self._cores = cores
        self._memory = memory
        self._taken: list[Share] = []

    def take(self, need: Need) -> Share | None:
        """Return a share of the machine, or None where nothing is free for this need now."""
        on_cpu = sum(share.need.kind == "cpu" for share in self._taken)
        if self._most and len(self._taken) >= self._most:
            return None
        if need.kind == "cpu" and on_cpu >= self.at_once(need):
            return None
        wanted = [self._gpus[index] for index in need.positions]
        names = wanted or self._free[: need.count if need.kind == "gpu" else 0]
        if need.kind == "gpu" and (len(names) < need.count or not set(names) <= set(self._free)):
            return None
        self._free = [name for name in self._free if name not in names]
        port = free_port({share.port for share in self._taken}) if need.count > 1 else None
        share = Share(need, tuple(names), max(1, self._cores // (self.at_once(need) * need.count)), port)
        self._taken.append(share)
        return share

    def give(self, share: Share) -> None:
        """Take a share back."""
        self._taken.remove(share)
        self._free = [name for name in self._gpus if name in self._free or name in share.gpus]

    def at_once(self, need: Need) -> int:
        """Return how many jobs of this need run side by side, where there are as many."""
        most = self._most or self._cells
        if need.kind == "gpu":
            return max(1, min(most, len(self._gpus) // need.count))
        if self._most:
            return self._most
        return cpu_jobs(self._cells, processes=need.count, cores=self._cores, memory=self._memory)


def free_port(taken: Collection[int | None], *, ports: Sequence[int] = PORTS) -> int:
    """Return a port of this machine that nobody uses; of those in `taken` none, though nobody listens there yet."""
    for port in random.sample(ports, len(ports)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial, suppress(OSError):
            if port not in taken:
                trial.bind(("127.0.0.1", port))
                return port
    raise Refusal(f"no port between {ports[0]} and {ports[-1]} is free for a job of several processes.")
