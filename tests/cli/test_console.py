import io
import sys
from collections.abc import Callable

import pytest
import rich
from rich.console import Console

from sr_lightning.sweeps.live_table import Lines, LiveTable, display


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """The console of a process in Jupyter: it takes its output for a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(rich, "_console", None)
    assert rich.get_console().is_terminal
    return rich.get_console()


def test_no_bar_moves_where_no_terminal_is_whatever_force_color_says(console: Console, command: Callable):
    command("train", "trainer.devices=0")
    assert not console.is_terminal
    assert isinstance(display(console, at_once=1), Lines)
    console.file = out = io.StringIO()
    console.print("[red]colours stay")
    with console.status("moves"):
        pass
    assert out.getvalue() == "\x1b[31mcolours stay\x1b[0m\n"


def test_a_terminal_keeps_its_bars(console: Console, command: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    command("train", "trainer.devices=0")
    assert console.is_interactive
    assert isinstance(display(console, at_once=1), LiveTable)
