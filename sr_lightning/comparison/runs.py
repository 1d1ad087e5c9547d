"""Runs as their folders tell of them: what `compare` reads, and the only reader of many `results.json`."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sr_lightning.comparison.curves import Curves, read_curves
from sr_lightning.report.lock import is_held

# The C parser reads 200 configurations in the tenth of a second; PyYAML may be built without it.
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Folders inside a run's, or beside runs, that hold no runs and may hold thousands of files.
_NOT_SEARCHED = frozenset({"checkpoints", "panels", "samples", "wandb", ".git", ".hydra"})
# What a run cannot be shown without.
_NEEDED = ("status", "model", "scale", "protocol")
# What a protocol cannot be told without.
_RULES = ("name", "color", "border", "rounding")
# Facts that stand in `results.json` under the same name, None where an older run has not written them.
_PLAIN = (
    "error", "module", "loss", "data", "seed", "parameters", "multiply_adds", "steps", "max_steps", "hr_pixels",
    "seconds", "samples_per_second", "device", "precision", "ema", "degradation", "best_step",
    "config_hash",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of training.

    Attributes:
        folder: its folder.
        status: `running`, `finished`, `failed`, `interrupted`, or `stopped`: it had no time to say how it ended.
        error: what ended it, None where nothing did.
        model: name of the network's yaml; `module`, `loss` and `data` likewise.
        scale: the upscaling factor.
        seed: of weights, patches and degradations.
        parameters: number of trained weights.
        multiply_adds: for one output of 1280x720; None where it cannot be counted.
        steps: optimiser steps of the network that were made; `max_steps` as many as were asked for.
        hr_pixels: that were seen while training.
        seconds: of training; `samples_per_second` its speed.
        device: as a person calls it; `precision` what was computed in.
        ema: decay of the averaged weights, None without.
        warm_start: the file whose weights training began with, and its hash; None for random weights.
        degradation: that LR was trained on.
        best_step: the step that is scored.
        config_hash: of its configuration, seed included.
        overlap: number of training images that are evaluated as well.
        random_features: whether a perceptual loss compared features that nobody trained.
        commit: of the program, with `, changed` where files were; None outside a checkout.
        protocol: that the sets without one of their own were scored under.
        metrics: scores by set, as in `results.json`.
        validation: scores of the images that chose the weights; None before they were scored.
        curves: columns of `metrics.csv`.
        config: its configuration; empty where there is none.
        ended: Unix time at which its results were last written; while it runs, its last sign of life.
        damaged: a sentence on each of its other files that cannot be read.
    """

    folder: Path
    status: str
    error: str | None
    model: str
    module: str | None
    loss: str | None
    data: str | None
    scale: int
    seed: int | None
    parameters: int | None
    multiply_adds: int | None
    steps: int | None
    max_steps: int | None
    hr_pixels: int | None
    seconds: float | None
    samples_per_second: float | None
    device: str | None
    precision: str | None
    ema: float | None
    warm_start: str | None
    degradation: str | None
    best_step: int | None
    config_hash: str | None
    overlap: int
    random_features: bool
    commit: str | None
    protocol: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]
    validation: Mapping[str, Any] | None
    curves: Curves
    config: Mapping[str, Any]
    ended: float
    damaged: tuple[str, ...]

    @property
    def gan(self) -> bool:
        """Whether it was trained against a discriminator, so that PSNR alone does not rank it."""
        return self.module == "gan"

    @property
    def finished(self) -> bool:
        """Whether it ended as it was asked to."""
        return self.status == "finished"

    @property
    def published(self) -> Mapping[str, Any]:
        """What the network's paper printed: {protocol: {"x4": {set: [psnr, ssim]}}}."""
        spec = _mappings(_mappings(self.config).get("model")).get("spec")
        return {
            protocol: {
                scale: {name: pair for name, pair in sets.items() if isinstance(pair, list) and len(pair) == 2}
                for scale, sets in _mappings(scales).items()
            }
            for protocol, scales in _mappings(_mappings(spec).get("published")).items()
        }


@dataclass(frozen=True)
class Found:
    """The runs below some folders, and what looked like one but cannot be read, with the reason."""

    runs: list[Run]
    skipped: list[tuple[Path, str]]


def read_runs(paths: Sequence[Path]) -> Found:
    """Read every run below some folders.

    Args:
        paths: folders of runs, of sweeps, or with either below them; a run that is met twice is read once.

    Returns:
        The runs in the order of the paths, and by name within each.
    """
    runs: list[Run] = []
    skipped: list[tuple[Path, str]] = []
    for folder in find_runs(paths):
        try:
            runs.append(read_run(folder))
        except (OSError, ValueError, yaml.YAMLError) as error:
            skipped.append((folder, " ".join(str(error).split())))
        except (KeyError, TypeError, AttributeError) as error:
            skipped.append((folder, f"results.json is not that of a run: {error!r}"))
    return Found(runs, skipped)


def find_runs(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each folder with a `results.json` at or below some folders, once."""
    seen: set[Path] = set()
    for path in paths:
        for name, folders, files in os.walk(path):
            folders[:] = sorted(set(folders) - _NOT_SEARCHED)
            if "results.json" not in files:
                continue
            # Nothing of a run is another run.
            folders.clear()
            folder = Path(name)
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                yield folder


def read_run(folder: Path) -> Run:
    """Read the run in a folder.

    Raises:
        ValueError: its `results.json` is no JSON, or not that of a run.
    """
    results = json.loads((folder / "results.json").read_text())
    missing = [key for key in _NEEDED if key not in results] if isinstance(results, dict) else list(_NEEDED)
    if missing:
        raise ValueError(f"results.json is not that of a run: it has no {missing[0]!r}")
    scale = int(results["scale"])
    _check_scores(results)
    damaged: list[str] = []
    config = _readable(_read_config, folder / "config.yaml", damaged)
    steps, hr_pixels = results.get("steps"), results.get("hr_pixels")
    curves = _readable(
        lambda path: read_curves(path, steps=steps, hr_pixels=hr_pixels), folder / "metrics.csv", damaged
    )
    facts = {key: results.get(key) for key in _PLAIN}
    if facts["max_steps"] is None:
        # Of a run from before it stood in its results.
        facts["max_steps"] = _mappings(config).get("trainer", {}).get("max_steps")
    return Run(
        folder=folder,
        status=_status(folder, results["status"]),
        model=results["model"],
        scale=scale,
        protocol=results["protocol"],
        **facts,
        overlap=len(results.get("overlap") or ()),
        random_features="random" in (results.get("features") or {}).values(),
        commit=_commit(results.get("git")),
        warm_start=_warm_start(results.get("warm_start")),
        metrics=results.get("metrics") or {},
        validation=results.get("validation"),
        curves=curves,
        config=config,
        ended=(folder / "results.json").stat().st_mtime,
        damaged=tuple(damaged),
    )


def _status(folder: Path, written: str) -> str:
    """Return how a run stands: one that says it runs, in a folder that nobody holds, was killed."""
    try:
        return "stopped" if written == "running" and not is_held(folder) else written
    except OSError:
        # Of somebody else's folder that cannot be told.
        return written


def _warm_start(weights: Mapping[str, Any] | None) -> str | None:
    return f"{weights['file']} ({weights['sha256']})" if weights else None


def _check_scores(results: Mapping[str, Any]) -> None:
    """Raise ValueError where scores are not as boards read them: without their rules nothing can be ranked."""
    sets = {**(results.get("metrics") or {}), "validation": results.get("validation")}
    scored = {name: scores for name, scores in sets.items() if scores}
    rules = {"protocol": results["protocol"]}
    rules |= {f"the protocol of {name}": own for name, each in scored.items() if (own := each.get("protocol"))}
    for name, each in rules.items():
        if not all(key in each for key in _RULES):
            raise ValueError(f"results.json is not that of a run: {name} has not all of {', '.join(_RULES)}")
    for name, each in scored.items():
        shaped = all(isinstance(each.get(key) or {}, Mapping) for key in ("bicubic", "per_image"))
        if not isinstance(each.get("images"), int) or not shaped:
            raise ValueError(f"results.json is not that of a run: the scores of {name} are not as it writes them")


def _readable(read: Callable[[Path], Mapping[str, Any]], path: Path, damaged: list[str]) -> Mapping[str, Any]:
    """Return what a file holds, or nothing with a sentence on it: a run's row needs its `results.json` alone."""
    try:
        return read(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        damaged.append(f"{path} is left out: {' '.join(str(error).split())}.")
        return {}


def _mappings(tree: Mapping[str, Any] | None) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries that are mappings: a configuration that was cut off may hold anything at its end."""
    return {key: value for key, value in tree.items() if isinstance(value, Mapping)} if tree else {}


def _commit(git: Mapping[str, Any] | None) -> str | None:
    return git["commit"][:10] + (", changed" if git["dirty"] else "") if git else None


def _read_config(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    config = yaml.load(path.read_text(), _YamlLoader)
    if not isinstance(config, dict):
        raise ValueError(f"expected a configuration, got {type(config).__name__}")
    return config
