"""Ending a run: at its last step with a validation, on a signal with a checkpoint."""

import signal
from collections.abc import Callable
from types import FrameType

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from sr_lightning.callbacks.checkpoints import Checkpoints
from sr_lightning.callbacks.steps import StepCallback, validation_follows
from sr_lightning.modules.base import SuperResolution


class Interrupted(Exception):  # noqa: N818 - it is no error
    """SIGINT or SIGTERM came.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.signal = signal_number


class Stopping(StepCallback, Checkpoint):
    """Validates at the very last step too, and turns a signal into a saved checkpoint and `Interrupted`.

    Lightning leaves on SIGTERM without a checkpoint and, on Ctrl-C, calls `sys.exit` itself. A second signal does not
    wait for the end of the step. Being a `Checkpoint`, and given after `Checkpoints`, it comes last of all callbacks,
    so that the others have done their part of the step.

    Args:
        checkpoints: saves the run.
    """

    def __init__(self, *, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._signal: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals; Lightning has set its own handlers just before, and puts the former ones back itself."""
        super().on_train_start(trainer, pl_module)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handler())

    def on_step_end(self, trainer: Trainer, module: SuperResolution) -> None:
        """Ask for the last validation when all steps are done; leave when a signal has come."""
        if module.step >= module.max_steps:
            # Lightning validates when it is told to stop, whatever the interval.
            trainer.should_stop = True
        if not validation_follows(trainer, module) and self._signalled(trainer):
            self.checkpoints.save(trainer, "last")
            raise Interrupted(self._signal or signal.SIGTERM)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave when a signal has come; `Checkpoints` has just saved."""
        if self._signalled(trainer):
            raise Interrupted(self._signal or signal.SIGTERM)

    def _signalled(self, trainer: Trainer) -> bool:
        # Every rank must leave at the same step, or the others wait for it for ever.
        return trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)

    def _handler(self) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            if self._signal is not None:
                raise Interrupted(number)
            self._signal = number

        return handle
