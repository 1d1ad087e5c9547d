"""`last.ckpt`, `best.ckpt` and `pretrain_end.ckpt`, written atomically and counted in the generator's steps."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from sr_lightning.callbacks.steps import StepCallback, validation_follows
from sr_lightning.modules.base import SuperResolution, super_resolution
from sr_lightning.report.files import replace_durably


class Checkpoints(StepCallback, Checkpoint):
    """Keeps a run's checkpoints.

    Lightning's own `ModelCheckpoint` neither replaces files atomically nor knows phases. Being a `Checkpoint`,
    this callback comes last, when an EMA callback has put the raw weights back.

    Args:
        folder: where the files go.
        every_steps: besides each validation, `last.ckpt` is written after so many steps.
        saved: told the step that a new `last.ckpt` stands at, on the first rank, while the others wait.
    """

    def __init__(self, *, folder: Path, every_steps: int, saved: Callable[[int], None]) -> None:
        super().__init__()
        self.folder = folder
        self.every_steps = every_steps
        self.saved = saved
        self.best: float | None = None
        self.best_step: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what choosing the best goes on from."""
        return {"best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]

    def on_step_end(self, trainer: Trainer, module: SuperResolution) -> None:
        """Save at the end of a first phase, and every so many steps."""
        if module.phase_ends:
            self.save(trainer, "pretrain_end")
        if module.step % self.every_steps == 0 and not validation_follows(trainer, module):
            self.save(trainer, "last")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last, and the best where this is it."""
        module = super_resolution(pl_module)
        best = module.selectable and self._is_best(trainer, module)
        self.save(trainer, "last")
        if best and trainer.is_global_zero:
            _replace(self.folder / "last.ckpt", self.folder / "best.ckpt")

    def save(self, trainer: Trainer, name: str) -> None:
        """Write `<name>.ckpt`; a kill or a loss of power leaves the old file or the new one. All ranks call it."""
        # What the loggers hold back until a validation belongs to this state too: a kill must not part the two.
        for logger in trainer.loggers:
            logger.save()
        target = self.folder / f"{name}.ckpt"
        partial = target.with_suffix(".part")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            replace_durably(partial, target)
            if name == "last":
                self.saved(super_resolution(trainer.lightning_module).step)
        trainer.strategy.barrier()

    def _is_best(self, trainer: Trainer, module: SuperResolution) -> bool:
        if module.monitor is None:
            self.best, self.best_step = None, module.step
            return True
        value = float(trainer.callback_metrics[module.monitor.name])
        better = self.best is None or (value > self.best if module.monitor.larger_is_better else value < self.best)
        # A NaN would stay the best for good: nothing is better than it.
        better = better and math.isfinite(value)
        if better:
            self.best, self.best_step = value, module.step
        return better


def _replace(source: Path, target: Path) -> None:
    partial = target.with_suffix(".part")
    shutil.copyfile(source, partial)
    replace_durably(partial, target)
