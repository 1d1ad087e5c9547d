"""Which runs give the same result: the hash by which a cell's folder is named, and a run's `results.json` is known."""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

# What changes how or where a run is made, but not what it gives. Where images lie is not what they are: a set of the
# catalogue is known by its name, so that a checkout may be moved.
IRRELEVANT = (
    "resume", "compile", "preflight", "samples", "logger", "sweep", "paths.data", "paths.runs", "paths.cache",
    "names.experiment", "names.group", "callbacks.progress", "callbacks.panels", "callbacks.checkpoints", "model.spec",
    "data.root", "data.num_workers", "data.store", "data.device_cache", "data.mirrors", "data.download",
    "data.max_skipped", "data.allow_overlap", "trainer.accelerator", "trainer.devices", "trainer.num_nodes",
    "trainer.strategy", "trainer.log_every_steps",
)  # fmt: skip
# Of the facts on a data set, those that say which images it has.
_IMAGES = ("kind", "splits")
# Two of a million sweeps of a thousand cells would meet by chance.
DIGITS = 12


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
    facts = kept["data"].get("spec") or {}
    kept["data"]["spec"] = {key: facts[key] for key in _IMAGES if key in facts}
    return kept


def _drop(tree: dict[str, Any], path: list[str]) -> None:
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            return
        tree = tree[part]
    tree.pop(path[-1], None)
