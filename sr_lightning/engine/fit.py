"""The trainer of a run."""

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger

from sr_lightning.callbacks.checkpoints import Checkpoints
from sr_lightning.callbacks.stopping import Stopping
from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.engine.build import build_callback
from sr_lightning.engine.checkpoint import Resumable
from sr_lightning.engine.devices import resolve_strategy
from sr_lightning.engine.worker import end_workers, relaunched_with
from sr_lightning.modules.base import SuperResolution
from sr_lightning.report.results import Results


def fit(
    config: dict[str, Any],
    *,
    module: SuperResolution,
    datamodule: SRDataModule,
    accelerator: str,
    precision: str,
    loggers: list[Logger],
    available: dict[str, Any],
    run_dir: Path,
    begun: Resumable | None,
    results: Results,
) -> None:
    """Train until `trainer.max_steps`; with each `last.ckpt`, and however that ends, note how far it came.

    Args:
        config: the resolved configuration.
        module: what is trained.
        datamodule: the images, set up.
        accelerator: resolved, `cpu` or `cuda`.
        precision: Lightning's name of it.
        loggers: take the metrics.
        available: what callbacks may ask for in their constructors.
        run_dir: the run's folder.
        begun: what to go on from; None for a new run.
        results: `results.json`.
    """
    batch_size, step = config["data"]["batch_size"], begun.step if begun else 0
    module.step_pixels = batch_size * datamodule.hr_pixels
    effort = Effort(
        step=step, seconds=results.content["seconds"], step_samples=batch_size, step_pixels=module.step_pixels
    )

    def noted(reached: int) -> dict[str, Any]:
        assert isinstance(checkpoints, Checkpoints)
        return {**effort.until(reached), "best_step": checkpoints.best_step}

    checkpoints = build_callback(
        config["callbacks"]["checkpoints"],
        name="checkpoints",
        available={"folder": run_dir / "checkpoints", "saved": lambda reached: results.update(**noted(reached))},
    )
    assert isinstance(checkpoints, Checkpoints)
    trainer = build_trainer(
        config,
        module=module,
        accelerator=accelerator,
        precision=precision,
        callbacks=[*_callbacks(config, available), checkpoints, Stopping(checkpoints=checkpoints)],
        logger=loggers,
        default_root_dir=run_dir,
    )
    try:
        with relaunched_with(run_dir), silenced():
            path = begun.path if begun and step else None
            trainer.fit(module, datamodule=datamodule, ckpt_path=path, weights_only=True)
    finally:
        # After an error Lightning tears down the loop that was running: in a validation the training loader's
        # processes would stay.
        trainer.fit_loop.teardown()
        end_workers(trainer)
        # Written with the run's next status: another process may have put its failure there by now. Where it failed
        # early on, the module has not got its steps back yet.
        results.content.update(noted(max(step, module.step)))


class Effort:
    """What a run has cost up to a step; the clock of this part runs from here.

    A run that was killed goes on from `last.ckpt` and from what was noted with it, so that the time of the lost steps
    is not counted, nor any step twice.

    Args:
        step: what this part of the run begins at.
        seconds: what earlier parts took.
        step_samples: samples of one step.
        step_pixels: their HR pixels.
    """

    def __init__(self, *, step: int, seconds: float, step_samples: int, step_pixels: float) -> None:
        self.step = step
        self.seconds = seconds
        self.step_samples = step_samples
        self.step_pixels = step_pixels
        self._started = time.monotonic()

    def until(self, step: int) -> dict[str, float | None]:
        """Return the keys of `results.json` at a step just reached."""
        elapsed = time.monotonic() - self._started
        done = (step - self.step) * self.step_samples
        return {
            "steps": step,
            "hr_pixels": round(step * self.step_pixels),
            "seconds": round(self.seconds + elapsed, 3),
            "samples_per_second": round(done / elapsed, 3) if done else None,
        }


def build_trainer(
    config: dict[str, Any],
    *,
    module: SuperResolution,
    accelerator: str,
    precision: str,
    **settings_of_this_use: Any,
) -> pl.Trainer:
    """Return the trainer of a resolved configuration; what it is used for (callbacks, ...) is handed through."""
    settings = config["trainer"]
    manual = not module.automatic_optimization
    return pl.Trainer(
        accelerator=accelerator,
        devices=settings["devices"],
        num_nodes=settings["num_nodes"],
        strategy=resolve_strategy(
            settings["strategy"],
            devices=settings["devices"],
            num_nodes=settings["num_nodes"],
            partial=manual or len(config["data"]["scales"] or ()) > 1,
        ),
        precision=precision,  # type: ignore[arg-type]
        max_steps=settings["max_steps"],
        max_epochs=-1,
        # Lightning counts batches here, and stands on steps only without accumulation.
        val_check_interval=settings["val_every_steps"] * module.accumulate,
        check_val_every_n_epoch=None,
        accumulate_grad_batches=1 if manual else module.accumulate,
        gradient_clip_val=settings["gradient_clip_val"],
        deterministic=settings["deterministic"],
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        # Lightning's sampler repeats images to fill ranks, which makes a mean wrong.
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings_of_this_use,
    )


def _callbacks(config: dict[str, Any], available: dict[str, Any]) -> list[Callback]:
    # An EMA callback puts its weights in the network's place for validation: it goes before all that look at it.
    named = sorted(
        (item for item in config["callbacks"].items() if item[0] != "checkpoints"), key=lambda item: item[0] != "ema"
    )
    return [build_callback(node, name=name, available=available) for name, node in named]


def averaging(config: dict[str, Any]) -> list[Callback]:
    """Return the callback that keeps an average, where one is configured: a loss may need it to take any step."""
    node = config["callbacks"].get("ema")
    return [build_callback(node, name="ema", available={})] if node else []


def quieten_lightning() -> None:
    """Leave out what Lightning tells of devices and of its makers' other products."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def silenced() -> Iterator[None]:
    """Hush advice that does not apply here."""
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",  # patches come from a memory map: workers cost more than they give
            ".*`IterableDataset` has `__len__` defined.*",
            ".*Checkpoint directory.*exists and is not empty.*",
            ".*find_unused_parameters=True was specified.*",
            ".*was not set to a distributed sampler.*",
            ".*but have no `val_dataloader`.*",  # of a run that is only timed
            ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
        ):
            warnings.filterwarnings("ignore", message)
        yield
