"""What the loader delivers, against a plain loop over the same crops and against decoding a PNG for each pair.

    python benchmarks/loader.py [images=40] [rounds=9] [batches=150] [png_pairs=4] [threads=1] [step=false]
        [output=FILE.json]

Pairs of 192x192 HR and 48x48 LR, batch 64, of images of DIV2K's size, tiled from the sample photographs. One process:

- loader: `SRDataModule.train_dataloader()` with the memory-mapped store;
- loop: numpy slices of the same crops, copied into one batch that is there already: no plan, no DataLoader, no
  allocation. The images lie as usual, row after row, in a file that is mapped into memory as the store is;
- png: what usual code does for a pair: Pillow decodes the HR and the LR file, then both are cut;
- off: the loader with `data.store=off`;
- device_cache: the loader hands over the plan, patches are cut from tensors on this machine's device.

Each round times some batches of each in turn, so that a busy machine hurts all alike. Printed: medians over the rounds
and their ratios. Expected: loader >= 20,000 pairs a second, >= 0.8 of the loop, >= 100 times png. Then where the time
of a batch goes. With `step=true` also the loader's share of a training step of EDSR-baseline (< 2 %): the time that
Lightning's trainer waits for the next batch, and the step without it.
"""

import json
import logging
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.data.augment import Augment
from sr_lightning.data.datamodule import SRDataModule, TrainingSet
from sr_lightning.data.device_cache import DeviceCache
from sr_lightning.data.patches import PatchDataset, PatchPlan
from sr_lightning.data.sample import sample_images
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.engine.build import build_module, build_network
from sr_lightning.engine.precision import resolve_precision

SCALE, HR_PATCH, LR_PATCH, BATCH = 4, 192, 48, 64
HEIGHT, WIDTH = 1356, 2040
TARGETS = {"pairs_per_second": 20_000, "loader/loop": 0.8, "loader/png": 100}

Batches = Callable[[int], None]
Pixels = NDArray[np.uint8]


def main() -> None:
    options = dict(argument.split("=", 1) for argument in sys.argv[1:])
    threads_of_training = torch.get_num_threads()
    torch.set_num_threads(int(options.get("threads", "1")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_images(folder / "png", images=int(options.get("images", "40")))
        report = compare(
            files,
            folder=folder,
            rounds=int(options.get("rounds", "9")),
            batches=int(options.get("batches", "150")),
            png_pairs=int(options.get("png_pairs", "4")),
        )
        if options.get("step", "false") == "true":
            torch.set_num_threads(threads_of_training)
            report["step"] = share_of_step(files, folder=folder)
    report["machine"], report["torch"] = platform.processor() or platform.machine(), torch.__version__
    if "output" in options:
        Path(options["output"]).write_text(json.dumps(report, indent=2) + "\n")


def compare(files: Sequence[Path], *, folder: Path, rounds: int, batches: int, png_pairs: int) -> dict[str, Any]:
    disk = module(files, folder)
    dataset: Any = disk.train_dataloader().dataset
    off = module(files, folder, store="off")
    cached = module(files, folder, device_cache=True)
    ways: dict[str, tuple[Batches, int, int]] = {
        "loader": (over(disk), batches, BATCH),
        "loop": (plain_loop(dataset, folder), batches, BATCH),
        "png": (png_pairs_of(files, dataset), png_pairs, 1),
        "off": (over(off), 1, BATCH),
        "device_cache": (over_cache(cached), batches, BATCH),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (run, times, pairs) in ways.items():
            started = time.perf_counter()
            run(times)
            if number:  # the first round warms all of them up
                rates[name].append(times * pairs / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    reached = {
        "pairs_per_second": medians["loader"],
        "loader/loop": medians["loader"] / medians["loop"],
        "loader/png": medians["loader"] / medians["png"],
    }
    print(f"{HR_PATCH}x{HR_PATCH} and {LR_PATCH}x{LR_PATCH}, batch {BATCH}, {len(files)} images, {rounds} rounds")
    for name, values in rates.items():
        spread = f"{min(values):,.0f} ... {max(values):,.0f}"
        print(f"  {name:<14}{medians[name]:>12,.0f} pairs/s   ({spread})")
    for name, value in reached.items():
        verdict = "reached" if value >= TARGETS[name] else "MISSED"
        print(f"  {name:<18}{value:>12,.2f}   target {TARGETS[name]:,}: {verdict}")
    parts = parts_of_a_batch(disk, rounds=rounds * 5)
    print("  a batch of the loader, ms: " + ", ".join(f"{name} {value:.3f}" for name, value in parts.items()))
    return {"rates": rates, "medians": medians, "reached": reached, "batch_ms": parts}


def module(files: Sequence[Path], folder: Path, **changes: Any) -> SRDataModule:
    datamodule = SRDataModule(
        train=[TrainingSet("tiled", files)],
        val_files=files[:1],
        scale=SCALE,
        degradation=Bicubic(scale=SCALE),
        augment=Augment(),
        crop="random",
        hr_patch=HR_PATCH,
        lr_patch=None,
        batch_size=BATCH,
        num_workers=0,
        seed=0,
        cache_dir=folder / "cache",
        **changes,
    )
    datamodule.prepare_data()
    return datamodule


def over(datamodule: SRDataModule) -> Batches:
    """Take batches from a loader that has begun."""
    batches = iter(datamodule.train_dataloader())

    def run(times: int) -> None:
        for _ in range(times):
            next(batches)

    return run


def over_cache(datamodule: SRDataModule) -> Batches:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = datamodule.train_dataloader()
    dataset: Any = loader.dataset
    cache, batches = DeviceCache(dataset, device), iter(loader)

    def run(times: int) -> None:
        for _ in range(times):
            batch = next(batches)
            cache.cut(batch["plan"], batch["scale"])
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def plain_loop(dataset: PatchDataset, folder: Path) -> Batches:
    store = dataset.stores[0]
    for name, image_of in (("hr", store.hr), ("lr", lambda index: store.lr(index, SCALE))):
        with (folder / f"{name}.rows").open("wb") as file:
            for index in range(len(store)):
                file.write(image_of(index).data)
    shapes = {"hr": (HEIGHT, WIDTH, 3), "lr": (HEIGHT // SCALE, WIDTH // SCALE, 3)}
    # Plain arrays: slicing `np.memmap` itself takes several times as long.
    mapped = {name: np.asarray(np.memmap(folder / f"{name}.rows", np.uint8, "r")) for name in shapes}
    arrays = {name: mapped[name].reshape(len(store), *shape) for name, shape in shapes.items()}
    images = list(zip(arrays["hr"], arrays["lr"], strict=True))
    hr = np.empty((BATCH, HR_PATCH, HR_PATCH, 3), np.uint8)
    lr = np.empty((BATCH, LR_PATCH, LR_PATCH, 3), np.uint8)
    crops = planned(dataset)

    def run(times: int) -> None:
        for _ in range(times):
            for n, (image, top, left) in enumerate(next(crops)):
                whole_hr, whole_lr = images[image]
                lr[n] = whole_lr[top : top + LR_PATCH, left : left + LR_PATCH]
                top, left = top * SCALE, left * SCALE
                hr[n] = whole_hr[top : top + HR_PATCH, left : left + HR_PATCH]

    return run


def png_pairs_of(files: Sequence[Path], dataset: PatchDataset) -> Batches:
    pairs = (crop for batch in planned(dataset) for crop in batch)

    def run(times: int) -> None:
        for _ in range(times):
            image, top, left = next(pairs)
            hr = np.asarray(Image.open(files[image]).convert("RGB"))
            lr = np.asarray(Image.open(lr_path(files[image])).convert("RGB"))
            np.ascontiguousarray(lr[top : top + LR_PATCH, left : left + LR_PATCH])
            top, left = top * SCALE, left * SCALE
            np.ascontiguousarray(hr[top : top + HR_PATCH, left : left + HR_PATCH])

    return run


def planned(dataset: PatchDataset) -> Iterator[list[tuple[int, int, int]]]:
    """Image and place of the crops of the first 64 batches, over and over, in plain numbers."""
    plans: list[PatchPlan] = [dataset.plan(range(n * BATCH, (n + 1) * BATCH), SCALE) for n in range(64)]
    crops = [list(zip(plan.image.tolist(), plan.top.tolist(), plan.left.tolist(), strict=True)) for plan in plans]
    return cycle(crops)


def parts_of_a_batch(datamodule: SRDataModule, *, rounds: int) -> dict[str, float]:
    """Milliseconds of the plan, of the batch as the data set makes it, and of the DataLoader around it."""
    loader = datamodule.train_dataloader()
    dataset: Any = loader.dataset
    batches = iter(loader)
    samples = (range(first, first + BATCH) for first in count(10**6, BATCH))
    calls: dict[str, Callable[[], Any]] = {
        "plan": lambda: dataset.plan(next(samples), SCALE),
        "data set": lambda: dataset.__getitems__(next(samples)),
        "loader": lambda: next(batches),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def share_of_step(files: Sequence[Path], *, folder: Path, steps: int = 8) -> dict[str, float]:
    """Time the trainer's waits for a batch, and its steps, with EDSR-baseline as it is trained here."""
    config = Composer("train").compose(["model=edsr_baseline", f"scale={SCALE}"]).tree
    precision = resolve_precision("auto", "cpu")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    network = build_network(config["model"])
    lightning_module = build_module(config, network=network, precision=precision)
    lightning_module.max_steps = 10**6
    clock = Clock()
    trainer = Trainer(
        accelerator="auto",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        max_steps=steps + 2,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[clock],
        default_root_dir=folder,
    )
    datamodule = module(files, folder)
    datamodule.batch_size = config["data"]["batch_size"]
    trainer.fit(lightning_module, datamodule=datamodule)
    waits, whole = clock.waits[2:], clock.steps[2:]
    share = statistics.median(waits) / statistics.median(whole)
    print(
        f"EDSR-baseline x{SCALE}, batch {datamodule.batch_size}, {precision}: {statistics.median(whole) * 1000:.1f} ms "
        f"a step, of which {statistics.median(waits) * 1000:.2f} ms loader: {share:.2%} "
        f"(target < 2 %: {'reached' if share < 0.02 else 'MISSED'})"
    )
    return {"step_ms": 1000 * statistics.median(whole), "loader_ms": 1000 * statistics.median(waits), "share": share}


class Clock(Callback):
    """The time of each step, and how much of it passes before its batch is there, transformed, on the device."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.steps: list[float] = []
        self._ended = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._ended = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.waits.append(time.perf_counter() - self._ended)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        self.steps.append(now - self._ended)
        self._ended = now


def write_images(folder: Path, *, images: int) -> list[Path]:
    """Tile the sample photographs to images of DIV2K's usual size; LR lies beside each."""
    folder.mkdir(parents=True)
    photographs = [np.asarray(Image.open(path).convert("RGB")) for path in sample_images()["train"]]
    files = []
    for index in range(images):
        canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        tiles = cycle(photographs[index % len(photographs) :] + photographs[: index % len(photographs)])
        for top in range(0, HEIGHT, 256):
            for left in range(0, WIDTH, 256):
                tile = next(tiles)[:256, :256][: HEIGHT - top, : WIDTH - left]
                canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        lr = Bicubic(scale=SCALE).downscale(torch.from_numpy(canvas).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        files.append(folder / f"{index}.png")
        Image.fromarray(canvas).save(files[-1])
        (folder / "lr").mkdir(exist_ok=True)
        Image.fromarray(lr.numpy()).save(lr_path(files[-1]))
    return files


def lr_path(path: Path) -> Path:
    return path.parent / "lr" / path.name


if __name__ == "__main__":
    main()
