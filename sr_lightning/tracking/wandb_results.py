"""What a finished run leaves in W&B: the table of its crops, its best weights and its settings, as wandb's objects."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from PIL import Image

from sr_lightning.report.error_map import error_map
from sr_lightning.report.samples import Sample
from sr_lightning.tracking.wandb_names import SAMPLE_COLUMNS

# What a model's metadata repeats of `results.json`.
FACTS = (
    "model", "module", "loss", "data", "scale", "seed", "parameters", "multiply_adds", "steps", "best_step",
    "hr_pixels", "protocol", "degradation", "ema", "git",
)  # fmt: skip


def samples_table(samples: Sequence[Sample]) -> wandb.Table:
    """Return a table with a row per crop: its pictures, the error map, and the scores of SR and bicubic."""
    table = wandb.Table(columns=list(SAMPLE_COLUMNS))
    for sample in samples:
        table.add_data(*_row(sample))
    return table


def model_artifact(results: Mapping[str, Any], *, checkpoint: Path, run_id: str, folder: Path) -> wandb.Artifact:
    """Return the best weights as an artifact of type `model`, with what they reached as metadata.

    Args:
        results: the content of `results.json`.
        checkpoint: `best.ckpt`.
        run_id: of the W&B run: each run has a collection of its own, in which a version is a state of that run.
        folder: takes a link to the checkpoint. An offline run is uploaded later, when a continued training may have
            put another file in its place.
    """
    scores = {name: _means(content) for name, content in {**results["metrics"], **_validation(results)}.items()}
    artifact = wandb.Artifact(
        name=_plain(f"{results['model']}-x{results['scale']}-{run_id}"),
        type="model",
        metadata={**{key: results.get(key) for key in FACTS}, "scores": scores},
    )
    kept = folder / f"best_{results['best_step']}.ckpt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    try:
        os.link(checkpoint, kept)
    except OSError:  # a file system without links
        shutil.copyfile(checkpoint, kept)
    artifact.add_file(str(kept), name="best.ckpt", policy="immutable", skip_cache=True)
    return artifact


def settings_artifact(run_dir: Path, *, run_id: str) -> wandb.Artifact:
    """Return the run's `config.yaml` and `results.json` as an artifact of type `config`."""
    artifact = wandb.Artifact(name=_plain(f"config-{run_id}"), type="config")
    for name in ("config.yaml", "results.json"):
        artifact.add_file(str(run_dir / name), name=name, skip_cache=True)
    return artifact


def _row(sample: Sample) -> list[Any]:
    left, top, width, height = sample.box
    # As large as the others, in whole pixels: W&B would blur it.
    lr = Image.open(sample.files["lr"]).resize((width, height), Image.Resampling.NEAREST)
    known = sample.psnr is not None and sample.bicubic_psnr is not None
    return [
        sample.set,
        sample.image,
        f"{width}x{height}+{left}+{top}",
        wandb.Image(lr),
        *(wandb.Image(str(sample.files[key])) for key in ("bicubic", "sr", "hr")),
        wandb.Image(error_map(sample.files["sr"], sample.files["hr"])),
        sample.psnr,
        sample.ssim,
        sample.bicubic_psnr,
        sample.bicubic_ssim,
        sample.psnr - sample.bicubic_psnr if known else None,  # type: ignore[operator]
    ]


def _validation(results: Mapping[str, Any]) -> dict[str, Any]:
    return {"validation": results["validation"]}


def _means(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scores.items() if key not in ("per_image", "regions")}


def _plain(name: str) -> str:
    """Return a name as artifacts may have it."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
