"""Which images a run trains on, chooses its best weights by, and is reported on."""

from pathlib import Path
from typing import Any

from torch import Tensor

from sr_lightning.data.augment import Augment
from sr_lightning.data.benchmarks import SSIM_WINDOW, EvaluationSet, find_sets, reportable
from sr_lightning.data.catalogue import Entry, catalogue
from sr_lightning.data.datamodule import PackingProgress, SRDataModule, TrainingSet
from sr_lightning.data.pairs import match_lr
from sr_lightning.data.sets import Images, image_channels, locate
from sr_lightning.degradations.base import Degradation
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.engine.build import build_degradation, expand
from sr_lightning.metrics.lpips import SMALLEST_SIDE, lpips_backbone_path


def locate_images(config: dict[str, Any]) -> Images:
    """Find the images of a resolved configuration.

    Raises:
        DataError: some are not there; the message says how to get them.
    """
    return locate(
        config["data"],
        name=config["names"]["data"],
        scale=int(config["scale"]),
        entries=_catalogue(config),
        channels=image_channels(config["model"]),
    )


def _catalogue(config: dict[str, Any]) -> dict[str, Entry]:
    return catalogue([expand(folder) for folder in config["paths"]["catalogue"]])


def build_datamodule(config: dict[str, Any], *, progress: PackingProgress | None = None) -> SRDataModule:
    """Return the training and validation images of a resolved configuration.

    Args:
        config: of `conf/train.yaml`.
        progress: told how far the decoding of images is.

    Raises:
        DataError: images are not there, or LR images do not belong to them.
    """
    data, scale = config["data"], int(config["scale"])
    images = locate_images(config)
    min_side = SSIM_WINDOW + 2 * scale
    if lpips_backbone_path() is not None:
        min_side = max(min_side, SMALLEST_SIDE)
    return SRDataModule(
        train=[
            TrainingSet(
                name=part.name,
                files=part.files,
                weight=part.weight,
                lr_files=_lr_files(part.files, config, key="lr_dir"),
            )
            for part in images.train
        ],
        val_files=images.val,
        val_lr_files=_lr_files(images.val, config, key="val_lr_dir"),
        scale=scale,
        scales=data["scales"],
        degradation={
            each: build_degradation({**config["degradation"], "scale": each}) for each in data["scales"] or [scale]
        },
        augment=Augment(**config["augment"]),
        crop=data["crop"],
        hr_patch=data["hr_patch"],
        lr_patch=data["lr_patch"],
        batch_size=data["batch_size"],
        accumulate=config["module"]["accumulate"],
        num_workers=data["num_workers"],
        seed=config["seed"],
        cache_dir=expand(config["paths"]["cache"]),
        store=data["store"],
        device_cache=data["device_cache"],
        channels=image_channels(config["model"]),
        max_skipped=data["max_skipped"],
        min_side=min_side,
        progress=progress,
    )


def _lr_files(hr_files: list[Path], config: dict[str, Any], *, key: str) -> list[Path] | None:
    folder = config["data"][key]
    if not folder:
        return None
    return match_lr(
        hr_files,
        expand(folder),
        key=f"data.{key}",
        scale=int(config["scale"]),
        channels=image_channels(config["model"]),
    )


def reported_sets(config: dict[str, Any]) -> list[EvaluationSet]:
    """Return the sets of the final table, none of which has chosen `best.ckpt`.

    They are the benchmarks under `data.root` (those of `eval`, or all), and the test images of the data set. A network
    for images of other bands than pictures have none of the former.
    """
    data = config["data"]
    sets: list[EvaluationSet] = []
    root = expand(data["root"])
    if image_channels(config["model"]) == 3 and (root.is_dir() or config["eval"]):
        sets += find_sets(
            root,
            scale=int(config["scale"]),
            names=config["eval"],
            exclude=config["eval_exclude"],
            entries=_catalogue(config),
        )
    images = locate_images(config)
    sets = reportable(sets, chosen_on=images.val)
    if images.test:
        sets.append(EvaluationSet(images.test_name, tuple(images.test), None))
    return sets


def own_degradation(config: dict[str, Any]) -> Degradation | None:
    """Return what makes the LR of the run's own images; None for the rule of the published benchmark files."""
    degradation = build_degradation(config["degradation"])
    return None if degradation.name == Bicubic(scale=int(config["scale"])).name else degradation


def validation_set(datamodule: SRDataModule) -> EvaluationSet:
    """Return the validation images that training saw, as files; `datamodule` has been set up."""
    assert datamodule.val_store is not None
    skipped = {path for path, _ in datamodule.val_store.skipped}
    kept = [index for index, path in enumerate(datamodule.val_files) if path.absolute() not in skipped]
    lr_files = datamodule.val_lr_files
    return EvaluationSet(
        "validation",
        tuple(datamodule.val_files[index] for index in kept),
        None if lr_files is None else tuple(lr_files[index] for index in kept),
    )


def validation_pairs(datamodule: SRDataModule) -> list[tuple[Tensor, Tensor]]:
    """Return each validation image as uint8 (lr, hr), (1, C, H, W), as validation sees it."""
    assert datamodule.val_store is not None
    return [datamodule.val_pair(index) for index in range(len(datamodule.val_store))]
