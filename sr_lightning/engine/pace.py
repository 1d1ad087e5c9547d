"""How fast the loader, the work on a batch before training and the step are, each alone; what memory a step takes."""

import copy
import gc
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from torch.utils.data import DataLoader, IterableDataset

from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.engine.build import build_module, build_network
from sr_lightning.engine.fit import averaging, build_trainer, silenced

_SECONDS = 1.0
_STEP_SECONDS = 8.0
# Steps that warm up before the clock starts: kernels are chosen, memory is taken.
_WARM = 2
# Steps of a training that time ends.
_ENDLESS = 10**9


@dataclass(frozen=True)
class Pace:
    """What was measured on this machine.

    Attributes:
        loader: samples per second that come out of the loader.
        preparing: samples per second that are moved to the device, turned, degraded and augmented there.
        step: samples per second that training takes, with the batch at hand; of a GAN over both of its phases.
        memory: bytes at the peak: of the device, or of this process where it trains on the CPU.
    """

    loader: float
    preparing: float
    step: float
    memory: int


def phases_of(config: dict[str, Any]) -> list[tuple[dict[str, Any], float]]:
    """Return the settings of the module in each phase of a training, and the phase's share of the steps."""
    module, steps = config["module"], config["trainer"]["max_steps"]
    if "pretrain_steps" not in module:
        return [(module, 1.0)]
    share = min(1.0, module["pretrain_steps"] / steps)
    adversarial = {**module["adversarial"], "start": 0, "ramp": 0}
    phases = [({**module, "pretrain_steps": steps}, share)]
    phases += [({**module, "pretrain_steps": 0, "adversarial": adversarial}, 1 - share)]
    return [(settings, part) for settings, part in phases if part]


def at_once(config: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration in which all terms of the loss count from the first step on."""
    config = copy.deepcopy(config)
    for terms in (config["loss"], config["module"].get("pretrain_loss") or {}):
        for term in terms.values():
            term.update(start=0, ramp=0)
    return config


def measure_pace(
    config: dict[str, Any],
    *,
    phases: list[tuple[dict[str, Any], float]],
    datamodule: SRDataModule,
    accelerator: str,
    precision: str,
) -> Pace:
    """Time the loader and the preparation for a second each and the step of each phase for eight, on one device.

    Args:
        config: the resolved configuration.
        phases: the module's settings, and their share of the steps.
        datamodule: set up.
        accelerator: resolved.
        precision: resolved.
    """
    device = torch.device(accelerator)
    micro_batch = config["data"]["batch_size"] // config["module"]["accumulate"]
    batches = iter(datamodule.train_dataloader())
    loaded, loader = _time(lambda: next(batches), device=device)

    def prepare() -> Any:
        # A batch is moved anew each time, since what is on the device already is not.
        moved = datamodule.transfer_batch_to_device(dict(loaded), device, 0)
        return datamodule.on_after_batch_transfer(moved, 0)

    batch, preparing = _time(prepare, device=device)
    # Seconds of a mean step are what adds up, not steps of a second.
    seconds = sum(
        share
        / _rate({**config, "module": module}, batch=batch, device=device, accelerator=accelerator, precision=precision)
        for module, share in phases
    )
    return Pace(
        loader=loader * micro_batch,
        preparing=preparing * micro_batch,
        step=micro_batch / seconds,
        memory=_peak_memory(device),
    )


def _rate(
    config: dict[str, Any], *, batch: dict[str, Any], device: torch.device, accelerator: str, precision: str
) -> float:
    """Return how many batches a second a new module is trained with, all terms of whose loss count at once."""
    steps = {**config["trainer"], "devices": 1, "num_nodes": 1, "strategy": "auto", "max_steps": _ENDLESS}
    config = at_once({**config, "trainer": steps})
    if config["module"].get("pretrain_steps"):
        config["module"]["pretrain_steps"] = _ENDLESS
    module = build_module(config, network=build_network(config["model"]), precision=precision)
    stopwatch = _Stopwatch(device)
    trainer = build_trainer(
        config,
        module=module,
        accelerator=accelerator,
        precision=precision,
        callbacks=[*averaging(config), stopwatch],
        logger=False,
        enable_checkpointing=False,
        limit_val_batches=0,
    )
    with silenced():
        trainer.fit(module, train_dataloaders=DataLoader(RepeatedBatch(batch), batch_size=None))
    # The next phase finds the device as this one did.
    del module, trainer
    gc.collect()
    return stopwatch.rate


def _time(work: Callable[[], Any], *, device: torch.device) -> tuple[Any, float]:
    """Return what the work gave last, and how often a second it is done."""
    result = work()
    wait(device)
    started, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < _SECONDS or not done:
        result = work()
        wait(device)
        done += 1
    return result, done / elapsed


class RepeatedBatch(IterableDataset[dict[str, Any]]):
    """One batch, without end; whoever replaces it gets the other from the next on."""

    def __init__(self, batch: dict[str, Any]) -> None:
        self.batch = batch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            yield self.batch


class _Stopwatch(Callback):
    """Ends training after some seconds; `rate` is batches per second after the first few."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rate = 0.0
        self._done = 0
        self._started = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self._done += 1
        if self._done <= _WARM:
            wait(self.device)
            self._started = time.perf_counter()
            return
        wait(self.device)
        elapsed = time.perf_counter() - self._started
        self.rate = (self._done - _WARM) / elapsed
        if elapsed > _STEP_SECONDS:
            trainer.should_stop = True


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    # Linux counts kilobytes, macOS bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
