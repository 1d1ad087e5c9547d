"""What was found before a run, as a table for a terminal."""

from collections.abc import Iterable

from rich import box
from rich.markup import escape
from rich.table import Table

_COLOURS = {"ok": "green", "note": "yellow", "stop": "bold red"}


def preflight_table(rows: Iterable[tuple[str, str, str, str]]) -> Table:
    """Return the table of a preflight, without its advice.

    Args:
        rows: (name, value, verdict, advice); a verdict is `ok`, `note` or `stop`.

    Raises:
        KeyError: another verdict.
    """
    table = Table(title="Preflight", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "found", ""):
        table.add_column(heading, overflow="fold")
    for name, value, verdict, _ in rows:
        colour = _COLOURS[verdict]
        # Names of files may hold brackets, which rich would take as its own.
        table.add_row(escape(name), escape(value), f"[{colour}]{verdict}")
    return table


def advice_lines(rows: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """Return a line for each row that has advice, to be printed below the table without wrapping.

    In a cell of the table an argument that is to be copied would be broken over lines.
    """
    return [f"[{_COLOURS[verdict]}]{escape(name)}[/]: {escape(advice)}" for name, _, verdict, advice in rows if advice]
