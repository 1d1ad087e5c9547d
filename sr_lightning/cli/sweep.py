"""What a sweep is made of, before it starts: its cells, composed and checked, and the name of their group."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override

from sr_lightning.cli.check import LOOSE, compose_checked
from sr_lightning.cli.compose import Composed, Composer, Tree, cells, quoted
from sr_lightning.cli.left_over import left_over
from sr_lightning.cli.refuse import Impossible, looking_once
from sr_lightning.cli.resolve import on_its_own
from sr_lightning.refusal import Refusal
from sr_lightning.report.identity import IRRELEVANT, config_hash
from sr_lightning.sweeps.cells import refuse_another

Check = Callable[[Tree, dict[str, Any]], None]

# Keys of which a sweep has one value.
SINGLE = ("sweep.", "names.", "preflight", "resume")
# Of the other arguments Hydra is told of a sweep, what it composes without the swept values: `model.depth=4` may be a
# key of the swept networks alone.
WHOLE = ("sweep.", "names.", "paths.")
# Reasons why cells cannot be trained that a refusal names.
MOST_REASONS = 6


@dataclass(frozen=True)
class Cell:
    """One job of a sweep.

    Attributes:
        values: what it has of the swept keys, as typed.
        overrides: of which it is composed.
        composed: its configuration.
    """

    values: Mapping[str, str]
    overrides: list[str]
    composed: Composed

    @property
    def config(self) -> Tree:
        """Its configuration as its run will have it."""
        return on_its_own(self.composed.tree)

    @property
    def label(self) -> str:
        """The values by which it differs from other cells."""
        return " ".join(f"{key}={value}" for key, value in self.values.items())


@dataclass(frozen=True)
class LeftOut:
    """A cell that is not trained, and why: it cannot be, or another gives the same."""

    cell: Cell
    reason: str


@dataclass(frozen=True)
class Sweep:
    """The cells of a sweep.

    Attributes:
        group: what its runs have in common, as `names.group`.
        manifest: the file that lists its cells.
        cells: what is trained, in order, each with its run's folder.
        left_out: what is not.
        whole: what was composed without the swept values; its launcher is that of the sweep.
        overrides: what Hydra gets as its arguments.
    """

    group: str
    manifest: Path
    cells: list[tuple[Cell, Path]]
    left_out: list[LeftOut]
    whole: Composed
    overrides: list[str]


def compose_whole(composer: Composer, overrides: Sequence[Override]) -> tuple[Composed, list[str]]:
    """Compose what holds for a sweep as a whole (its launcher, sweeper, folder), and return what of."""
    kept = [
        str(override.input_line)
        for override in overrides
        if not override.is_sweep_override()
        and (override.is_hydra_override() or override.key_or_group in LOOSE or override.key_or_group.startswith(WHOLE))
    ]
    try:
        return composer.compose(kept), kept
    except Refusal:
        # It says more plainly what is wrong with a choice or a key.
        compose_checked(composer, kept)
        raise


def check_single(overrides: Sequence[Override]) -> None:
    """Refuse a sweep over what a sweep has one value of, and what only a single run can do."""
    for override in overrides:
        key = override.key_or_group
        if override.is_sweep_override() and key.startswith((*SINGLE, "hydra")):
            raise Refusal(f"{key}: a sweep has one value of it, got several: {override.input_line}.")
        if key == "resume" and override.value() is not None:
            raise Refusal("resume goes on with one run, without -m; a sweep goes on by the command that started it.")
        if key == "preflight" and override.value() == "only":
            raise Refusal(
                "preflight=only looks at one run, without -m; of a sweep every cell is checked and its time estimated "
                "before it starts."
            )


def plan_sweep(
    composer: Composer, overrides: Sequence[Override], whole: Composed, kept: Sequence[str], check: Check
) -> Sweep:
    """Compose and check every cell of a sweep.

    Args:
        composer: of the command's yaml.
        overrides: the arguments.
        whole: what was composed of those that concern the sweep as a whole.
        kept: those arguments.
        check: refuses a composed cell that cannot be trained.

    Raises:
        Refusal: an argument is wrong, images are missing, cells cannot be trained and are not to be left out, or the
            folder of one holds another run.
    """
    overrides = with_params(composer, whole, overrides)
    given, name = whole.tree["names"]["group"], whole.tree["sweep"]["name"]
    named = [] if given else [group_argument(name, overrides)]
    group = given or name or group_name(overrides)
    expanded = expand(composer, overrides, named)
    possible, impossible = _separate(expanded, check)
    _refuse_unless_skipped(impossible, expanded, whole)
    distinct, repeated = _once_each(possible)
    folder = Path(whole.hydra("sweep.dir"))
    manifest = folder / f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', group)}.json"
    return Sweep(
        group=group,
        manifest=manifest,
        cells=_with_folders(distinct),
        left_out=[*impossible, *repeated],
        whole=whole,
        overrides=[
            # What its keys say has been read.
            *(text for text in kept if not text.lstrip("+").startswith(("hydra/sweeper", "hydra.sweeper."))),
            *named,
            "hydra/sweeper=cells",
            f"hydra.sweeper.manifest={quoted(str(manifest))}",
        ],
    )


def without_impossible(sweep: Sweep, reasons: Sequence[str | None]) -> Sweep:
    """Leave out cells that turn out to be impossible once their sweep is planned.

    Args:
        sweep: as planned.
        reasons: why each of its cells cannot be trained, None of one that can be.

    Raises:
        Refusal: there are such cells, and they are not to be left out or are all that there is.
    """
    cells = [cell for cell, _ in sweep.cells]
    impossible = [LeftOut(cell, reason) for cell, reason in zip(cells, reasons, strict=True) if reason]
    _refuse_unless_skipped(impossible, cells, sweep.whole)
    left = [cell for cell, reason in zip(cells, reasons, strict=True) if not reason]
    # Where folders are named by number, those behind move up.
    return replace(sweep, cells=_with_folders(left), left_out=[*impossible, *sweep.left_out])


def _refuse_unless_skipped(impossible: Sequence[LeftOut], expanded: Sequence[Cell], whole: Composed) -> None:
    if impossible and (len(impossible) == len(expanded) or not whole.tree["sweep"]["skip_impossible"]):
        raise Refusal(_refusal_of(impossible, expanded))


def with_params(composer: Composer, whole: Composed, overrides: Sequence[Override]) -> list[Override]:
    """Add the keys that a yaml sweeps over (`hydra.sweeper.params`), where the arguments do not have them."""
    given = {override.key_or_group for override in overrides}
    params = composer.parse([f"{key}={value}" for key, value in (whole.hydra("sweeper.params") or {}).items()])
    return [*(param for param in params if param.key_or_group not in given), *overrides]


def group_argument(name: str | None, overrides: Sequence[Override]) -> str:
    """Return the argument by which runs of a sweep share a group."""
    group = name or group_name(overrides)
    return f"names.group={group if re.fullmatch(r'[A-Za-z][A-Za-z0-9_.+-]*', group) else quoted(group)}"


def group_name(overrides: Sequence[Override]) -> str:
    """Return a name for a sweep without one: its swept keys, and six digits of all arguments that change a result.

    Typed again with another logger or number of devices, it is the same sweep.
    """
    swept = [override.key_or_group for override in overrides if override.is_sweep_override()]
    what = sorted(
        str(override.input_line)
        for override in overrides
        if not override.is_hydra_override() and not _is_irrelevant(override.key_or_group)
    )
    digest = hashlib.sha256("\n".join(what).encode()).hexdigest()[:6]
    return f"{'+'.join(key.replace('/', '.') for key in swept) or 'sweep'}_{digest}"


def _is_irrelevant(key: str) -> bool:
    return any(key == path or key.startswith(f"{path}.") for path in IRRELEVANT)


def expand(composer: Composer, overrides: Sequence[Override], further: Sequence[str]) -> list[Cell]:
    """Compose every combination of the swept values; keys, choices and types are checked.

    Args:
        composer: of the command's yaml.
        overrides: the arguments.
        further: arguments of every cell besides.
    """
    swept = [override.get_key_element() for override in overrides if override.is_sweep_override()]
    made = []
    said: set[str | None] = set()
    for texts in cells(overrides):
        values = {key.lstrip("+"): value for key, _, value in (text.partition("=") for text in texts) if key in swept}
        task = [text for text in texts if not text.lstrip("+~").startswith(("hydra.", "hydra/"))]
        left = left_over(composer, texts)
        if left.said not in said:
            left.say()
            said.add(left.said)
        composed = compose_checked(composer, [*texts, *further], left.overrides)
        made.append(Cell(values, [*task, *further, *left.overrides], composed))
    return made


def _separate(expanded: Sequence[Cell], check: Check) -> tuple[list[Cell], list[LeftOut]]:
    possible, impossible = [], []
    with looking_once():
        for cell in expanded:
            try:
                check(cell.composed.tree, cell.composed.choices)
                possible.append(cell)
            except Impossible as refusal:
                impossible.append(LeftOut(cell, str(refusal)))
    return possible, impossible


def _refusal_of(impossible: Sequence[LeftOut], expanded: Sequence[Cell]) -> str:
    """Return the line that names the cells that cannot be trained, those of one reason together."""
    by_reason: dict[str, list[Cell]] = {}
    for each in impossible:
        by_reason.setdefault(each.reason, []).append(each.cell)
    if len(by_reason) == 1 and len(impossible) == len(expanded):
        return impossible[0].reason
    named = list(by_reason.items())[:MOST_REASONS]
    lines = [f"{_in_common(found, expanded)}: {reason.rstrip('.')}" for reason, found in named]
    if more := len(by_reason) - len(lines):
        lines.append(f"and {more} other reasons")
    rest = len(expanded) - len(impossible)
    hint = "; sweep.skip_impossible=true leaves them out." if rest else "."
    return f"{len(impossible)} of {len(expanded)} cells cannot be trained: {'; '.join(lines)}{hint}"


def _in_common(found: Sequence[Cell], expanded: Sequence[Cell]) -> str:
    """Return the values by which some cells differ from others."""
    pairs = [
        f"{key}={value}"
        for key, value in found[0].values.items()
        if all(cell.values[key] == value for cell in found) and any(cell.values[key] != value for cell in expanded)
    ]
    count = f" ({len(found)} cells)" if len(found) > 1 else ""
    return " ".join(pairs) + count


def _once_each(possible: Sequence[Cell]) -> tuple[list[Cell], list[LeftOut]]:
    distinct: dict[str, Cell] = {}
    repeated = []
    for cell in possible:
        known = distinct.setdefault(config_hash(cell.config), cell)
        if known is not cell:
            repeated.append(LeftOut(cell, f"gives the same as {known.label}"))
    return list(distinct.values()), repeated


def _with_folders(distinct: Sequence[Cell]) -> list[tuple[Cell, Path]]:
    placed: dict[Path, Cell] = {}
    for number, cell in enumerate(distinct):
        folder = cell.composed.folder(number)
        if folder in placed:
            raise Refusal(
                f"hydra.sweep.subdir: expected a folder of its own for every cell, got {folder} for two that differ "
                f"({placed[folder].label}; {cell.label}); the default ends with ${{cell:}}, which tells them apart."
            )
        refuse_another(folder, cell.config)
        placed[folder] = cell
    return [(cell, folder) for folder, cell in placed.items()]
