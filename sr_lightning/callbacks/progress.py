"""What a person sees while a run goes on: a bar with loss, PSNR and ETA, or a line per validation in a pipe."""

import time
from datetime import timedelta
from typing import Any

import rich
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from sr_lightning.modules.base import SuperResolution, super_resolution


class Progress(Callback):
    """A bar on a terminal; everywhere a line at each validation.

    Args:
        bicubic: PSNR and SSIM that bicubic has on the validation images, for comparison.
        refresh: updates of the bar per second; each reads the loss, which waits for the device.
    """

    def __init__(self, *, bicubic: dict[str, float], refresh: float) -> None:
        self.bicubic = bicubic
        self.refresh = refresh
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._shown = 0.0
        self._started = 0.0
        self._first_step = 0
        self._psnr = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the bar."""
        module = super_resolution(pl_module)
        self._started, self._first_step = time.monotonic(), module.step
        if not trainer.is_global_zero or not rich.get_console().is_terminal:
            return
        self._bar = Bar(
            TextColumn("[bold]training"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            console=rich.get_console(),
            auto_refresh=False,
            expand=True,
        )
        self._task = self._bar.add_task("training", total=module.max_steps, completed=module.step, text="")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, a few times a second."""
        now = time.monotonic()
        if self._bar is None or now - self._shown < 1 / self.refresh:
            return
        self._shown = now
        self._update(super_resolution(pl_module))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of this validation."""
        if not trainer.is_global_zero:
            return
        module = super_resolution(pl_module)
        psnr = float(trainer.callback_metrics["val/psnr"])
        self._psnr = f"{psnr:.2f} dB"
        loss = "" if module.last_loss is None else f"  loss {float(module.last_loss):.4g}"
        line = (
            f"step {module.step}/{module.max_steps}  val PSNR {psnr:.2f} dB "
            f"({psnr - self.bicubic['psnr']:+.2f} on bicubic){loss}  {self._pace(module)}"
        )
        rich.get_console().print(line, highlight=False, soft_wrap=True)
        if self._bar is not None:
            self._update(module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the bar."""
        self._stop(super_resolution(pl_module))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the bar, so that the message stands below it."""
        self._stop(super_resolution(pl_module))

    def _stop(self, module: SuperResolution) -> None:
        if self._bar is not None:
            self._update(module)
            self._bar.stop()
            self._bar = None

    def _update(self, module: SuperResolution) -> None:
        assert self._bar is not None
        assert self._task is not None
        loss = "" if module.last_loss is None else f"loss {float(module.last_loss):.4g}  "
        psnr = f"val {self._psnr}  " if self._psnr else ""
        self._bar.update(self._task, completed=module.step, text=f"{loss}{psnr}{self._pace(module)}")
        self._bar.refresh()

    def _pace(self, module: SuperResolution) -> str:
        done = module.step - self._first_step
        elapsed = time.monotonic() - self._started
        if not done or not elapsed:
            return ""
        left = timedelta(seconds=round((module.max_steps - module.step) * elapsed / done))
        return f"{done / elapsed:.1f} steps/s  ETA {left}"
