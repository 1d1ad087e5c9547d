"""An exponential moving average of the generator's weights."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from sr_lightning.callbacks.steps import StepCallback
from sr_lightning.modules.base import SuperResolution, super_resolution
from sr_lightning.weights.own import EMA_KEY


class GeneratorEMA(StepCallback):
    """Averages the generator, buffers included, after each of its optimiser steps; validation uses the average.

    Lightning's `EMAWeightAveraging` averages the whole module, discriminator and loss network too, and counts every
    optimiser's steps. Here both raw and averaged weights are in the checkpoint, so that a resumed run is exact.

    Args:
        decay: share of the old average that stays at each step, in [0, 1). The first keep less, (1 + n) / (10 + n)
            after n (as TensorFlow's moving averages do), or a short run would end with random weights in it.

    Raises:
        ValueError: where the decay is outside [0, 1).
    """

    def __init__(self, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"callbacks.ema.decay: expected a number in [0, 1), got {decay}.")
        self.decay = decay
        self.updates = 0
        self.average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with a copy of the weights, or go on with a resumed average on the device of the run."""
        state = _network_state(pl_module)
        source = self.average or state
        self.average = {name: source[name].detach().clone().to(value.device) for name, value in state.items()}
        # Some losses compare with what the average makes of LR.
        super_resolution(pl_module).averaged = self.average

    @torch.no_grad()
    def on_step_end(self, trainer: Trainer, module: SuperResolution) -> None:
        """Average."""
        state = _network_state(module)
        floats = [name for name, value in state.items() if value.is_floating_point()]
        kept = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_([self.average[name] for name in floats], [state[name] for name in floats], 1 - kept)
        for name in state.keys() - set(floats):
            self.average[name].copy_(state[name])

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in the network's place."""
        state = _network_state(pl_module)
        self._raw = {name: value.clone() for name, value in state.items()}
        _copy_into(state, self.average)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the raw weights back."""
        _copy_into(_network_state(pl_module), self._raw)
        self._raw = {}

    def state_dict(self) -> dict[str, Any]:
        """Return how many steps the average has seen."""
        return {"updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.updates = state_dict["updates"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the average beside the raw weights."""
        checkpoint[EMA_KEY] = self.average

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the average back, where there is one."""
        self.average = dict(checkpoint.get(EMA_KEY, {}))


def _network_state(module: LightningModule) -> dict[str, Tensor]:
    return dict(super_resolution(module).network.state_dict())


@torch.no_grad()
def _copy_into(target: dict[str, Tensor], source: dict[str, Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])
