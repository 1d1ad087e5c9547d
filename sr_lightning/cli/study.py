"""The study of a search (`hparams_search=...`) before it goes on: is it asked what it was asked before?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr_lightning.cli.compose import Composed
from sr_lightning.cli.search import Search
from sr_lightning.metric_names import METRICS
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.report.files import write_json
from sr_lightning.report.identity import relevant
from sr_lightning.report.lock import is_held
from sr_lightning.sweeps.cells import state_of

# What scores are called in results.json, and which direction is better.
SCORES = {name: "minimize" if metric.lower_is_better else "maximize" for name, metric in METRICS.items()}
OTHERS = {
    "multiply_adds": "minimize",
    "parameters": "minimize",
    "seconds": "minimize",
    "samples_per_second": "maximize",
}
# In the sweep's folder: what is asked, and by default the trials.
QUESTION = "search.json"
DATABASE = "study.db"
# Differences that a refusal names.
MOST = 3


def check_study(search: Search, whole: Composed) -> None:
    """Refuse a search whose objectives make no sense, or whose study has trials of other settings.

    Args:
        search: what is searched.
        whole: what holds for all trials, with Hydra's part.

    Raises:
        Refusal: it cannot be searched.
    """
    if not whole.tree["sweep"]["name"]:
        raise Refusal("sweep.name: a search needs a name, by which the same command finds its study again.")
    directions = check_objectives(search.objectives, search.settings["direction"])
    settings = _flat(relevant(search.corners[0].config))
    question = {
        "objectives": dict(zip(search.objectives, directions, strict=True)),
        "searched": dict(search.keys),
        "settings": {
            key: value for key, value in settings.items() if key not in search.keys and not key.startswith("names.")
        },
    }
    _check_question(Path(whole.hydra("sweep.dir")) / QUESTION, question)


def check_objectives(objectives: Sequence[str], direction: str | Sequence[str]) -> list[str]:
    """Return the direction of each objective.

    Args:
        objectives: paths in `results.json`.
        direction: as configured: a text for one objective, a list for several.

    Raises:
        Refusal: results have no such value, or it would be made worse.
    """
    directions = [direction] if isinstance(direction, str) else list(direction)
    if len(directions) != len(objectives):
        raise Refusal(
            f"hydra.sweeper.direction: expected one for each of sweep.objectives ({', '.join(objectives)}), got "
            f"{', '.join(directions)}."
        )
    for path, given in zip(objectives, directions, strict=True):
        wanted = _better(path)
        if given != wanted:
            raise Refusal(f"hydra.sweeper.direction: expected {wanted} for {path}, got {given}.")
    return directions


def _better(path: str) -> str:
    first, _, rest = path.partition(".")
    known, name = {"validation": (SCORES, rest), "metrics": (SCORES, rest.partition(".")[2])}.get(first, (OTHERS, path))
    if name not in known:
        valid = [*(f"validation.{score}" for score in SCORES), *OTHERS]
        raise Refusal(
            f"sweep.objectives: expected paths in results.json ({', '.join(valid)}, metrics.<Set>.psnr), got {path}"
            f"{nearest(path, valid)}"
        )
    return known[name]


def _check_question(path: Path, question: Mapping[str, Any]) -> None:
    # As it will be read.
    now = _flat(json.loads(json.dumps(question)))
    earlier = _flat(json.loads(path.read_text())) if path.is_file() else {}
    changed = [key for key in {**earlier, **now} if earlier.get(key) != now.get(key)]
    if not changed:
        return
    told = [f"{key.removeprefix('settings.')} was {earlier.get(key)}, now {now.get(key)}" for key in changed[:MOST]]
    if len(changed) > MOST:
        told.append(f"and {len(changed) - MOST} more")
    begun = f"the study in {path.parent} was begun with other settings ({', '.join(told)})"
    if _has_results(path.parent):
        raise Refusal(f"{begun}, with which trials do not compare; sweep.name=NAME begins another.")
    if (path.parent / DATABASE).is_file():
        (path.parent / DATABASE).unlink()
        print(f"{begun}; none of its trials has finished, so it begins anew and forgets them", flush=True)
    write_json(path, dict(question))


def _has_results(folder: Path) -> bool:
    """Whether a trial has finished, or may be about to."""
    return is_held(folder) or any(state_of(path.parent).status == "finished" for path in folder.glob("*/results.json"))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
