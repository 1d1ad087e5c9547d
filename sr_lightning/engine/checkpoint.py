"""A checkpoint alone gives the network back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.callbacks.ema import EMA_KEY
from sr_lightning.engine.build import build_network
from sr_lightning.modules.base import CHECKPOINT_KEY
from sr_lightning.refusal import Refusal


@dataclass(frozen=True)
class Loaded:
    """A network from a checkpoint.

    Attributes:
        network: in evaluation mode, float32, on the CPU.
        name: the model's name.
        scale: HR pixels per LR pixel.
        ema: whether the weights are the averaged ones.
        model: the model's configuration with its `spec`.
        step: optimiser steps of the generator that it has been trained for.
        degradation: name of what made its training LR, None where the checkpoint does not say.
    """

    network: nn.Module
    name: str
    scale: int
    ema: bool
    model: dict[str, Any]
    step: int
    degradation: str | None


@dataclass(frozen=True)
class Resumable:
    """What a run can go on from.

    Attributes:
        path: the checkpoint.
        step: that it stands at.
        damaged: the newer checkpoint that cannot be read, in whose place this one is taken; None of the newest.
    """

    path: Path
    step: int
    damaged: Path | None = None


class NoCheckpoint(Refusal):
    """A file that is not a checkpoint of this project, or is damaged."""


def find_resumable(folder: Path) -> Resumable | None:
    """Return what a run goes on from: `last.ckpt`, or `best.ckpt`, its copy of a validation before, where that broke.

    Args:
        folder: the run's `checkpoints`.

    Returns:
        None where there is no `last.ckpt`.

    Raises:
        Refusal: neither can be read, or the weights do not fit the network.
    """
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    if not last.is_file():
        return None
    try:
        return Resumable(last, load_network(last).step)
    except NoCheckpoint as damage:
        try:
            return Resumable(best, load_network(best).step, damaged=last)
        except Refusal:
            raise Refusal(
                f"resume: {last} is damaged, and there is no whole best.ckpt beside it to go on from; put a copy of it "
                f"there, or delete it: the same command then trains from the beginning."
            ) from damage


def load_network(path: Path) -> Loaded:
    """Rebuild the network of a checkpoint; the averaged weights are taken where there are any.

    Nothing is unpickled but tensors and plain values.

    Raises:
        NoCheckpoint: not a checkpoint of this project, or a damaged one.
        Refusal: no such file, or its weights do not fit its network.
    """
    if not path.is_file():
        raise Refusal(f"checkpoint: expected a file, got {path}, which is not there.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        description = content[CHECKPOINT_KEY]
        state = content.get(EMA_KEY) or _network_state(content["state_dict"])
    except Exception as error:
        raise NoCheckpoint(
            f"checkpoint: {path} is not a checkpoint of sr_lightning (such as runs/.../checkpoints/best.ckpt), or is "
            "damaged."
        ) from error
    network = build_network(description["model"])
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise Refusal(
            f"checkpoint: the weights in {path} do not fit {description['model']['_target_']}: {error}"
        ) from error
    return Loaded(
        network=network.eval(),
        name=description["name"],
        scale=description["scale"],
        ema=bool(content.get(EMA_KEY)),
        model=description["model"],
        step=description["step"],
        degradation=description.get("degradation"),
    )


def _network_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = "network."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
