"""The pairs that a training begins with, made the very way it makes them, as pictures to look at."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sr_lightning.data.datamodule import SRDataModule
from sr_lightning.data.patches import PatchDataset
from sr_lightning.engine import announce
from sr_lightning.engine.build import degradation_name, expand
from sr_lightning.engine.devices import resolve_accelerator
from sr_lightning.engine.images import build_datamodule
from sr_lightning.engine.prepare import prepare_images
from sr_lightning.functional.quantize import to_uint8
from sr_lightning.refusal import Refusal
from sr_lightning.report.contact_sheet import Pair, Pixels, write_contact_sheet

# Pairs on a sheet and its page, which is some 20 MB then.
SHOWN = 256


def preview(config: dict[str, Any]) -> Path:
    """Write the contact sheet `output` and its page; with `pairs`, all samples as PNG besides.

    The samples are the first `n` of the stream that a training with this seed takes, degraded and augmented as they
    are there. They are rounded to 8 bits, also where the network is given floats.

    Args:
        config: resolved, of `conf/train.yaml` with `conf/command/preview.yaml`.

    Returns:
        The page; at most 256 pairs are on it and on the sheet.

    Raises:
        DataError: the images are not there or cannot be used.
        Refusal: `pairs` with images of a number of bands that a PNG does not hold.
    """
    # Fetched in this process and cut from the host's memory: the same samples, and a much shorter start.
    data = config["data"] | {"num_workers": 0, "device_cache": False}
    if data["download"]:
        prepare_images(config)
    device = torch.device(resolve_accelerator(config["trainer"]["accelerator"]))
    with announce.packing() as progress:
        datamodule = build_datamodule({**config, "data": data}, progress=progress)
        datamodule.prepare_data()
    datamodule.setup("fit")
    shown: list[Pair] = []
    for sample, pair in enumerate(islice(training_pairs(datamodule, device=device), config["n"])):
        if sample < SHOWN:
            shown.append(pair)
        if config["pairs"]:
            _save_pair(pair, expand(config["pairs"]), sample)
    samples = f"{config['n']}, the first {SHOWN} shown" if config["n"] > SHOWN else config["n"]
    facts = {
        "data": config["names"]["data"],
        "degradation": degradation_name(config),
        "scale": ", ".join(map(str, data["scales"] or [config["scale"]])),
        "seed": config["seed"],
        "samples": samples,
    }
    return write_contact_sheet(shown, expand(config["output"]), facts=facts)


def training_pairs(datamodule: SRDataModule, *, device: torch.device) -> Iterator[Pair]:
    """Yield the samples of a training from its first on, without end.

    Args:
        datamodule: that has been set up and has no trainer.
        device: where LR is made and pairs are augmented.
    """
    loader = datamodule.train_dataloader()
    assert isinstance(loader.dataset, PatchDataset)
    for batch in loader:
        samples, scale = batch["samples"], batch["scale"]
        names = _names(loader.dataset, samples, scale)
        if "lr" in batch:
            # LR from files: nothing is drawn.
            drawn: list[dict[str, float | str]] = [{} for _ in samples]
        else:
            drawn = datamodule.degradations[scale].parameters(samples=samples, seed=datamodule.seed)
        with torch.inference_mode():
            moved = datamodule.transfer_batch_to_device(batch, device, 0)
            ready = datamodule.on_after_batch_transfer(moved, 0)
            lr, hr = (_pixels(ready[key]) for key in ("lr", "hr"))
        for row in zip(names, lr, hr, drawn, strict=True):
            yield Pair(*row)


def _names(dataset: PatchDataset, samples: list[int], scale: int) -> list[str]:
    plan = dataset.plan(samples, scale)
    places = zip(plan.store.tolist(), plan.image.tolist(), strict=True)
    return [Path(dataset.stores[store].names[image]).with_suffix("").as_posix() for store, image in places]


def _pixels(images: torch.Tensor) -> list[Pixels]:
    return list(to_uint8(images).permute(0, 2, 3, 1).cpu().numpy())


def _save_pair(pair: Pair, folder: Path, sample: int) -> None:
    bands = pair.hr.shape[2]
    if bands not in (1, 3):
        raise Refusal(f"pairs: expected images of 1 or 3 bands, which a PNG holds, got {bands}; leave pairs out.")
    name = re.sub(r"[^\w.-]+", "_", pair.name)
    for part, pixels in (("HR", pair.hr), ("LR", pair.lr)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze(2) if bands == 1 else pixels).save(folder / part / f"{sample:06d}_{name}.png")
