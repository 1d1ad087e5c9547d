"""A checkpoint alone gives the network back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from sr_lightning.engine.build import build_network
from sr_lightning.refusal import Refusal
from sr_lightning.weights.files import check_there
from sr_lightning.weights.match import match
from sr_lightning.weights.read import read_weights


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
        description: all that the file says of the network, in plain values.
    """

    network: nn.Module
    name: str
    scale: int
    ema: bool
    model: dict[str, Any]
    step: int
    degradation: str | None
    description: Mapping[str, Any]


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
    """Rebuild the network of a checkpoint, or of a file that `export` wrote.

    The averaged weights are taken where there are any. Nothing is unpickled but tensors and plain values.

    Raises:
        NoCheckpoint: not a checkpoint of this project, or a damaged one.
        Refusal: no such file, or its weights do not fit its network.
    """
    check_there(path, key="checkpoint")
    try:
        file = read_weights(path, key="checkpoint")
    except Refusal as error:
        raise NoCheckpoint(str(error)) from error
    description = file.description
    if description is None:
        raise NoCheckpoint(
            f"checkpoint: {path} is not a checkpoint of sr_lightning (such as runs/.../checkpoints/best.ckpt); weights "
            "of other programs go by model=NAME model.pretrained=PATH scale=N (evaluate.py, upscale.py, train.py), in "
            "Python by sr_lightning.load(PATH, model=NAME, scale=N)."
        )
    if not isinstance(description.get("step"), int):
        raise NoCheckpoint(
            f"checkpoint: {path} does not say how many steps its network was trained for, as checkpoints of "
            "sr_lightning do; model=NAME model.pretrained=PATH scale=N takes its weights all the same."
        )
    network = build_network(description["model"])
    found = match(network, file)
    if found is None or not found.complete:
        raise Refusal(f"checkpoint: the weights in {path} do not fit {description['model']['_target_']}.")
    network.load_state_dict(found.fitting, strict=False)
    return Loaded(
        network=network.eval(),
        name=description["name"],
        scale=description["scale"],
        ema=found.averaged,
        model=description["model"],
        step=description["step"],
        degradation=description.get("degradation"),
        description=description,
    )
