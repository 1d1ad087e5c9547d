"""Run the notebooks anew and keep their outputs: `make notebooks`, or `python notebooks/execute.py 01_quickstart`.

Each notebook is a pair: NAME.py for people and diffs, NAME.ipynb with the outputs. Of the two the one that was changed
last is run.
"""

import io
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from sr_lightning.report.files import write_atomically

FOLDER = Path(__file__).resolve().parent
# All that a notebook says of its kernel: versions would change with every machine.
METADATA = {
    "jupytext": {
        "formats": "ipynb,py:percent",
        "notebook_metadata_filter": "jupytext,kernelspec,-jupytext.text_representation",
    },
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
}
# Pixels across: what a page shows of a picture.
WIDEST = 800
COLOURS = 192


def main(names: Sequence[str]) -> None:
    """Run the named notebooks, or all, one after the other; the first error ends it and leaves that pair as it was."""
    for path in [FOLDER / f"{name}.py" for name in names] or scripts():
        print(path.stem, flush=True)
        source = newest(path)
        text = source.read_text()
        # Elsewhere, so that no run of an earlier time is found.
        with TemporaryDirectory() as folder:
            notebook = executed(read(source), folder=Path(folder).resolve(), seconds=1800)
        if source.read_text() != text:
            sys.exit(f"{source.name} was changed while it ran: nothing is kept of it, run it again.")
        write_atomically(path, jupytext.writes(notebook, fmt="py:percent"))
        write_atomically(path.with_suffix(".ipynb"), nbformat.writes(notebook) + "\n")


def scripts() -> list[Path]:
    """Return the text halves of all notebooks, in their order."""
    return sorted(FOLDER.glob("[0-9]*.py"))


def newest(script: Path) -> Path:
    """Return the half of a pair that was changed last."""
    halves = [path for path in (script.with_suffix(".ipynb"), script) if path.is_file()]
    return max(halves, key=lambda path: path.stat().st_mtime)


def read(source: Path) -> NotebookNode:
    """Read either half of a pair, with names for its cells that stay the same."""
    notebook: NotebookNode = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{source.stem[:2]}-{number:02}"
    return notebook


def executed(notebook: NotebookNode, *, folder: Path, seconds: int) -> NotebookNode:
    """Run a notebook in a folder and return it with outputs that are small and say nothing of the machine.

    Args:
        notebook: changed in place.
        folder: where its relative paths begin.
        seconds: that one cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    client = NotebookClient(
        notebook,
        timeout=seconds,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
        startup_timeout=300,
    )
    client.execute()
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            _tidy(output, folder=folder)
    return notebook


def _tidy(output: Any, *, folder: Path) -> None:
    """Keep of a picture one small PNG, without the words beside it, which hold addresses; of text no folder."""
    if "text" in output:
        text = output["text"].replace(f"{folder}/", "")
        output["text"] = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    data = output.get("data", {})
    if "image/png" in data:
        output["data"] = {"image/png": b64encode(small_png(b64decode(data["image/png"]))).decode()}
    elif len(data) > 1:
        del data["text/plain"]


def small_png(png: bytes) -> bytes:
    """Return a picture at most `WIDEST` pixels wide, with `COLOURS` colours."""
    with Image.open(io.BytesIO(png)) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
