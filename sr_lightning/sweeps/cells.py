"""A cell of a sweep: the hash that names its folder, and what became of it so far.

A cell's folder follows from its configuration. The same command typed twice meets the same folders, so that finished
cells are left alone and the others go on, whatever launcher runs them.
"""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sr_lightning.refusal import Refusal

# What changes how or where a run is made, but not what it gives.
IRRELEVANT = (
    "resume", "compile", "preflight", "samples", "logger", "paths", "sweep", "names.experiment", "names.group",
    "callbacks.progress", "callbacks.panels", "callbacks.checkpoints", "data.num_workers", "data.store",
    "data.device_cache", "data.mirrors", "data.download", "trainer.accelerator", "trainer.devices",
    "trainer.num_nodes", "trainer.strategy",
)  # fmt: skip
# Two of a million sweeps of a thousand cells would meet by chance.
DIGITS = 12

# What a search is given of a cell.
Objectives = float | tuple[float, ...] | None


def config_hash(config: Mapping[str, Any]) -> str:
    """Return 12 hex digits by which runs that give the same result are known.

    Args:
        config: a resolved configuration of `conf/train.yaml`, as plain values. Left-overs of losses without a
            `_target_` do not count, nor do the keys of `IRRELEVANT`; relative paths are those of the current folder.
    """
    text = json.dumps(relevant(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a resolved configuration decides on a run's result."""
    kept = copy.deepcopy(dict(config))
    for path in IRRELEVANT:
        _drop(kept, path.split("."))
    kept["loss"] = {
        name: term for name, term in kept["loss"].items() if not isinstance(term, Mapping) or "_target_" in term
    }
    return kept


def _drop(tree: dict[str, Any], path: list[str]) -> None:
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            return
        tree = tree[part]
    tree.pop(path[-1], None)


@dataclass(frozen=True)
class CellState:
    """What a cell's folder holds.

    Attributes:
        status: `new` (nothing of a run), `finished`, or `unfinished` (running, interrupted, failed or killed).
        results: the content of its `results.json`, empty where there is none.
    """

    status: Literal["new", "finished", "unfinished"]
    results: dict[str, Any]

    @property
    def psnr(self) -> float | None:
        """PSNR on the validation images in dB, None before it was scored."""
        return (self.results.get("validation") or {}).get("psnr")


def state_of(folder: Path) -> CellState:
    """Look at the folder of a cell; its name says that what lies there is of the same configuration."""
    path = folder / "results.json"
    if path.is_file():
        results = json.loads(path.read_text())
        return CellState("finished" if results["status"] == "finished" else "unfinished", results)
    return CellState("unfinished" if (folder / "config.yaml").is_file() else "new", {})


def objectives(results: Mapping[str, Any], paths: Sequence[str]) -> Objectives:
    """Return what a search is given of a finished cell: the value at a path of `results.json`, or a tuple of several.

    Args:
        results: the content of `results.json`.
        paths: `validation.psnr`, `metrics.Set5.psnr`, `multiply_adds`, ...

    Raises:
        Refusal: there is no number at a path.
    """
    values = tuple(_number(results, path) for path in paths)
    return values[0] if len(values) == 1 else values


def _number(results: Mapping[str, Any], path: str) -> float:
    found: Any = results
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Refusal(f"sweep.objectives: expected the path of a number in results.json, got {path}, which is {found}.")
    return float(found)
