"""Which images a run trains on, chooses its best weights by, and is reported on."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sr_lightning.data.benchmarks import SSIM_WINDOW, EvaluationSet, find_sets, reportable
from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.sample import sample_images
from sr_lightning.data.scan import list_images
from sr_lightning.data.store import Store
from sr_lightning.engine.build import build_degradation, expand
from sr_lightning.metrics.lpips import SMALLEST_SIDE, lpips_backbone_path


def build_datamodule(config: dict[str, Any]) -> SRDataModule:
    """Return the training and validation images of a resolved configuration."""
    data, scale = config["data"], int(config["scale"])
    if data["demonstration"]:
        images = sample_images()
    else:
        images = {part: list_images(expand(data[f"{part}_dir"])) for part in ("train", "val")}
    min_side = SSIM_WINDOW + 2 * scale
    if lpips_backbone_path() is not None:
        min_side = max(min_side, SMALLEST_SIDE)
    return SRDataModule(
        train_images=images["train"],
        val_images=images["val"],
        test_images=[],
        scale=scale,
        degradation=build_degradation(config["degradation"]),
        hr_patch=data["hr_patch"],
        lr_patch=data["lr_patch"],
        batch_size=data["batch_size"],
        accumulate=config["module"]["accumulate"],
        num_workers=data["num_workers"],
        seed=config["seed"],
        cache_dir=expand(config["paths"]["cache"]),
        min_side=min_side,
    )


def reported_sets(config: dict[str, Any]) -> list[EvaluationSet]:
    """Return the sets of the final table, none of which has chosen `best.ckpt`.

    They are the benchmarks under `data.root` (those of `eval`, or all), and the test images of the data set.
    """
    data = config["data"]
    sets: list[EvaluationSet] = []
    root = expand(data["root"])
    if root.is_dir() or config["eval"]:
        sets += find_sets(root, scale=int(config["scale"]), names=config["eval"])
    if data["val_dir"]:
        sets = reportable(sets, chosen_on=expand(data["val_dir"]))
    if data["demonstration"]:
        sets.append(EvaluationSet("sample", tuple(sample_images()["test"]), None))
    elif data["test_dir"]:
        sets.append(EvaluationSet("test", tuple(list_images(expand(data["test_dir"]))), None))
    return sets


def validation_set(datamodule: SRDataModule) -> EvaluationSet:
    """Return the validation images that training saw, as files; `datamodule` has been set up."""
    assert datamodule.val_store is not None
    skipped = {path for path, _ in datamodule.val_store.skipped}
    files = tuple(Path(path) for path in datamodule.val_images if path not in skipped)
    return EvaluationSet("validation", files, None)


def image_pairs(store: Store) -> list[tuple[Tensor, Tensor]]:
    """Return each image of a store as uint8 (lr, hr), (1, 3, H, W)."""
    pairs = []
    for index in range(len(store)):
        lr, hr = (torch.from_numpy(view.copy()).permute(2, 0, 1)[None] for view in (store.lr(index), store.hr(index)))
        pairs.append((lr, hr))
    return pairs
