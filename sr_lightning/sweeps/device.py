"""The device that a job of this machine gets, by the name that results give it, found without torch."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sr_lightning.sweeps.machine import cores, memory, visible_gpus
from sr_lightning.sweeps.slots import Slots, chosen_gpus, need_of


@dataclass(frozen=True)
class Device:
    """What a job runs on.

    Attributes:
        name: as `results.json` has it, a GPU's or `cpu (8 cores)`.
        threads: of each process on the CPU; None for a GPU, where they matter little.
        gpu: its name for CUDA_VISIBLE_DEVICES, None for the CPU.
    """

    name: str
    threads: int | None
    gpu: str | None = None

    @property
    def key(self) -> str:
        """By which its measurements are kept."""
        return self.name if self.threads is None else f"{self.name}, {self.threads} threads"


@dataclass(frozen=True)
class Place:
    """Where the jobs of a sweep run: the device of each, and how many side by side."""

    device: Device
    at_once: int


def place_of(launcher: str, settings: Mapping[str, Any], *, trainer: Mapping[str, Any], cells: int) -> Place | None:
    """Return where the jobs of a sweep run, None where a launcher sends them to other machines.

    Args:
        launcher: the choice of `hydra/launcher`.
        settings: `hydra.launcher`.
        trainer: of a cell.
        cells: their number.

    Raises:
        Refusal: a cell asks for more devices than there are.
    """
    if launcher not in ("pool", "basic"):
        return None
    # Hydra's own launcher trains one cell after the other in its process.
    most = settings.get("jobs") if launcher == "pool" else 1
    gpus = chosen_gpus(visible_gpus(os.environ), settings.get("gpus"))
    need = need_of(trainer, gpus=gpus)
    slots = Slots(gpus=gpus, cells=cells, most=most, cores=cores(), memory=memory())
    share = slots.take(need)
    assert share is not None, "nothing was taken before"
    if need.kind == "gpu":
        device = Device(_gpu_name(share.gpus[0]), None, share.gpus[0])
    else:
        # OpenMP takes a number for each level of nesting ("4,2"), and ignores what is none.
        told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
        device = Device(f"cpu ({os.cpu_count()} cores)", int(told) if told.isdecimal() else share.threads)
    return Place(device, min(cells, slots.at_once(need)))


def _gpu_name(gpu: str) -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", f"--id={gpu}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return "GPU"
    return done.stdout.strip()
