"""The console on which all commands print."""

import sys

import rich


def keep_bars_for_terminals() -> None:
    """Let no bar and no table that moves be drawn into a pipe, a file or the output of a notebook's cell.

    rich takes FORCE_COLOR, which Jupyter sets to 1, for a terminal. It asks for colours, and those stay.
    """
    console = rich.get_console()
    if console.is_terminal and not sys.stdout.isatty():
        rich.reconfigure(force_terminal=False, color_system=console.color_system)
