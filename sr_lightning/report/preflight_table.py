"""What was found before a run, as a table for a terminal."""

from collections.abc import Iterable

from rich import box
from rich.markup import escape
from rich.table import Table

_COLOURS = {"ok": "green", "note": "yellow", "stop": "bold red"}


def preflight_table(rows: Iterable[tuple[str, str, str, str]]) -> Table:
    """Return the table of a preflight.

    Args:
        rows: (name, value, verdict, advice); a verdict is `ok`, `note` or `stop`.

    Raises:
        KeyError: another verdict.
    """
    table = Table("", "found", "", "advice", title="Preflight", title_justify="left", box=box.SIMPLE_HEAD)
    for name, value, verdict, advice in rows:
        colour = _COLOURS[verdict]
        # Names of files may hold brackets, which rich would take as its own.
        table.add_row(escape(name), escape(value), f"[{colour}]{verdict}", escape(advice))
    return table
