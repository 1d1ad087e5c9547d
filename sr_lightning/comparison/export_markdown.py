"""A comparison as Markdown: a table per board, for a README or a note."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sr_lightning.comparison.board_table import BoardTable, Line, Value, count
from sr_lightning.comparison.figure import Figure
from sr_lightning.metric_names import METRICS, with_arrow
from sr_lightning.report.ownership import COMPARE

MARK = f"<!-- written by {COMPARE} -->"
_SPECIAL = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]<>#|~"})


def to_markdown(
    tables: Sequence[BoardTable], *, title: str, figures: Mapping[str, Figure], notes: Sequence[str] = ()
) -> str:
    """Return the Markdown.

    Args:
        tables: of each board.
        title: the heading.
        figures: by the name of their file, which lies beside.
        notes: what else is to be said.
    """
    parts = [MARK, f"# {escaped(title)}", *(escaped(note) for note in notes)]
    parts += [_section(table) for table in tables]
    parts += [
        f"![{escaped(figure.caption)}]({Path(name).name})\n\n*{escaped(figure.caption)}*"
        for name, figure in figures.items()
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, in a table too."""
    return " ".join(text.split()).translate(_SPECIAL)


def _section(table: BoardTable) -> str:
    columns = [f"{name} ({table.images[name]}) {with_arrow(metric)}" for name in table.sets for metric in table.metrics]
    gans = any(line.gan for line in table.lines)
    heads = [
        "#",
        "",
        *columns,
        *(["front"] if gans else []),
        "seeds",
        "trained on",
        "steps",
        "weights",
        "mult-adds",
        "remark",
    ]
    right = ["---" if head in ("", "trained on", "remark") else "---:" for head in heads]
    rows = [heads, right, *(_cells(table, line, gans=gans) for line in table.lines)]
    lines = ["| " + " | ".join(escaped(cell) if row is heads else cell for cell in row) + " |" for row in rows]
    notes = [table.protocol, *([table.verdict] if table.verdict else []), *table.notes]
    if table.marked:
        notes.append("* better than the second: the 95 % interval of the difference (paired bootstrap) excludes 0.")
    parts = [f"## {escaped(table.title)}", "", *lines, "", *(f"{escaped(note)}  " for note in notes)]
    return "\n".join([*parts, *_further(table)])


def _further(table: BoardTable) -> list[str]:
    """Return a table of the metrics that the first one does not show, as means over the sets that all rows have."""
    held = [line for line in table.lines if line.means]
    metrics = [
        name for name in METRICS if name not in table.metrics and any(name in (line.means or {}) for line in held)
    ]
    if not metrics:
        return []
    rows = [
        ["", *(with_arrow(name) for name in metrics)],
        ["---", *("---:" for _ in metrics)],
        *([escaped(line.name), *(_cell((line.means or {}).get(name), name) for name in metrics)] for line in held),
    ]
    return [
        "",
        "Other metrics, means over the sets that all rows have:",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _cells(table: BoardTable, line: Line, *, gans: bool) -> list[str]:
    values = [_cell(line.value(name, metric), metric) for name in table.sets for metric in table.metrics]
    ours = line.kind in ("ours", "waiting")
    return [
        "" if line.rank is None else str(line.rank),
        escaped(line.name),
        *values,
        *([str(line.front or "")] if gans else []),
        str(line.seeds) if line.kind == "ours" else "",
        escaped(line.data),
        "" if line.steps is None else f"{line.steps:,}",
        count(line.parameters) if ours else "",
        count(line.multiply_adds) if ours else "",
        escaped(line.remark),
    ]


def _cell(value: Value | None, metric: str) -> str:
    if value is None:
        return "-"
    text = value.text(metric)
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(value.place or 0, text)
    spread = "" if value.deviation is None or metric != "psnr" else f" ± {value.deviation:.2f}"
    return text + spread + (" \\*" if value.sure else "")
