"""A cell of a sweep: what became of it so far, and what a search is given of it.

A cell's folder follows from its configuration. The same command typed twice meets the same folders, so that finished
cells are left alone and the others go on, whatever launcher runs them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from sr_lightning.refusal import Refusal
from sr_lightning.report.identity import config_hash
from sr_lightning.report.results import read_results

# What a search is given of a cell.
Objectives = float | tuple[float, ...] | None


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
    """Look at the folder of a cell; `refuse_another` makes sure that what lies there is of the cell's configuration."""
    path = folder / "results.json"
    if not path.is_file():
        return CellState("unfinished" if (folder / "config.yaml").is_file() else "new", {})
    results = read_results(path)
    return CellState("finished" if results.get("status") == "finished" else "unfinished", results)


def refuse_another(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a cell whose folder holds a run of another configuration, as a `hydra.sweep.subdir` may let it meet.

    Args:
        folder: of the cell; need not be there.
        config: the cell's configuration, resolved.

    Raises:
        Refusal: there is such a run.
    """
    known = _hash_in(folder)
    if known is not None and known != config_hash(config):
        raise Refusal(
            f"{folder} holds a run of another configuration than this sweep's; give the sweep another "
            "hydra.sweep.dir, hydra.sweep.subdir or sweep.name, or take that folder away."
        )


def _hash_in(folder: Path) -> str | None:
    """Return the hash of the run in a folder, by its results or, where they cannot be read, by its configuration."""
    if results := read_results(folder / "results.json"):
        return results.get("config_hash")
    try:
        return config_hash(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        # There is none, or something that is no configuration of ours.
        return None


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
