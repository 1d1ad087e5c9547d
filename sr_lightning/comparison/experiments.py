"""Which runs are one experiment, and what tells runs apart: experiments, labels, overrides."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sr_lightning.comparison.runs import Run
from sr_lightning.report.identity import IRRELEVANT

# What changes how or where a run is made but not what it gives, as a sweep's cells have it, and the seed.
NOT_AN_EXPERIMENT = (
    *IRRELEVANT, "seed", "paths", "names", "hydra", "model.pretrained_strict", "metrics", "regions", "degradations",
)  # fmt: skip
# Groups of whose choice a run's facts have the name; their classes and the scale in them say nothing more.
_NAMED = ("model", "module", "loss", "data", "degradation")
# Shown for each run anyway.
_COLUMNS = ("protocol", "trainer.max_steps", "callbacks.ema", "model.pretrained")
# More would be no name any more.
_MOST_DIFFERENCES = 3


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a configuration by dotted keys, without what says nothing of an experiment."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        # Runs from before it could be given have no such key, and began with random weights too.
        began_random = path == "model.pretrained" and value is None
        if path in NOT_AN_EXPERIMENT or key == "spec" or began_random:
            continue
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{path}.")
        else:
            found[path] = value
    return found


def experiments(runs: Sequence[Run], configs: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the number of each run's experiment: runs that differ in the seed alone share one.

    Args:
        runs: the runs.
        configs: of each run, as `flat` returns it; without one a run's facts tell.
    """
    numbers: dict[str, int] = {}
    found = []
    for run, config in zip(runs, configs, strict=True):
        facts = (
            run.model,
            run.module,
            run.loss,
            run.data,
            run.scale,
            run.max_steps,
            run.ema,
            run.degradation,
            run.warm_start,
        )
        identity = repr(sorted(config.items(), key=lambda item: item[0]) if config else facts)
        found.append(numbers.setdefault(f"{run.model} {identity}", len(numbers)))
    return found


def overrides(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each configuration the keys in which those that have them differ, without what has a name.

    A class stands under its group by its name alone: `scheduler: Cosine`.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for config in configs:
        for key, value in config.items():
            values[key].add(repr(value))
    differing = {key for key, found in values.items() if len(found) > 1 and not _is_shown(key)}
    return [dict(_by_name(key, value) for key, value in config.items() if key in differing) for config in configs]


def _by_name(key: str, value: Any) -> tuple[str, Any]:
    group, _, last = key.rpartition(".")
    return (group, str(value).rpartition(".")[2]) if last == "_target_" else (key, value)


def _is_shown(key: str) -> bool:
    """Whether a run's facts say what a key says."""
    last = key.rpartition(".")[2]
    named = key.partition(".")[0] in _NAMED and last == "_target_"
    return named or last == "scale" or key.startswith(_COLUMNS)


def labels(runs: Sequence[Run], configs: Sequence[Mapping[str, Any]], *, seeds: bool = True) -> list[str]:
    """Name runs: model, loss and scale, and what tells a run from others with the same three.

    Args:
        runs: the runs.
        configs: of each run, as `flat` returns it.
        seeds: whether the seed tells runs apart; without it those of one experiment share a name.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for number, run in enumerate(runs):
        groups[f"{run.model} {run.loss} x{run.scale}"].append(number)
    found: dict[int, str] = {}
    for base, numbers in groups.items():
        decays = {runs[number].ema for number in numbers} - {None}
        facts = [_facts(runs[number], seeds=seeds, several_decays=len(decays) > 1) for number in numbers]
        differing = [key for key in facts[0] if len({fact[key] for fact in facts}) > 1]
        rest = overrides([configs[number] for number in numbers])
        for number, fact, override in zip(numbers, facts, rest, strict=True):
            found[number] = " ".join([base, *_parts({key: fact[key] for key in differing}, override)])
    names = [found[number] for number in range(len(runs))]
    return _unique(names, runs) if seeds else names


def _parts(facts: Mapping[str, Any], override: Mapping[str, Any]) -> list[str]:
    """Return what tells a run from the others: facts first, then single keys, the seed last."""
    seed = [f"seed={facts['seed']}"] if "seed" in facts else []
    ema = [facts["ema"]] if facts.get("ema") else []
    parts = [f"{key}={_short(value)}" for key, value in facts.items() if key not in ("ema", "seed")]
    # A data set, module or degradation that differs brings keys of its own.
    brought = tuple(f"{key}." for key in facts)
    own = [(key, value) for key, value in sorted(override.items()) if not key.startswith(brought)]
    return [*parts, *(_part(key, value) for key, value in own[:_MOST_DIFFERENCES]), *ema, *seed]


def _part(key: str, value: Any) -> str:
    """Return a key by its last name: lr=0.1, optimizer=SGD."""
    return f"{key.rpartition('.')[2]}={_short(value)}"


def _facts(run: Run, *, seeds: bool, several_decays: bool) -> dict[str, Any]:
    ema = f"EMA={_short(run.ema)}" if several_decays else "EMA"
    facts = {
        "data": run.data,
        "module": run.module,
        # resize_pil_x4_...: what follows the scale stands among the keys.
        "degradation": (run.degradation or "").partition(f"_x{run.scale}")[0],
        "steps": run.max_steps,
        "ema": None if run.ema is None else ema,
        "warm_start": run.warm_start or "no",
    }
    return {**facts, "seed": run.seed} if seeds else facts


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"...{text[-20:]}"


def _unique(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Add the folder's name where names are the same, since the same run was made twice; its path, if need be."""
    for path in (False, True):
        counts = Counter(names)
        names = [
            f"{name} ({run.folder if path else run.folder.name})" if counts[name] > 1 else name
            for name, run in zip(names, runs, strict=True)
        ]
    return list(names)
