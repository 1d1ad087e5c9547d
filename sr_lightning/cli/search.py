"""A search before it starts: its corners are checked, since its cells are not known yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.refuse import Impossible
from sr_lightning.cli.sweep import Cell, Check, group_argument
from sr_lightning.refusal import Refusal
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
    texts = [str(override.input_line) for override in overrides]
    space = read_space(settings["params"], texts)
    named = [] if whole.tree["names"]["group"] else [group_argument(whole.tree["sweep"]["name"], overrides)]
    of_hydra = [str(override.input_line) for override in overrides if override.is_hydra_override()]
    corners = []
    for values in _corners(space.corners()):
        task = [*space.texts(values), *named]
        corner = Cell(values, task, compose_checked(composer, [*of_hydra, *task]))
        try:
            check(corner.composed.tree, corner.composed.choices)
        except Impossible as refusal:
            raise Refusal(f"{corner.label}: {refusal}") from refusal
        corners.append(corner)
    # As Hydra will: an argument that only some of the searched choices know fails there.
    composer.compose([*of_hydra, *space.fixed])
    return Search(
        keys={key: str(each.input_line).partition("=")[2] for key, each in space.searched.items()},
        corners=corners,
        settings=settings,
        objectives=whole.tree["sweep"]["objectives"],
        overrides=[*texts, *named],
    )


def _corners(ends: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for end in ends:
        first, last = {**end, **first}, {**last, **end}
    corners = [{key: end.get(key, others[key]) for key in last} for others in (first, last) for end in ends]
    return [corner for place, corner in enumerate(corners) if corner not in corners[:place]]
