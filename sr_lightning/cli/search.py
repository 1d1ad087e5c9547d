"""A search before it starts: its corners are checked, since its cells are not known yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from hydra.core.override_parser.types import Override

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.left_over import left_over
from sr_lightning.cli.refuse import Impossible
from sr_lightning.cli.sweep import Cell, Check, group_argument
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.sweeps.space import read_space


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
        keys: how each key was written: `choice(16,32)`, `interval(0.1,1)`.
        corners: cells at the ends of the keys.
        settings: `hydra.sweeper`.
        objectives: what is told of each trial.
        overrides: what Hydra gets as its arguments.
    """

    keys: Mapping[str, str]
    corners: list[Cell]
    settings: Mapping[str, Any]
    objectives: Sequence[str]
    overrides: list[str]


def plan_search(composer: Composer, overrides: Sequence[Override], whole: Composed, check: Check) -> Search:
    """Check the corners of a search: each choice or end of a key, with the others at their first and at their last.

    Args:
        composer: of the command's yaml.
        overrides: the arguments.
        whole: what was composed of those that concern the sweep as a whole.
        check: refuses a composed cell that cannot be trained.

    Raises:
        Refusal: nothing is searched, an argument is wrong, or a corner cannot be trained.
    """
    settings = whole.hydra("sweeper")
    _check_settings(settings)
    texts = [str(override.input_line) for override in overrides]
    space = read_space(settings["params"], texts)
    named = [] if whole.tree["names"]["group"] else [group_argument(whole.tree["sweep"]["name"], overrides)]
    of_hydra = [str(override.input_line) for override in overrides if override.is_hydra_override()]
    left = left_over(composer, [*of_hydra, *space.fixed])
    corners = []
    for values in _corners(space.corners()):
        task = [*space.texts(values), *named]
        composed = compose_checked(composer, [*of_hydra, *task], left.overrides)
        corner = Cell(values, [*task, *left.overrides], composed)
        try:
            check(corner.composed.tree, corner.composed.choices)
        except Impossible as refusal:
            raise Refusal(f"{corner.label}: {refusal}") from refusal
        corners.append(corner)
    # As Hydra will: an argument that only some of the searched choices know fails there.
    composer.compose([*of_hydra, *space.fixed, *left.overrides])
    left.say()
    return Search(
        keys={key: str(each.input_line).partition("=")[2] for key, each in space.searched.items()},
        corners=corners,
        settings=settings,
        objectives=whole.tree["sweep"]["objectives"],
        overrides=[*texts, *named, *left.overrides],
    )


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse what Hydra hands to a search unread; a sweeper of another kind may have none of these keys."""
    for key, least in (("n_trials", 1), ("n_jobs", 1), ("seed", 0)):
        value = settings.get(key, least)
        if type(value) is not int or value < least:
            raise Refusal(f"hydra.sweeper.{key}: expected an integer from {least} on, got {value!r}.")
    rate = settings.get("max_failure_rate", 0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise Refusal(f"hydra.sweeper.max_failure_rate: expected a share from 0 to 1, got {rate!r}.")
    storage = settings.get("storage", "sqlite:///")
    if not isinstance(storage, str) or "://" not in storage:
        raise Refusal(f"hydra.sweeper.storage: expected a database such as sqlite:///study.db, got {storage!r}.")
    module, _, name = str((settings.get("sampler") or {}).get("_target_", "")).rpartition(".")
    if module == "optuna.samplers" and find_spec("optuna"):
        known = import_module(module).__all__
        if name not in known:
            raise Refusal(f"hydra.sweeper.sampler._target_: optuna.samplers has no {name}{nearest(name, known)}")


def _corners(ends: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for end in ends:
        first, last = {**end, **first}, {**last, **end}
    corners = [{key: end.get(key, others[key]) for key in last} for others in (first, last) for end in ends]
    return [corner for place, corner in enumerate(corners) if corner not in corners[:place]]
