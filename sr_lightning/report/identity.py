"""Which runs give the same result: the hash by which a cell's folder is named, and a run's `results.json` is known."""

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# What changes how or where a run is made, but not what it gives. Where images lie is not what they are: a set of the
# catalogue is known by its name, one of `paths.catalogue` by what its yaml says, so that a checkout may be moved.
IRRELEVANT = (
    "resume", "compile", "preflight", "samples", "logger", "sweep", "paths.data", "paths.runs", "paths.cache",
    "names.experiment", "names.group", "callbacks.progress", "callbacks.panels", "callbacks.checkpoints", "model.spec",
    "data.root", "data.num_workers", "data.store", "data.device_cache", "data.mirrors", "data.download",
    "data.max_skipped", "data.allow_overlap", "trainer.accelerator", "trainer.devices", "trainer.num_nodes",
    "trainer.strategy", "trainer.log_every_steps",
)  # fmt: skip
# Keys that runs of earlier versions do not have, with the value that means what these did.
_LATER = {
    "metrics": "auto", "regions": False, "degradations": None, "model.pretrained": None,
    "model.pretrained_strict": True,
}  # fmt: skip
_ANY = object()
# Of the facts on a data set, those that say which images it has; of one to evaluate on, how it is scored too.
_IMAGES = ("kind", "splits")
_SCORED = (*_IMAGES, "protocol")
# Two of a million sweeps of a thousand cells would meet by chance.
DIGITS = 12


def config_hash(config: Mapping[str, Any]) -> str:
    """Return 12 hex digits by which runs that give the same result are known.

    `trainer.precision=auto` counts as it is written: it asks for what the machine is quick at, so that a cell that a
    GPU began in bfloat16 goes on, or counts as finished, on a CPU that takes float32. Which it was stands in
    `results.json`; a sweep that is to have one precision everywhere says which.

    Args:
        config: a resolved configuration of `conf/train.yaml`, as plain values. Left-overs of losses without a
            `_target_` do not count, nor do the keys of `IRRELEVANT`; relative paths are those of the current folder.
            Of the folders in `paths.catalogue`, the sets that `data.val`, `data.sets` and `eval` name are read.
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
    for path, default in _LATER.items():
        _drop(kept, path.split("."), default)
    facts = kept["data"].get("spec") or {}
    kept["data"]["spec"] = {key: facts[key] for key in _IMAGES if key in facts}
    kept["paths"]["catalogue"] = list(_own_sets(config))
    return kept


def _own_sets(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the facts of the sets of `paths.catalogue` that a configuration names; its own stand in it."""
    named = _lowered(_named_sets(config))
    for folder in config["paths"].get("catalogue") or ():
        for path in sorted(Path(folder).expanduser().glob("*.yaml")):
            facts = _facts(path, path.stat().st_mtime_ns)
            if named & _lowered([path.stem, facts.get("title"), *(facts.get("aliases") or ())]):
                yield {"name": path.stem, **{key: facts[key] for key in _SCORED if key in facts}}


def _named_sets(config: Mapping[str, Any]) -> Iterable[Any]:
    evaluated = config.get("eval") or ()
    return [
        *([evaluated] if isinstance(evaluated, str) else evaluated),
        *(config["data"].get("sets") or ()),
        config["data"].get("val"),
    ]


def _lowered(names: Iterable[Any]) -> set[str]:
    return {str(name).lower() for name in names if name is not None}


@cache
def _facts(path: Path, changed: int) -> dict[str, Any]:
    """Read the facts of a set, once for as long as its yaml stays the same; a sweep asks for each of its cells."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return content.get("spec") or {}


def _drop(tree: dict[str, Any], path: list[str], value: Any = _ANY) -> None:
    """Take a key away, where it has a value."""
    for part in path[:-1]:
        if not isinstance(tree.get(part), dict):
            return
        tree = tree[part]
    if value is _ANY or tree.get(path[-1], _ANY) == value:
        tree.pop(path[-1], None)
