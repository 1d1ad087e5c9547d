"""The list of a sweep's cells, in a file: what was typed, when, and which folders came of it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_json


@dataclass(frozen=True)
class ListedCell:
    """One cell.

    Attributes:
        folder: its run's folder, absolute or from the current folder on.
        overrides: of which its configuration is composed, as on a command line.
    """

    folder: Path
    overrides: list[str]


@dataclass(frozen=True)
class Manifest:
    """The cells of one sweep, in the order in which they start.

    Attributes:
        command: the words of the command line.
        created: the local time when it was typed first or again, as ISO 8601 has it.
        cells: all that are trained; those left out are not among them.
    """

    command: list[str]
    created: str
    cells: list[ListedCell]


def write_manifest(path: Path, *, command: Sequence[str], created: str, cells: Sequence[ListedCell]) -> None:
    """Write the list atomically; folders in it are named relative to its own, so that both can be moved together."""
    listed = [
        {"folder": Path(os.path.relpath(cell.folder, path.parent)).as_posix(), "overrides": cell.overrides}
        for cell in cells
    ]
    write_json(path, {"command": list(command), "created": created, "cells": listed})


def read_manifest(path: Path) -> Manifest:
    """Read the list of a sweep's cells.

    Raises:
        Refusal: the file is no such list.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        cells = [ListedCell(path.parent / cell["folder"], list(cell["overrides"])) for cell in content["cells"]]
        return Manifest(list(content["command"]), str(content["created"]), cells)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(f"expected the list of a sweep's cells, got {path}, which is none ({error!r}).") from error
