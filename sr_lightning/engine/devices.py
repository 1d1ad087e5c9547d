"""What a run trains on: the accelerator, its name for people, and how several devices work together."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from sr_lightning.sweeps.trainer_devices import read_devices


def resolve_accelerator(name: str) -> str:
    """Return `cpu` or `cuda` for Lightning's `auto` and `gpu`.

    Apple's MPS is not among them yet: validation scores in float64, which it does not have.
    """
    if name not in ("auto", "gpu"):
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(accelerator: str) -> str:
    """Return the device in words, as `results.json` reports it."""
    if accelerator == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu ({os.cpu_count()} cores)" if accelerator == "cpu" else accelerator


def number_of_processes(trainer: Mapping[str, Any]) -> int | None:
    """Return how many processes train, None where the machine decides (`trainer.devices=auto`, -1)."""
    count = read_devices(trainer["devices"]).count
    return None if count is None else count * int(trainer["num_nodes"])


def resolve_strategy(name: str, *, devices: Any, num_nodes: int, partial: bool) -> str:
    """Return Lightning's name of the strategy: `auto` is `ddp` where there is more than one device.

    Args:
        name: `trainer.strategy`.
        devices: `trainer.devices`.
        num_nodes: machines.
        partial: whether some parameters have no part in a backward pass: of the two networks of a GAN one, and of a
            network for several scales what belongs to the others.
    """
    several = read_devices(devices).count != 1 or num_nodes > 1
    if name == "auto" and several:
        name = "ddp"
    return "ddp_find_unused_parameters_true" if partial and name == "ddp" else name
