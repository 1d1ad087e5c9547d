"""How long a training step and the scoring of an image take, on random pixels; a process of its own for `sweeps`.

`python -m sr_lightning.engine.estimate ASKED ANSWER` reads and writes JSON:
`{"begun": unix time, "budget": seconds, "kinds": {name: configuration}}` and
`{"starting": seconds, "kinds": {name: {"step": seconds, "pixel": seconds}}, "impossible": {name: reason}}`.
"""

import json
import statistics
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from sr_lightning.data.sets import image_channels
from sr_lightning.engine.build import build_degradation, build_module, build_network
from sr_lightning.engine.devices import number_of_processes, resolve_accelerator
from sr_lightning.engine.fit import averaging, build_trainer, quieten_lightning, silenced
from sr_lightning.engine.pace import RepeatedBatch, at_once, phases_of, wait
from sr_lightning.engine.precision import resolve_precision
from sr_lightning.modules.base import SuperResolution
from sr_lightning.networks.luma import Network
from sr_lightning.networks.multiply_adds import OUTPUT, multiply_adds
from sr_lightning.report.files import write_json

Config = dict[str, Any]

# Seconds of timed steps, for each phase of a training.
SECONDS = 1.0
# Samples of the first batches, by which the time of a whole one is foreseen.
FEW = 2
# Side of the scored image in HR pixels, divisible by all scales.
SIDES = {"cpu": 240, "cuda": 720}


def impossible_kinds(kinds: Mapping[str, Config]) -> dict[str, str]:
    """Return why the network of a kind cannot be built or run, by name; kinds whose network can be are absent.

    Tensors without values tell of sound networks in no time; what fails there may need values, and is tried with them.

    Args:
        kinds: resolved configurations by name.
    """
    found = {}
    for name, config in kinds.items():
        device = resolve_accelerator(config["trainer"]["accelerator"])
        if _why_not(config, "meta") and (reason := _why_not(config, device)):
            found[name] = f"model={config['names']['model']} cannot be built: {reason}"
    return found


def _why_not(config: Config, device: str) -> str | None:
    """Return what a network says against being built and given an LR patch, None where that goes well."""
    try:
        with torch.device("meta") if device == "meta" else nullcontext():
            network = build_network(config["model"])
        side = _lr_patch(config)
        lr = torch.zeros(1, int(cast(Network, network).channels), side, side, device=device)
        with torch.no_grad():
            network.eval().to(device)(lr)
    except Exception as error:  # whatever somebody's network raises
        return " ".join(str(error).split()) or type(error).__name__
    return None


def measure_kinds(kinds: Mapping[str, Config], *, budget: float) -> dict[str, dict[str, float]]:
    """Time each kind of run, as long as there is time; the others are reckoned from those by their multiply-adds.

    Kinds that cannot be built or run are left out: the run itself will say why.

    Args:
        kinds: resolved configurations by name.
        budget: seconds.

    Returns:
        Seconds of a `step`, and to score a `pixel` of HR, by name.
    """
    started = time.monotonic()
    timed: dict[str, dict[str, float]] = {}
    late: dict[str, Config] = {}
    for name, config in kinds.items():
        if time.monotonic() - started > budget:
            late[name] = config
            continue
        # Whatever somebody's network or loss raises.
        with suppress(Exception):
            timed[name] = measure(config)
    works = {name: _work(kinds[name]) for name in (timed if late else ())}
    return timed | {name: found for name, config in late.items() if (found := _reckoned(_work(config), timed, works))}


def measure(config: Config) -> dict[str, float]:
    """Time a step and the scoring of an image on one device.

    Not compiled, which would take minutes; perceptual features are random, which takes the same time; all terms of the
    loss count from the first step on.
    """
    config = at_once(config) | {"compile": False}
    for terms in (config["loss"], config["module"].get("pretrain_loss") or {}):
        for term in terms.values():
            term.update({"weights": "random"} if "weights" in term else {})
    phases = phases_of(config)
    steps = [(_time_step({**config, "module": module}), share) for module, share in phases]
    return {"step": sum(seconds * share for seconds, share in steps), "pixel": _time_pixel(config)}


def _time_step(config: Config) -> float:
    data, accumulate = config["data"], config["module"]["accumulate"]
    parts = accumulate * (number_of_processes(config["trainer"]) or 1)
    module, trainer_of = _built({**config, "module": {**config["module"], "accumulate": 1}})
    whole = _batch(config, data["batch_size"] // parts)
    batches = RepeatedBatch({key: value[:FEW] if isinstance(value, Tensor) else value for key, value in whole.items()})
    stopwatch = _Stopwatch(batches, whole)
    with silenced():
        trainer_of([*averaging(config), stopwatch]).fit(module, train_dataloaders=DataLoader(batches, batch_size=None))
    return float(stopwatch.seconds + _time_degradation(config, len(whole["hr"]))) * int(accumulate)


def _time_pixel(config: Config) -> float:
    module, trainer_of = _built(config)
    scale, channels = int(config["scale"]), image_channels(config["model"])
    side = SIDES[resolve_accelerator(config["trainer"]["accelerator"])] // scale
    pair = {"lr": (1, channels, side, side), "hr": (1, channels, side * scale, side * scale)}
    image = {key: torch.randint(0, 256, shape, dtype=torch.uint8) for key, shape in pair.items()}
    clock = _Clock()
    with silenced():
        trainer_of([clock]).validate(module, DataLoader(RepeatedBatch(image), batch_size=None), verbose=False)
    return clock.times[-1] / (side * scale) ** 2


def _built(config: Config) -> tuple[SuperResolution, Any]:
    """Return the module, and what makes a trainer of one process from callbacks."""
    accelerator = resolve_accelerator(config["trainer"]["accelerator"])
    precision = resolve_precision(config["trainer"]["precision"], accelerator)
    module = build_module(config, network=build_network(config["model"]), precision=precision)
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto"}

    def trainer_of(callbacks: list[Callback]) -> pl.Trainer:
        return build_trainer(
            {**config, "trainer": {**config["trainer"], **alone}},
            module=module,
            accelerator=accelerator,
            precision=precision,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            limit_val_batches=2,
        )

    return module, trainer_of


def _batch(config: Config, samples: int) -> dict[str, Any]:
    """Return a batch of random patches as a module sees it."""
    data, scale, channels = config["data"], int(config["scale"]), image_channels(config["model"])
    side = _lr_patch(config)
    lr = torch.rand(samples, channels, side, side).contiguous(memory_format=torch.channels_last)
    hr = torch.rand(samples, channels, side * scale, side * scale).contiguous(memory_format=torch.channels_last)
    return {"lr": lr, "hr": hr} | ({"scale": scale} if len(data["scales"] or []) > 1 else {})


def _lr_patch(config: Config) -> int:
    """Return the side of a patch in LR pixels."""
    return int(config["data"]["lr_patch"] or config["data"]["hr_patch"] // int(config["scale"]))


def _time_degradation(config: Config, samples: int) -> float:
    """Return the seconds in which LR of a batch is made on the device; 0 where it lies in the store."""
    degradation = build_degradation(config["degradation"])
    if degradation.stored or config["data"]["lr_dir"]:
        return 0.0
    device = torch.device(resolve_accelerator(config["trainer"]["accelerator"]))
    hr = _batch(config, samples)["hr"].to(device)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        degradation(hr, samples=range(samples), seed=0)
        wait(device)
        times.append(time.perf_counter() - started)
    return min(times)


class _Clock(Callback):
    """Times every batch."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._began = 0.0

    def on_validation_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        wait(pl_module.device)
        self._began = time.perf_counter()

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        wait(pl_module.device)
        self.times.append(time.perf_counter() - self._began)


class _Stopwatch(Callback):
    """Times a few small batches, then whole ones, as many as there is time for, and ends the training.

    Args:
        batches: what the trainer is fed from.
        whole: the batch that follows the small ones.
    """

    def __init__(self, batches: RepeatedBatch, whole: dict[str, Any]) -> None:
        self.batches = batches
        self.whole = whole
        self._times: dict[int, list[float]] = {}
        self._began = 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Of a whole batch."""
        size = max(self._times)
        times = self._times[size]
        # Kernels are chosen and memory is taken in the first of each size.
        return statistics.median(times[1:] or times) * len(self.whole["hr"]) / size

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        wait(pl_module.device)
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        wait(pl_module.device)
        now = time.perf_counter()
        self._times.setdefault(len(batch["hr"]), []).append(now - self._began)
        small = self._times.get(FEW, [])
        # Batches are fetched one ahead.
        if len(small) == 2 and small[-1] * len(self.whole["hr"]) / FEW < SECONDS:
            self.batches.batch = self.whole
        if now - self._started > SECONDS and (len(small) > 3 or len(self._times.get(len(self.whole["hr"]), [])) > 1):
            trainer.should_stop = True


@dataclass(frozen=True)
class Work:
    """What a kind of run has to compute: its method, and multiply-adds of `step` and of a scored `pixel`."""

    method: str
    step: float
    pixel: float


def _work(config: Config) -> Work | None:
    """Count what a kind has to compute; None where that cannot be counted."""
    count = multiply_adds(build_network(config["model"]))
    if count is None:
        return None
    pixel = count / (OUTPUT[0] * OUTPUT[1])
    side = config["data"]["hr_patch"] or config["data"]["lr_patch"] * config["scale"]
    return Work(str(config["module"]["_target_"]), pixel * side**2 * config["data"]["batch_size"], pixel)


def _reckoned(
    work: Work | None, timed: Mapping[str, Mapping[str, float]], works: Mapping[str, Work | None]
) -> dict[str, float] | None:
    """Return what a kind takes by its multiply-adds, as others of the same method took; None where none was timed."""
    like = [(timed[name], known) for name, known in works.items() if work and known and known.method == work.method]
    if not like or work is None:
        return None
    return {
        "step": statistics.median(found["step"] / known.step for found, known in like) * work.step,
        "pixel": statistics.median(found["pixel"] / known.pixel for found, known in like) * work.pixel,
    }


def main() -> None:
    """Answer the question in the first file in the second."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    starting = time.time() - asked["begun"]
    quieten_lightning()
    impossible = impossible_kinds(asked["kinds"])
    possible = {name: config for name, config in asked["kinds"].items() if name not in impossible}
    kinds = measure_kinds(possible, budget=asked["budget"])
    write_json(Path(sys.argv[2]), {"starting": starting, "kinds": kinds, "impossible": impossible})


if __name__ == "__main__":
    main()
