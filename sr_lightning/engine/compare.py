"""The `compare` command: many runs as one page, or as tables and crop figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import rich
from PIL.PngImagePlugin import PngInfo
from rich.markup import escape

from sr_lightning.comparison.board_console import board_group
from sr_lightning.comparison.board_table import BoardTable, board_tables
from sr_lightning.comparison.crops import crops_of
from sr_lightning.comparison.export_csv import to_csv
from sr_lightning.comparison.export_latex import to_latex
from sr_lightning.comparison.export_markdown import to_markdown
from sr_lightning.comparison.figure import DPI, Figure, crop_figures
from sr_lightning.comparison.payload import notes_of, payload
from sr_lightning.comparison.ranking import compare
from sr_lightning.comparison.runs import Found, read_runs
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_atomically
from sr_lightning.report.ownership import COMPARE, check_target

Kind = Literal["html", "csv", "md", "latex"]


def compare_runs(config: Mapping[str, Any], *, output: Path, kind: Kind) -> None:
    """Compare the runs that the configuration of `conf/compare.yaml` names: write the file, print the leaderboards.

    Args:
        config: the resolved configuration.
        output: the file; it is replaced, as are figures of ours beside it.
        kind: of the file.

    Raises:
        Refusal: no run can be read, an image for a figure is named that no run has a crop of, or a figure would
            replace a file of other origin; nothing is written then.
    """
    folders = [Path(path).expanduser() for path in config["runs"]]
    found = read_runs(folders)
    if not found.runs:
        path, reason = found.skipped[0]
        raise Refusal(f"runs: expected a run that can be read, got {path}: {reason}.")
    tables = board_tables(compare(found.runs))
    existed = output.exists()
    notes, files = _write(found, tables, output, kind=kind, title=config["title"], config=config)
    console = rich.get_console()
    console.print(board_group(tables), highlight=False)
    for note in notes:
        console.print(f"[yellow]{escape(note)}[/]", highlight=False, soft_wrap=True)
    what = "page" if kind == "html" else "table"
    console.print(
        f"{what:<8} {output}{' (replaced)' if existed else ''}", markup=False, highlight=False, soft_wrap=True
    )
    for file in files:
        console.print(f"figure   {file}", markup=False, highlight=False, soft_wrap=True)


def _write(
    found: Found, tables: Sequence[BoardTable], output: Path, *, kind: Kind, title: str, config: Mapping[str, Any]
) -> tuple[list[str], list[Path]]:
    """Write the file; return what is to be said of the runs, and the figures beside."""
    left_out = [f"{path} is left out: {reason}." for path, reason in found.skipped]
    if kind == "html":
        # plotly takes a while to import, and only the page needs it.
        from sr_lightning.comparison.page import render

        budget = round(config["images"]["megabytes"] * 1e6)
        page = payload(found.runs, title=title, budget_bytes=budget, notes=left_out)
        write_atomically(output, render(page))
        return list(page.data["notes"]), []
    if kind == "csv":
        write_atomically(output, to_csv(compare(found.runs)))
        return [*left_out, *notes_of(found.runs)], []
    crops, damaged = crops_of(found.runs)
    notes = [*left_out, *notes_of(found.runs, damaged)]
    if not crops:
        notes.append("No crop figures: none of the runs has kept crops (samples/ in its folder).")
    drawn = crop_figures(compare(found.runs), crops, **config["figure"])
    figures: dict[str, Figure] = {f"{output.stem}_{figure.name}.png": figure for figure in drawn}
    for name in figures:
        check_target("output", output.with_name(name), mark=COMPARE, command="compare")
    write = to_latex if kind == "latex" else to_markdown
    write_atomically(output, write(tables, title=title, figures=figures, notes=notes))
    for name, figure in figures.items():
        _save(figure, output.with_name(name))
    return notes, [output.with_name(name) for name in figures]


def _save(figure: Figure, path: Path) -> None:
    """Write a figure atomically, with our mark before its pixels."""
    information = PngInfo()
    information.add_text("Software", COMPARE)
    partial = path.with_name(f".{path.name}.part")
    figure.picture.save(partial, "PNG", dpi=(DPI, DPI), pnginfo=information)
    partial.replace(path)
