"""How long the cells of a sweep will take: by earlier runs, else by a few timed steps. No torch in this process."""

import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from sr_lightning.data.benchmarks import find_sets, reportable
from sr_lightning.data.catalogue import catalogue
from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import image_channels, locate
from sr_lightning.sweeps.device import Device
from sr_lightning.sweeps.jobs import python_path
from sr_lightning.sweeps.pace import Measured, Pace, kind_of, paces_of_runs

# Seconds until a process has imported what it needs, where that was not measured yet.
STARTING = 10.0
# Seconds in which kinds of cells are timed, and after which a measurement is given up; torch is imported before.
BUDGET = 30.0
PATIENCE = 180.0

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """What is still to be done of a cell.

    Attributes:
        config: resolved, as plain values.
        steps: still to be trained; 0 of a finished cell.
    """

    config: Config
    steps: int


@dataclass(frozen=True)
class Outlook:
    """What is known of a cell before it is trained.

    Attributes:
        seconds: that it will take; None where nothing is known.
        impossible: why its network cannot be built, where a measurement has found that out; else None.
    """

    seconds: float | None
    impossible: str | None = None


def estimate(tasks: Sequence[Task], device: Device | None) -> list[Outlook]:
    """Return how long each cell will take.

    What earlier runs of the same kind took on this device comes first, then what was measured before, then a
    measurement. Decoding images that the cache does not have yet, and downloads, are not counted.

    Args:
        tasks: one for each cell.
        device: of the jobs; None for jobs elsewhere, of which only earlier runs tell.
    """
    waiting = [task for task in tasks if task.steps]
    configs = {kind_of(task.config): task.config for task in waiting}
    if not configs:
        return [Outlook(0.0)] * len(tasks)
    paths = waiting[0].config["paths"]
    known = paces_of_runs(Path(paths["runs"]).expanduser(), configs, device)
    starting: float | None = None
    impossible: dict[str, str] = {}
    if device is not None:
        measured = Measured(Path(paths["cache"]).expanduser() / "pace.json", device)
        missing = {kind: config for kind, config in configs.items() if not known.get(kind) and not measured.get(kind)}
        if missing:
            impossible = _measure(missing, measured)
        known = {kind: pace for kind in configs if (pace := known.get(kind) or measured.get(kind))}
        starting = measured.starting
    starting = STARTING if starting is None else starting
    return [Outlook(_seconds(task, known, starting), _reason(task, configs, impossible)) for task in tasks]


def _reason(task: Task, tried: Mapping[str, Config], impossible: Mapping[str, str]) -> str | None:
    kind = kind_of(task.config)
    # Others of the kind have other fractions, which their network may take.
    return impossible[kind] if kind in impossible and task.config["model"] == tried[kind]["model"] else None


def _seconds(task: Task, known: Mapping[str, Pace], starting: float) -> float | None:
    if not task.steps:
        return 0.0
    pace = known.get(kind_of(task.config))
    if pace is None:
        return None
    if pace.besides is not None:
        return starting + task.steps * pace.step + pace.besides
    validation, report = scored_pixels(task.config)
    validations: float = task.steps / task.config["trainer"]["val_every_steps"]
    return starting + task.steps * pace.step + pace.pixel * (validation * validations + report)


def scored_pixels(config: Config) -> tuple[int, int]:
    """Return the HR pixels of one validation, and of the scoring at the end; 0 where images are not there yet."""
    asked = {key: config[key] for key in ("data", "scale", "eval", "eval_exclude", "paths", "names", "model")}
    return _scored_pixels(json.dumps(asked))


@cache
def _scored_pixels(asked: str) -> tuple[int, int]:
    config: Config = json.loads(asked)
    data, scale = config["data"], int(config["scale"])
    entries = catalogue([Path(folder).expanduser() for folder in config["paths"]["catalogue"]])
    names = [config["eval"]] if isinstance(config["eval"], str) else config["eval"]
    channels = image_channels(config["model"])
    try:
        images = locate(data, name=config["names"]["data"], scale=scale, entries=entries, channels=channels)
        validation = sum(map(_pixels, images.val))
        sets = find_sets(
            Path(data["root"]).expanduser(), scale=scale, names=names, exclude=config["eval_exclude"], entries=entries
        )
    except DataError:
        return 0, 0
    reported = sum(_pixels(path) for each in reportable(sets, chosen_on=images.val) for path in each.hr)
    return validation, validation + reported


def _pixels(path: Path) -> int:
    try:
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:  # Pillow's plugins raise many types; arrays of bands are none of its
        return 0


def _measure(configs: Mapping[str, Config], measured: Measured) -> dict[str, str]:
    """Time one kind after the other in a process that ends; whatever goes wrong there, the sweep can start.

    Returns:
        Why the network of a kind cannot be built, by kind.
    """
    device = measured.device
    environment = {**os.environ, "PYTHONPATH": python_path(), "CUDA_VISIBLE_DEVICES": device.gpu or ""}
    if device.threads is not None:
        environment["OMP_NUM_THREADS"] = str(device.threads)
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "asked.json"), Path(folder, "answer.json")
        asked.write_text(json.dumps({"begun": time.time(), "budget": BUDGET, "kinds": configs}))
        command = [sys.executable, "-m", "sr_lightning.engine.estimate", str(asked), str(answer)]
        try:
            subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE, check=True)
        except (OSError, subprocess.SubprocessError):
            return {}
        found = json.loads(answer.read_text())
    measured.add(found["starting"], found["kinds"])
    return dict(found["impossible"])


def time_for_all(seconds: Sequence[float], *, at_once: int) -> float:
    """Return when the last of some jobs ends if each starts, in order, as soon as one of `at_once` places is free."""
    places = [0.0] * at_once
    for each in seconds:
        heapq.heapreplace(places, places[0] + each)
    return max(places)
