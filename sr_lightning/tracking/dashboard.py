"""The comparison of runs in W&B, built in code: a workspace for each scale, and one report.

W&B filters a workspace as a whole, a report by panel grid. So each scale has a workspace of its own, and the report has
a part for each scale and protocol. Scores carry their protocol in their names.
"""

import hashlib
import itertools
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import interface as wr
from wandb_workspaces.workspaces import interface as ws

from sr_lightning.tracking import dashboard_panels as panels
from sr_lightning.tracking import wandb_names as names
from sr_lightning.tracking.dashboard_boards import Board

# Which training method: GANs do not aim at PSNR.
METHOD = "names.module"
GROUPS = (names.MODEL, names.LOSS_NAME, names.SCALE)

COMPARED = (
    "Runs are compared within one scale and one protocol, which stands in each score's name. Runs of one model, loss "
    "and scale are one group, so that seeds are averaged. In plots with a Pareto front the line is W&B's running "
    "maximum: no run on it is beaten on both axes. GANs do not aim at PSNR: they are judged on the plane of perception "
    "against distortion"
)
IN_WORKSPACE = (
    ", not by the plots of PSNR against cost, from which a workspace cannot leave them out (the report does)."
)
IN_REPORT = (
    ", and left out of the plots of PSNR against cost. A difference between two groups of one run each says little: "
    "`python compare.py` gives confidence intervals."
)


@dataclass(frozen=True)
class Comparison:
    """What is built, and where.

    Attributes:
        entity: the user or team that owns the project.
        project: where the runs are.
        group: only runs of this W&B group; None for all.
        title: of the report; workspaces add their scale.
        boards: what is compared, at least one.
    """

    entity: str
    project: str
    group: str | None
    title: str
    boards: Sequence[Board]


def workspaces(comparison: Comparison) -> list[ws.Workspace]:
    """Return a workspace for each scale, as yet unsaved.

    Its name in W&B follows from its title, so that a second one of the same title is the same.
    """
    found = []
    for scale, group in itertools.groupby(comparison.boards, key=lambda board: board.scale):
        workspace = _workspace(comparison, scale, list(group))
        workspace._internal_name = view_name(workspace.name)
        found.append(workspace)
    return found


def view_name(title: str) -> str:
    """Return what W&B calls a view with a title: `nw-`, eleven letters or digits, `-v`."""
    number = int.from_bytes(hashlib.sha256(title.encode()).digest()[:8])
    alphabet = string.digits + string.ascii_lowercase
    letters = []
    for _ in range(11):
        number, digit = divmod(number, len(alphabet))
        letters.append(alphabet[digit])
    return f"nw-{''.join(letters)}-v"


def _workspace(comparison: Comparison, scale: int, boards: list[Board]) -> ws.Workspace:
    return ws.Workspace(
        entity=comparison.entity,
        project=comparison.project,
        name=f"{comparison.title} x{scale}",
        sections=[
            _section("What is compared", panels.about(COMPARED + IN_WORKSPACE), columns=1),
            *(
                _section(f"{board.title}: {theme.name}", theme.content, columns=theme.columns)
                for board in boards
                for theme in _themes(board)
            ),
            *(_section(theme.name, theme.content, columns=theme.columns) for theme in _shared_themes()),
        ],
        settings=ws.WorkspaceSettings(x_axis=names.STEP, max_runs=panels.MAX_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=_filters(comparison, scale),
            groupby=[expr.Config(key) for key in GROUPS],
            pinned_columns=_columns(boards),
        ),
    )


def _section(name: str, content: panels.Panels, *, columns: int) -> ws.Section:
    layout = ws.SectionLayoutSettings(columns=columns, rows=-(-len(content) // columns))
    return ws.Section(name=name, panels=content, is_open=True, layout_settings=layout)


@dataclass(frozen=True)
class Theme:
    """Panels that belong together: a section of a workspace, a heading of a report.

    Attributes:
        name: of the section.
        content: its panels, at least one.
        columns: beside each other in a workspace.
        gans: whether GANs belong there.
    """

    name: str
    content: panels.Panels
    columns: int = 2
    gans: bool = True


def _themes(board: Board) -> list[Theme]:
    """Return what is shown of a board; what none of its runs has is left out."""
    themes = [
        Theme("validation while training", panels.curves(board)),
        Theme("PSNR and what it costs", [*panels.scores(board), *panels.costs(board)], columns=3, gans=False),
        Theme("perception against distortion", panels.plane(board)),
    ]
    return [theme for theme in themes if theme.content]


def _shared_themes() -> list[Theme]:
    """Return what is shown of all runs of a scale, whatever their protocol."""
    return [Theme("Fixed crops", panels.crops(), columns=1), Theme("Training", panels.training())]


def report(comparison: Comparison) -> wr.Report:
    """Return the report, as yet unsaved: a part for each scale and protocol."""
    return wr.Report(
        entity=comparison.entity,
        project=comparison.project,
        title=comparison.title,
        description=f"{len(comparison.boards)} comparisons: {'; '.join(board.title for board in comparison.boards)}",
        width="fluid",
        blocks=[
            wr.MarkdownBlock(COMPARED + IN_REPORT),
            wr.TableOfContents(),
            *(block for board in comparison.boards for block in _part(comparison, board)),
        ],
    )


def _part(comparison: Comparison, board: Board) -> list[wr.BlockTypes]:
    blocks: list[wr.BlockTypes] = [wr.H1(text=board.title)]
    for theme in (*_themes(board), *_shared_themes()):
        heading = theme.name[0].upper() + theme.name[1:]
        runset = _runset(comparison, board, gans=theme.gans)
        blocks += [wr.H2(text=heading), wr.PanelGrid(runsets=[runset], panels=theme.content)]
    return blocks


def _runset(comparison: Comparison, board: Board, *, gans: bool) -> wr.Runset:
    """Return a board's runs; their table stands below the panels, without GANs the highest PSNR first."""
    best = wr.SummaryMetric(board.key(board.sets[0], "psnr"))
    order = wr.OrderBy("CreatedTimestamp" if gans else best, ascending=False)
    return wr.Runset(
        name=board.title if gans else f"{board.title}, without GANs",
        filters=_filters(comparison, board.scale, gans=gans),
        groupby=[f"config.{key}" for key in GROUPS],
        order=[order],
        visible_columns=_columns([board]),
        lock_columns=True,
    )


def _filters(comparison: Comparison, scale: int, *, gans: bool = True) -> expr.And:
    conditions = [expr.Config(_stored(names.SCALE)) == scale]
    if comparison.group is not None:
        conditions.append(expr.Metric("Group") == comparison.group)
    if not gans:
        conditions.append(expr.Config(_stored(METHOD)) != "gan")
    return expr.And(*conditions)


def _columns(boards: list[Board]) -> list[str]:
    """Return the columns of the run table: what was chosen, what it reached, what it cost."""
    reached = [board.key(section, score) for board in boards for section in board.sets for score in board.scores]
    chosen = (names.MODEL, names.LOSS_NAME, names.SCALE, names.DATA, names.SEED)
    costs = (names.PARAMETERS, names.MULTIPLY_ADDS, names.HR_PIXELS)
    return [
        "run:displayName",
        *(f"config:{_stored(key)}" for key in chosen),
        *(f"summary:{key}" for key in (*reached, *costs)),
    ]


def _stored(key: str) -> str:
    """Return a configuration's key as W&B stores it: `names.model` is `{"names": {"value": {"model": ...}}}`."""
    first, dot, rest = key.partition(".")
    return f"{first}.value{dot}{rest}"


def specification(made: ws.Workspace | wr.Report) -> dict[str, Any]:
    """Return, as plain values, what W&B would be sent for an unsaved workspace or report."""
    # Run sets that name their project would ask W&B for its number; those of this module do not until they are saved.
    content: dict[str, Any] = made._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    return content
