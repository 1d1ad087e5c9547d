"""A training step of ours against bare PyTorch loops, in one process, in interleaved rounds.

    python benchmarks/step.py [model=edsr_baseline,espcn] [rounds=5] [output=FILE.json]

(a) ours: `engine.build`, the DataModule and Lightning's Trainer with the callbacks of a real run;
(b) a bare loop with the same tricks: memory-mapped store, uint8 batches, channels_last, our precision, fused Adam;
(c) a bare loop as peers write it: float32, contiguous, a 2040x1356 PNG and its LR decoded for each item;
(d) as (c), at our precision.

Each round times some steps of each in turn, so that a busy machine hurts all alike. Printed: the median over rounds
of the seconds per step, and the ratio of the medians. The PNGs are tiled from the sample photographs; all loops load
their data in the training process, so that no worker of one runs beside another.
"""

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from sr_lightning.callbacks.checkpoints import Checkpoints
from sr_lightning.callbacks.progress import Progress
from sr_lightning.callbacks.stopping import Stopping
from sr_lightning.cli.compose import Composer
from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.image import read_rgb
from sr_lightning.data.sample import sample_images
from sr_lightning.engine.build import build_module, build_network
from sr_lightning.engine.images import build_datamodule
from sr_lightning.engine.precision import resolve_precision
from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.resize import downscale_uint8
from sr_lightning.tracking.csv import CSVLogger

SCALE = 4
# Steps of one round: enough of the small network to time, few of the large one.
STEPS = {"edsr_baseline": 3, "espcn": 100}
STEPS_OF_PEERS = {"edsr_baseline": 1, "espcn": 1}
# Steps of (a) and (b) before the clock starts in each round: what ran before has filled the caches with its own.
WARM = 5

Step = Callable[[], None]


def main() -> None:
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rounds = int(options.get("rounds", "5"))
    report: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as folder:
        images = write_large_images(Path(folder) / "png")
        for name in options.get("model", "edsr_baseline,espcn").split(","):
            report[name] = benchmark(name, rounds=rounds, folder=Path(folder), images=images)
    if "output" in options:
        Path(options["output"]).write_text(json.dumps(report, indent=2) + "\n")


def benchmark(name: str, *, rounds: int, folder: Path, images: list[tuple[Path, Path]]) -> dict[str, Any]:
    config = Composer("train").compose([f"model={name}", f"scale={SCALE}", f"paths.cache={folder}/cache"]).tree
    precision = resolve_precision("auto", "cpu")
    others = {
        "b": (bare_step(config, precision), STEPS[name]),
        "c": (peer_step(config, images, precision="32-true"), STEPS_OF_PEERS[name]),
        "d": (peer_step(config, images, precision=precision), STEPS_OF_PEERS[name]),
    }
    timed = Interleave(steps=STEPS[name], rounds=rounds, others=others)
    run_ours(config, precision, timed, folder / name)
    medians = {key: statistics.median(values) for key, values in timed.seconds.items()}
    ratios = {
        "a/b": medians["a"] / medians["b"],
        "c/a": medians["c"] / medians["a"],
        "d/a": medians["d"] / medians["a"],
    }
    batch = config["data"]["batch_size"]
    print(f"\n{name} x{SCALE}, batch {batch}, {precision}, {torch.get_num_threads()} threads, {rounds} rounds")
    for key, label in LABELS.items():
        values = ", ".join(f"{value * 1000:.1f}" for value in timed.seconds[key])
        print(f"  ({key}) {label:<42} {medians[key] * 1000:9.1f} ms a step   ({values})")
    print("  " + "   ".join(f"{key} = {value:.3f}" for key, value in ratios.items()))
    return {"seconds": timed.seconds, "medians": medians, "ratios": ratios, "precision": precision}


LABELS = {
    "a": "ours, through Lightning",
    "b": "bare loop, the same tricks",
    "c": "bare loop as peers write it (float32, PNG)",
    "d": "as (c), at our precision",
}


class Interleave(Callback):
    """Times rounds of the trainer's own steps, and runs the other loops between them."""

    def __init__(self, *, steps: int, rounds: int, others: dict[str, tuple[Step, int]]) -> None:
        self.steps, self.rounds, self.others = steps, rounds, others
        self.seconds: dict[str, list[float]] = {key: [] for key in ("a", *others)}
        self._done = 0
        self._warm = False
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._done += 1
        if self._done == 0:
            self._started = time.perf_counter()
        if self._done < self.steps:
            return
        mine = (time.perf_counter() - self._started) / self.steps
        times = {"a": mine}
        for key, (step, count) in self.others.items():
            if key == "b":
                seconds_per_step(step, min(WARM, count))
            times[key] = seconds_per_step(step, count)
        # The first round warms all of them up and does not count.
        if self._warm:
            for key, value in times.items():
                self.seconds[key].append(value)
        self._warm, self._done = True, -min(WARM, self.steps)
        trainer.should_stop = len(self.seconds["a"]) == self.rounds


def seconds_per_step(step: Step, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - started) / count


def run_ours(config: dict[str, Any], precision: str, timed: Interleave, folder: Path) -> None:
    network = build_network(config["model"])
    module = build_module(config, network=network, precision=precision)
    module.max_steps = 10**6
    checkpoints = Checkpoints(folder=folder / "checkpoints", every_steps=10**6, saved=lambda step: None)
    trainer = pl.Trainer(
        accelerator="cpu",
        precision=precision,  # type: ignore[arg-type]
        max_steps=10**6,
        max_epochs=-1,
        limit_val_batches=0,
        logger=CSVLogger(path=folder / "metrics.csv", resume_step=0),
        log_every_n_steps=1,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        # What a real run has; the clock comes last, so that it sees them all.
        callbacks=[
            Progress(run_dir=folder, bicubic={"psnr": 0.0, "ssim": 0.0}, refresh=4.0),
            Stopping(checkpoints=checkpoints),
            timed,
            checkpoints,
        ],
        default_root_dir=folder,
    )
    trainer.fit(module, datamodule=data(config))


def data(config: dict[str, Any]) -> SRDataModule:
    return build_datamodule({**config, "seed": 0})


def bare_step(config: dict[str, Any], precision: str) -> Step:
    """Return one step of a plain loop that does all that (a) does, without Lightning."""
    datamodule = data(config)
    datamodule.prepare_data()
    datamodule.setup("fit")
    batches = iter(datamodule.train_dataloader())
    network = build_network(config["model"]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=config["optimizer"]["lr"], fused=True)
    loss_function = F.mse_loss if "mse" in config["loss"] else F.l1_loss

    def step() -> None:
        batch = datamodule.on_after_batch_transfer(next(batches), 0)
        lr, hr = own_channels(batch["lr"], batch["hr"], config)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = loss_function(network(lr).float(), hr)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


class PNGPairs(Dataset[tuple[Tensor, Tensor]]):
    """A pair of PNGs per item, decoded whole, cut, flipped, made float: what the usual training code does."""

    def __init__(self, pairs: list[tuple[Path, Path]], lr_patch: int) -> None:
        self.pairs, self.lr_patch = pairs, lr_patch
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        hr_path, lr_path = self.pairs[index % len(self.pairs)]
        hr, lr = (np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255 for path in (hr_path, lr_path))
        top, left = (int(self.random.integers(0, side - self.lr_patch + 1)) for side in lr.shape[:2])
        lr = lr[top : top + self.lr_patch, left : left + self.lr_patch]
        hr_slice = [slice(start * SCALE, (start + self.lr_patch) * SCALE) for start in (top, left)]
        hr = hr[hr_slice[0], hr_slice[1]]
        if self.random.random() < 0.5:
            lr, hr = lr[:, ::-1], hr[:, ::-1]
        if self.random.random() < 0.5:
            lr, hr = lr[::-1], hr[::-1]
        if self.random.random() < 0.5:
            lr, hr = lr.transpose(1, 0, 2), hr.transpose(1, 0, 2)
        return tuple(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) for image in (lr, hr))  # type: ignore[return-value]


def peer_step(config: dict[str, Any], images: list[tuple[Path, Path]], *, precision: str) -> Step:
    """Return one step of a loop as most repositories write it."""
    settings = config["data"]
    lr_patch = settings["lr_patch"] or settings["hr_patch"] // SCALE
    loader = DataLoader(PNGPairs(images, lr_patch), batch_size=settings["batch_size"], num_workers=0)
    batches: Iterator[tuple[Tensor, Tensor]] = iter(cycle(loader))
    network = build_network(config["model"])
    optimizer = torch.optim.Adam(network.parameters(), lr=config["optimizer"]["lr"])
    loss_function = F.mse_loss if "mse" in config["loss"] else F.l1_loss

    def step() -> None:
        lr, hr = own_channels(*next(batches), config)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = loss_function(network(lr).float(), hr)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def own_channels(lr: Tensor, hr: Tensor, config: dict[str, Any]) -> tuple[Tensor, Tensor]:
    return (rgb_to_y(lr), rgb_to_y(hr)) if config["model"]["channels"] == 1 else (lr, hr)


def write_large_images(
    folder: Path, *, count: int = 4, width: int = 2040, height: int = 1356
) -> list[tuple[Path, Path]]:
    """Tile the sample photographs to images of DIV2K's usual size, with their LR, as PNG."""
    folder.mkdir(parents=True)
    photographs = [read_rgb(path) for path in sample_images()["train"]]
    pairs = []
    for index in range(count):
        canvas = np.zeros((height, width, 3), np.uint8)
        tiles = cycle(photographs[index:] + photographs[:index])
        for top in range(0, height, 256):
            for left in range(0, width, 256):
                tile = next(tiles)[:256, :256][: height - top, : width - left]
                canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        lr = downscale_uint8(torch.from_numpy(canvas).permute(2, 0, 1)[None], SCALE)[0].permute(1, 2, 0).numpy()
        paths = folder / f"{index}.png", folder / f"{index}x{SCALE}.png"
        for path, pixels in zip(paths, (canvas, lr), strict=True):
            Image.fromarray(pixels).save(path)
        pairs.append((paths[0], paths[1]))
    return pairs


if __name__ == "__main__":
    main()
