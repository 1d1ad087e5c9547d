"""Beginning and ending a run by the generator's steps, and leaving it in good order on a signal."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sr_lightning.callbacks.checkpoints import Checkpoints


class Interrupted(Exception):  # noqa: N818 - it is no error
    """SIGINT or SIGTERM came, and the run has been saved.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.signal = signal_number


class Steps(Callback):
    """Validates at the very last step too, and turns a signal into a saved checkpoint and `Interrupted`.

    Lightning leaves on SIGTERM without a checkpoint and, on Ctrl-C, calls `sys.exit` itself.

    Args:
        max_steps: optimiser steps of the generator.
        checkpoints: saves the run when it is interrupted.
    """

    def __init__(self, *, max_steps: int, checkpoints: Checkpoints) -> None:
        self.max_steps = max_steps
        self.checkpoints = checkpoints
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals; Lightning has set its own handlers just before."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handler())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for the last validation when all steps are done; leave when a signal has come."""
        if trainer.global_step >= self.max_steps:
            # Lightning validates when it is told to stop, whatever the interval.
            trainer.should_stop = True
        # Every rank must leave at the same step, or the others wait for it for ever.
        if trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False):
            number = self._signal or signal.SIGTERM
            self.checkpoints.save(trainer, "last")
            raise Interrupted(number)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _handler(self) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            if self._signal is not None:
                # Asked twice: do not wait for the step.
                raise Interrupted(number)
            self._signal = number

        return handle

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
