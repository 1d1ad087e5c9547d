"""What a callback needs to count in optimiser steps of the generator."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sr_lightning.modules.base import SuperResolution, super_resolution


class StepCallback(Callback):
    """A callback with `on_step_end`, called once for each optimiser step of the generator.

    Lightning's `on_train_batch_end` comes after each micro-batch, and several of those may make one step.
    """

    _seen_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the step that the run goes on from as seen."""
        self._seen_step = super_resolution(pl_module).step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell a step's end from a micro-batch's."""
        module = super_resolution(pl_module)
        if module.step != self._seen_step:
            self._seen_step = module.step
            self.on_step_end(trainer, module)

    def on_step_end(self, trainer: Trainer, module: SuperResolution) -> None:
        """Do what belongs to the end of a step; a validation may follow, see `validation_follows`."""


def validation_follows(trainer: Trainer, module: SuperResolution) -> bool:
    """Return whether Lightning validates right after the step just done.

    A checkpoint written between the two would, on resume, leave that validation out: whoever saves or stops waits
    for its end.
    """
    batches = module.step * module.accumulate
    return module.step >= module.max_steps or batches % int(trainer.val_check_interval or 1) == 0
