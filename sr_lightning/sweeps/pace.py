"""How long a step takes: of which kind a run is, and what earlier runs of its kind took."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sr_lightning.report.files import write_json
from sr_lightning.sweeps.device import Device

# Earlier runs that are looked at, the newest first.
MOST_RUNS = 300
# Of a configuration, what decides how long a step takes.
DECISIVE = ("model", "module", "loss", "optimizer", "degradation", "augment", "scale", "compile")
DECISIVE_OF = {
    "data": ("batch_size", "hr_patch", "lr_patch", "crop", "scales", "lr_dir", "device_cache"),
    "trainer": ("precision", "accelerator", "devices", "num_nodes"),
}
# Facts about a network, and where the weights of a loss lie.
IGNORED = ("spec", "weights", "seed")
# libyaml's is ten times as quick, where it was built.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Pace:
    """What a run takes on one device.

    Attributes:
        step: seconds of a step.
        pixel: seconds to score one HR pixel of an image. 0 where `step` has its share of the validations.
        besides: seconds before the first step and after the last; None where only starting is known.
    """

    step: float
    pixel: float = 0.0
    besides: float | None = None


def kind_of(config: Mapping[str, Any]) -> str:
    """Return twelve hex digits that runs share whose steps take the same time.

    Learning rates, weights and other fractions change the result, not the time.

    Args:
        config: resolved, as plain values.
    """
    kept = {key: config.get(key) for key in DECISIVE}
    kept |= {group: {key: config[group].get(key) for key in keys} for group, keys in DECISIVE_OF.items()}
    if "pretrain_steps" in config["module"]:
        # The two phases of a GAN take different times.
        kept["max_steps"] = config["trainer"]["max_steps"]
    return hashlib.sha256(json.dumps(_timeless(kept), sort_keys=True).encode()).hexdigest()[:12]


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _timeless(entry) for key, entry in value.items() if key not in IGNORED}
    if isinstance(value, list):
        return [_timeless(entry) for entry in value]
    return "a fraction" if isinstance(value, float) else value


def paces_of_runs(runs: Path, kinds: Collection[str], device: Device | None) -> dict[str, Pace]:
    """Return what the newest run of each kind took; kinds of which there is none are absent.

    Args:
        runs: the folder of all runs.
        kinds: those wanted, by `kind_of`.
        device: of the jobs; runs on others tell nothing. None takes any.
    """
    found: dict[str, Pace] = {}
    for folder in _newest(runs):
        if len(found) == len(kinds):
            break
        results = _read(folder / "results.json", json.loads)
        if not results or not results.get("steps") or not results.get("seconds"):
            continue
        threads = results.get("threads")
        if device and (results.get("device") != device.name or (device.threads and threads != device.threads)):
            continue
        config = _read(folder / "config.yaml", lambda text: yaml.load(text, Loader=_Loader))
        kind = _kind_of_old(config or {})
        if kind and kind in kinds and kind not in found:
            found[kind] = Pace(step=results["seconds"] / results["steps"], besides=_besides(folder, results))
    return found


def _kind_of_old(config: Mapping[str, Any]) -> str | None:
    """Return the kind of a run that another version may have made."""
    try:
        return kind_of(config)
    except (KeyError, TypeError, AttributeError):
        return None


def _besides(folder: Path, results: Mapping[str, Any]) -> float | None:
    """Return the seconds of a finished run that its steps did not take, by the times of its files."""
    begun, ended = ((folder / name).stat().st_mtime for name in ("config.yaml", "results.json"))
    rest = ended - begun - float(results["seconds"])
    # A run that went on wrote its configuration anew; files that were copied have other times.
    return rest if results["status"] == "finished" and 0 < rest < results["seconds"] + 600 else None


def _newest(runs: Path) -> list[Path]:
    found = sorted(_folders(runs), key=lambda folder: (folder / "results.json").stat().st_mtime, reverse=True)
    return found[:MOST_RUNS]


def _folders(root: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(root):
        if "results.json" in files and "config.yaml" in files:
            # A run's own folders hold no runs, but many files.
            folders.clear()
            yield Path(parent)


def _read(path: Path, parse: Any) -> dict[str, Any] | None:
    """Return what a file holds, None where another version or a kill left something else."""
    try:
        content = parse(path.read_text())
        return content if isinstance(content, dict) else None
    except (OSError, ValueError, yaml.YAMLError):
        return None


class Measured:
    """What was measured on this machine, kept in a file from sweep to sweep.

    Args:
        path: `pace.json` of the cache.
        device: on which.
    """

    def __init__(self, path: Path, device: Device) -> None:
        self.path = path
        self.device = device

    @property
    def starting(self) -> float | None:
        """Seconds until a process of a job has imported what it needs; None before the first measurement."""
        return self._here.get("starting")

    def get(self, kind: str) -> Pace | None:
        """Return what a kind of run takes, None where it was not measured."""
        found = self._here.get("kinds", {}).get(kind)
        return Pace(step=found["step"], pixel=found["pixel"]) if found else None

    def add(self, starting: float, kinds: Mapping[str, Mapping[str, float]]) -> None:
        """Keep a measurement: seconds of `step` and `pixel` by kind."""
        content = _read(self.path, json.loads) or {}
        here = content.get(self.device.key, {"kinds": {}})
        merged = {**here["kinds"], **kinds}
        write_json(self.path, {**content, self.device.key: {"starting": starting, "kinds": merged}})

    @property
    def _here(self) -> dict[str, Any]:
        content = _read(self.path, json.loads) or {}
        return dict(content.get(self.device.key, {}))
