"""Looking at a run before its first step: images, settings and, on request, speed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import rich
import torch

from sr_lightning.data.benchmarks import EvaluationSet
from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.memory import available_memory
from sr_lightning.data.overlap import Overlap, find_overlaps
from sr_lightning.data.preflight import Memory, Preflight, Speed, gather_facts, preflight
from sr_lightning.data.sets import Count, prepare_command
from sr_lightning.data.store import Images, Store
from sr_lightning.engine import announce
from sr_lightning.engine.build import build_module, build_network, degradation_name, expand
from sr_lightning.engine.devices import device_name, resolve_accelerator
from sr_lightning.engine.fit import quieten_lightning
from sr_lightning.engine.images import build_datamodule, locate_images, reported_sets
from sr_lightning.engine.pace import measure_pace, phases_of
from sr_lightning.engine.precision import resolve_precision
from sr_lightning.engine.prepare import prepare_images
from sr_lightning.engine.trial import try_network
from sr_lightning.refusal import Refusal


@dataclass(frozen=True)
class Checked:
    """What a look at a run found.

    Attributes:
        preflight: the rows of its table.
        overlaps: training images that are evaluated, none unless the user allowed it; plain values for `results.json`.
        images: of each set to train and validate on, how many images were found and how many it has; as `overlaps`.
    """

    preflight: Preflight
    overlaps: list[dict[str, Any]]
    images: dict[str, dict[str, int | None]]


def only_preflight(config: dict[str, Any]) -> None:
    """Look at a run and measure its speed, without making a run of it.

    Raises:
        Refusal: training would corrupt its result.
        DataError: images are missing or cannot be used.
    """
    quieten_lightning()
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    if config["data"]["download"]:
        prepare_images(config)
    sets = reported_sets(config)
    accelerator = resolve_accelerator(config["trainer"]["accelerator"])
    precision = resolve_precision(config["trainer"]["precision"], accelerator)
    network = build_network(config["model"])
    try_network(network, config["model"])
    # What stops is known before anything is decoded or timed.
    build_module(config, network=network, precision=precision)
    with announce.packing() as progress:
        datamodule = build_datamodule(config, progress=progress)
        datamodule.prepare_data()
    datamodule.setup("fit")
    checked = check_images(config, datamodule=datamodule, sets=sets, accelerator=accelerator)
    phases = phases_of(config)
    seconds = "ten seconds" if len(phases) == 1 else "ten seconds for each of two phases"
    with rich.get_console().status(f"timing the loader and the training step, {seconds}"):
        pace = measure_pace(config, phases=phases, datamodule=datamodule, accelerator=accelerator, precision=precision)
    speed = Speed(
        loader=pace.loader,
        preparing=pace.preparing,
        training=pace.step,
        num_workers=config["data"]["num_workers"],
        cores=os.cpu_count() or 1,
    )
    checked = check_images(config, datamodule=datamodule, sets=sets, accelerator=accelerator, speed=speed)
    announce.preflight(checked.preflight, whole=True)
    rich.get_console().print(
        f"{device_name(accelerator)}, {precision}: {pace.memory / 2**30:.1f} GiB of memory at the peak of a step"
        f"{' of both phases' if len(phases) > 1 else ''}; "
        "one device was timed.",
        highlight=False,
    )


def check_images(
    config: dict[str, Any],
    *,
    datamodule: SRDataModule,
    sets: list[EvaluationSet],
    accelerator: str,
    speed: Speed | None = None,
) -> Checked:
    """Judge the images of a run against its settings; what was found about them once is kept beside them.

    Args:
        config: the resolved configuration.
        datamodule: its images, set up.
        sets: what the run will be evaluated on.
        accelerator: resolved.
        speed: where it was measured.

    Raises:
        Refusal: training would corrupt its result.
    """
    data = config["data"]
    assert datamodule.val_store is not None
    stores = dict(zip((part.name for part in datamodule.train), datamodule.train_stores, strict=True))
    facts = {name: gather_facts(store, folder=_folder(store)) for name, store in stores.items()}
    evaluated = [*((each.name, each.hr) for each in sets), ("validation", datamodule.val_files)]
    overlaps = [
        overlap
        for store in stores.values()
        for overlap in find_overlaps(
            store.hashes,
            store.names,
            evaluated,
            cache_dir=expand(config["paths"]["cache"]) / "overlaps",
            channels=store.channels,
        )
    ]
    trained = degradation_name(config)
    counts = locate_images(config).counts
    evaluation = [
        Count(each.name, len(each.hr) + len(each.excluded), expected=each.whole, fetched=False) for each in sets
    ]
    checked = preflight(
        facts,
        gather_facts(datamodule.val_store, folder=_folder(datamodule.val_store)),
        hr_patch=datamodule.hr_patch if data["crop"] in ("random", "centre") else None,
        degradations=(trained, trained if bool(data["lr_dir"]) == bool(data["val_lr_dir"]) else _validated(config)),
        overlaps=overlaps,
        evaluated=sum(len(files) for _, files in evaluated),
        allow_overlap=data["allow_overlap"],
        samples=config["trainer"]["max_steps"] * data["batch_size"],
        speed=speed,
        memory=_memory(data, accelerator=accelerator, needed=sum(each.bytes for each in facts.values())),
        counts=[*counts, *evaluation],
        prepare=prepare_command(
            data, name=config["names"]["data"], scale=int(config["scale"]), val=data["val"] is not None
        ),
    )
    if checked.problems:
        raise Refusal(" ".join(checked.problems))
    return Checked(
        checked,
        [_plain(overlap) for overlap in overlaps],
        {each.name: {"found": each.found, "expected": each.expected} for each in counts},
    )


def _folder(store: Images) -> Path | None:
    return store.folder if isinstance(store, Store) else None


def _validated(config: dict[str, Any]) -> str:
    """Return how the LR of validation is made where it is not made like that of training."""
    given = {**config["data"], "lr_dir": config["data"]["val_lr_dir"]}
    return degradation_name({**config, "data": given})


def _memory(data: dict[str, Any], *, accelerator: str, needed: int) -> list[Memory]:
    free = available_memory()
    places = []
    if data["store"] != "off" and free is not None:
        places.append(Memory("memory", needed, free, required=data["store"] == "ram"))
    if data["device_cache"] and accelerator == "cuda":
        places.append(Memory(device_name(accelerator), needed, torch.cuda.mem_get_info()[0], required=True))
    return places


def _plain(overlap: Overlap) -> dict[str, Any]:
    return {
        "train": overlap.train,
        "evaluated": f"{overlap.evaluated_set}/{overlap.evaluated_image}",
        "distance": overlap.distance,
    }
