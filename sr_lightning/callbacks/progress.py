"""What a person sees while a run goes on: a bar with loss, PSNR and ETA, or a line per validation in a pipe.

Whoever watches from outside, as the table of a sweep does, reads `progress.json`.
"""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import rich
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from sr_lightning.modules.base import SuperResolution, super_resolution
from sr_lightning.report.progress import write_progress

# Seconds between two `progress.json` of a run that is not validating.
INTERVAL = 1.0
# Seconds until a line with the ETA is printed in a pipe, should no validation come before.
FIRST_LINE = 10.0


class Progress(Callback):
    """A bar on a terminal; everywhere a line at each validation, and `progress.json` once a second.

    In a pipe one more line, after ten seconds, says how long it will take.

    Args:
        run_dir: the run's folder.
        bicubic: PSNR and SSIM that bicubic has on the validation images, for comparison.
        refresh: updates of the bar per second; each reads the loss, which waits for the device.
    """

    def __init__(self, *, run_dir: Path, bicubic: dict[str, float], refresh: float) -> None:
        self.run_dir = run_dir
        self.bicubic = bicubic
        self.refresh = refresh
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._shown = 0.0
        self._started = 0.0
        self._first_step = 0
        self._told = False
        self._psnr: float | None = None
        self._written = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the bar."""
        module = super_resolution(pl_module)
        self._started, self._first_step = time.monotonic(), module.step
        if trainer.is_global_zero:
            self._write(module)
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
        if trainer.is_global_zero and now - self._written >= INTERVAL:
            self._write(super_resolution(pl_module))
        if self._bar is None:
            if trainer.is_global_zero and not self._told and now - self._started >= FIRST_LINE:
                self._tell(super_resolution(pl_module), "")
            return
        if now - self._shown < 1 / self.refresh:
            return
        self._shown = now
        self._update(super_resolution(pl_module))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of this validation."""
        if not trainer.is_global_zero:
            return
        module = super_resolution(pl_module)
        self._psnr = psnr = float(trainer.callback_metrics["val/psnr"])
        self._write(module)
        self._tell(module, f"val PSNR {psnr:.2f} dB ({psnr - self.bicubic['psnr']:+.2f} on bicubic)  ")
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

    def _tell(self, module: SuperResolution, scores: str) -> None:
        self._told = True
        loss = "" if module.last_loss is None else f"loss {float(module.last_loss):.4g}  "
        line = f"step {module.step}/{module.max_steps}  {scores}{loss}{self._pace(module)}"
        rich.get_console().print(line, highlight=False, soft_wrap=True)

    def _update(self, module: SuperResolution) -> None:
        assert self._bar is not None
        assert self._task is not None
        loss = "" if module.last_loss is None else f"loss {float(module.last_loss):.4g}  "
        psnr = "" if self._psnr is None else f"val {self._psnr:.2f} dB  "
        self._bar.update(self._task, completed=module.step, text=f"{loss}{psnr}{self._pace(module)}")
        self._bar.refresh()

    def _write(self, module: SuperResolution) -> None:
        self._written = time.monotonic()
        write_progress(
            self.run_dir,
            state="training",
            step=module.step,
            max_steps=module.max_steps,
            psnr=self._psnr,
            bicubic_psnr=self.bicubic["psnr"],
            steps_per_second=self._steps_per_second(module),
        )

    def _pace(self, module: SuperResolution) -> str:
        rate = self._steps_per_second(module)
        if rate is None:
            return ""
        return f"{rate:.1f} steps/s  ETA {timedelta(seconds=round((module.max_steps - module.step) / rate))}"

    def _steps_per_second(self, module: SuperResolution) -> float | None:
        done, elapsed = module.step - self._first_step, time.monotonic() - self._started
        return done / elapsed if done and elapsed else None
