r"""A comparison as LaTeX: a booktabs table per board and its crop figures, ready for `\input`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sr_lightning.comparison.board_table import BoardTable, Line, Value, count
from sr_lightning.comparison.figure import Figure
from sr_lightning.metric_names import METRICS
from sr_lightning.report.ownership import COMPARE

MARK = f"% written by {COMPARE}"
NEEDS = "% needs \\usepackage{booktabs,graphicx}"
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "×": r"$\times$", "±": r"$\pm$",
    "↓": r"$\downarrow$", **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
# More sets than this are wider than a column of a paper.
_NARROW = 1


def to_latex(
    tables: Sequence[BoardTable], *, title: str, figures: Mapping[str, Figure], notes: Sequence[str] = ()
) -> str:
    r"""Return the LaTeX, to be put into a paper by `\input`.

    Args:
        tables: of each board.
        title: stands in a comment.
        figures: by the name of their file, which lies beside.
        notes: stand in comments.
    """
    lines = [MARK, NEEDS, *(f"% {' '.join(text.split())}" for text in (title, *notes))]
    parts = ["\n".join(lines), *(_table(table, number) for number, table in enumerate(tables))]
    parts += [_figure(Path(name).name, figure) for name, figure in figures.items()]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))


def _table(table: BoardTable, number: int) -> str:
    kind = "table" if len(table.sets) <= _NARROW else "table*"
    heads = ["Method", "Trained on", "Params", "Mult-Adds"]
    heads += [f"{name} ({table.images[name]})" for name in table.sets]
    gans = any(line.gan for line in table.lines)
    heads += ["Front"] if gans else []
    body = [_line(table, line, gans=gans) for line in table.lines]
    # A rule stands between what others have and what is ours.
    borders = [
        index
        for index, (one, other) in enumerate(zip(table.lines, table.lines[1:], strict=False), start=1)
        if (one.kind in ("bicubic", "published")) != (other.kind in ("bicubic", "published")) or one.gan != other.gan
    ]
    for index in reversed(borders):
        body.insert(index, r"    \midrule")
    return "\n".join(
        [
            *([f"% {table.verdict}"] if table.verdict else []),
            rf"\begin{{{kind}}}[t]",
            r"  \centering",
            r"  \small",
            rf"  \caption{{{_caption(table)}}}",
            rf"  \label{{tab:sr-{_slug(table.title)}-{number + 1}}}",
            rf"  \begin{{tabular}}{{llrr{'c' * len(table.sets)}{'c' if gans else ''}}}",
            r"    \toprule",
            f"    {' & '.join(escaped(head) for head in heads)} \\\\",
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            rf"\end{{{kind}}}",
        ]
    )


def _caption(table: BoardTable) -> str:
    metrics = " / ".join(
        escaped(METRICS[metric].heading)
        + (" (dB)" if metric == "psnr" else "")
        + ("$\\downarrow$" if METRICS[metric].lower_is_better else "")
        for metric in table.metrics
    )
    parts = [
        rf"{metrics} at $\times${table.scale}" + escaped(table.title.removeprefix(f"x{table.scale}")) + ".",
        f"{escaped(table.protocol[0].upper() + table.protocol[1:])}.",
    ]
    lines = [line for line in table.lines if line.kind == "ours"]
    if any(value.place for line in lines for value in (line.values or {}).values()):
        parts.append(r"Best of our rows in \textbf{bold}, second \underline{underlined}.")
    if any(line.seeds > 1 for line in lines):
        parts.append(r"Means over the seeds, with their standard deviation of PSNR.")
    if table.marked:
        parts.append(
            r"$^*$ better than the second: the 95\,\% confidence interval of the difference (paired bootstrap over "
            "images and seeds) excludes 0."
        )
    return " ".join([*parts, *(escaped(note) for note in table.notes)])


def _line(table: BoardTable, line: Line, *, gans: bool) -> str:
    name = escaped(line.name) + (rf" \emph{{({escaped(line.remark)})}}" if line.remark else "")
    ours = line.kind in ("ours", "waiting")
    counts = [count(number) if ours else "" for number in (line.parameters, line.multiply_adds)]
    cells = [_cell(table, line, name) for name in table.sets]
    front = [str(line.front or "")] if gans else []
    return f"    {' & '.join([name, escaped(line.data), *counts, *cells, *front])} \\\\"


def _cell(table: BoardTable, line: Line, name: str) -> str:
    values = [(line.value(name, metric), metric) for metric in table.metrics]
    if all(value is None for value, _ in values):
        return "--"
    return " / ".join(_number(value, metric) for value, metric in values)


def _number(value: Value | None, metric: str) -> str:
    if value is None:
        return "--"
    text = value.text(metric)
    text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(value.place or 0, text)
    if value.deviation is not None and metric == "psnr":
        text += rf"{{\scriptsize$\pm${value.deviation:.2f}}}"
    return text + ("$^*$" if value.sure else "")


def _figure(name: str, figure: Figure) -> str:
    return "\n".join(
        [
            r"\begin{figure*}[t]",
            r"  \centering",
            rf"  \includegraphics[width=\linewidth]{{{name}}}",
            rf"  \caption{{{escaped(figure.caption)}}}",
            rf"  \label{{fig:sr-{_slug(Path(name).stem)}}}",
            r"\end{figure*}",
        ]
    )


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
