import io

import pytest
from rich.console import Console

from sr_lightning.report.preflight_table import advice_lines, preflight_table

ROWS = [
    ("training images", "91, sides from 78 to 266 px", "ok", ""),
    ("flat", "1 (1.1%)", "note", "a[0].png: nothing can be learnt"),
    ("overlap", "1 of 19", "stop", "data.exclude=[302003]"),
]


def printed(width: int = 120, **options: object) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, **options)
    console.print(preflight_table(ROWS))
    for line in advice_lines(ROWS):
        console.print(line, soft_wrap=True)
    return file.getvalue()


def test_every_cell_is_printed_as_it_is() -> None:
    lines = [line.split("  ") for line in printed().splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert ["training images", "91, sides from 78 to 266 px", "ok"] in cells
    assert ["flat", "1 (1.1%)", "note"] in cells
    assert ["flat: a[0].png: nothing can be learnt"] in cells
    assert ["overlap: data.exclude=[302003]"] in cells


def test_verdicts_have_colours() -> None:
    text = printed(force_terminal=True, color_system="standard", no_color=False)
    assert "\x1b[32mok" in text
    assert "\x1b[33mnote" in text
    assert "\x1b[1;31mstop" in text


def test_a_narrow_terminal_folds_but_loses_nothing() -> None:
    lines = printed(width=30).splitlines()
    assert {"91,", "266", "stop"} <= {word for line in lines for word in line.split()}
    # What is to be copied stays on its line.
    assert "flat: a[0].png: nothing can be learnt" in lines


def test_another_verdict_is_an_error() -> None:
    with pytest.raises(KeyError, match="bad"):
        preflight_table([("a", "b", "bad", "")])
