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


def load_network(path: Path) -> Loaded:
    """Rebuild the network of a checkpoint; the averaged weights are taken where there are any.

    Nothing is unpickled but tensors and plain values.

    Raises:
        Refusal: no such file, or not a checkpoint of this project.
    """
    if not path.is_file():
        raise Refusal(f"checkpoint: expected a file, got {path}, which is not there.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        description = content[CHECKPOINT_KEY]
        state = content.get(EMA_KEY) or _network_state(content["state_dict"])
    except Exception as error:
        raise Refusal(
            f"checkpoint: {path} is not a checkpoint of sr_lightning (such as runs/.../checkpoints/best.ckpt)."
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
