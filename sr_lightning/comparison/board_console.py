"""A comparison on a terminal: who leads on each board. The file has the rest."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from sr_lightning.comparison.board_table import BoardTable, Line, Value
from sr_lightning.metric_names import with_arrow

# Of each board, and of the GANs among them.
_MOST_LINES, _MOST_GANS = 12, 4


def board_group(tables: Sequence[BoardTable]) -> Group:
    """Return a table of PSNR for each board, with the mean of the perceptual metric where there are GANs."""
    parts: list[RenderableType] = []
    for table in tables:
        lines = _shown(table)
        # Not as the table's title, which would be folded to the width of a narrow table.
        parts += [f"PSNR (dB) at {table.title}", _table(table, lines), f"[dim]{escape(table.protocol)}"]
        parts += [f"[dim]{escape(note)}" for note in _notes(table, lines)] + [""]
    return Group(*parts)


def _shown(table: BoardTable) -> list[Line]:
    gans = [line for line in table.lines if line.gan][:_MOST_GANS]
    others = [line for line in table.lines if not line.gan][: _MOST_LINES - len(gans)]
    return [line for line in table.lines if line in gans or line in others]


def _table(table: BoardTable, lines: Sequence[Line]) -> Table:
    perceptual = table.metrics[2] if len(table.metrics) > 2 else None
    several = len(table.sets) > 1
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("", justify="right", no_wrap=True)
    shown.add_column("", overflow="fold")
    heads = list(table.sets)
    heads += ["mean"] if several else []
    heads += [with_arrow(perceptual), "front"] if perceptual else []
    for head in heads:
        # Names may be folded, numbers never.
        shown.add_column(head, justify="right", no_wrap=True)
    for line in lines:
        means = line.means or {}
        cells = [_number(line.value(name, "psnr"), "psnr", spread=not several) for name in table.sets]
        cells += [_number(means.get("psnr"), "psnr", spread=True)] if several else []
        cells += [_number(means.get(perceptual), perceptual), str(line.front or "")] if perceptual else []
        name = escape(line.name) + (f" [yellow]({escape(line.remark)})[/]" if line.remark else "")
        rank = "" if line.rank is None else str(line.rank)
        shown.add_row(rank, name, *cells, style=None if line.kind == "ours" else "dim")
    return shown


def _notes(table: BoardTable, lines: Sequence[Line]) -> list[str]:
    more = len(table.lines) - len(lines)
    notes = [f"... and {more} rows more."] if more else []
    if table.marked:
        notes.append("* better than the second: the 95 % interval of the difference (paired bootstrap) excludes 0.")
    notes += [table.verdict] if table.verdict else []
    return [*notes, *table.notes]


def _number(value: Value | None, metric: str, *, spread: bool = False) -> str:
    if value is None:
        return "-"
    text = value.text(metric)
    text = {1: f"[bold]{text}[/]", 2: f"[underline]{text}[/]"}.get(value.place or 0, text)
    text += "*" if value.sure else ""
    return text + (f" ±{value.deviation:.2f}" if spread and value.deviation is not None else "")
