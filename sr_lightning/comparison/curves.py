"""Training curves out of `metrics.csv`, thinned to what a screen can show."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

# Columns of equal length; None where a step has no value.
Curves: TypeAlias = Mapping[str, list[float | None]]

# As many rows as there are pixels for in a plot, nearly.
ROWS = 300


def read_curves(path: Path, *, steps: int | None = None, hr_pixels: int | None = None) -> Curves:
    """Read at most `ROWS` rows of a run's `metrics.csv`; those of validations stay as long as they are fewer.

    Args:
        path: the file; where there is none, or no row in it, there are no curves.
        steps: made by the run.
        hr_pixels: seen in them: fills the column `hr_pixels` where the file says nothing of a step.

    Returns:
        `step`, `hr_pixels` and the columns of the file by name; five digits of each value.

    Raises:
        ValueError: the file is no text, or has no column `step`.
    """
    # A last line without an end may lack digits.
    lines = path.read_text().rpartition("\n")[0].splitlines() if path.is_file() else []
    if len(lines) < 2:
        return {}
    names = lines[0].split(",")
    if "step" not in names:
        raise ValueError(f"expected a column step, got {lines[0][:40]!r}")
    # The program writes numbers alone: no quotes, no commas in a value.
    rows = [row for row in (line.split(",") for line in lines[1:]) if len(row) == len(names)]
    validations = [index for index, name in enumerate(names) if name.startswith("val/")]
    kept = [rows[index] for index in _kept([any(row[index] for index in validations) for row in rows])]
    curves = {name: [_number(row[index]) for row in kept] for index, name in enumerate(names)}
    each = hr_pixels / steps if steps and hr_pixels else None
    seen = curves.pop("train/hr_pixels", [None] * len(kept))
    curves["hr_pixels"] = [
        round(step * each) if value is None and step is not None and each is not None else value
        for step, value in zip(curves["step"], seen, strict=True)
    ]
    return curves


def _kept(validated: Sequence[bool]) -> list[int]:
    """Return the numbers of the rows to keep: those with a validation, and of the others evenly many."""
    first = [row for row, has in enumerate(validated) if has]
    others = [row for row, has in enumerate(validated) if not has]
    first = _evenly(first, ROWS)
    return sorted(first + _evenly(others, ROWS - len(first)))


def _evenly(rows: list[int], count: int) -> list[int]:
    """Return `count` of the rows at equal distances, the first and the last among them."""
    if len(rows) <= count:
        return rows
    if count < 2:
        return rows[len(rows) - count :]
    return [rows[round(index * (len(rows) - 1) / (count - 1))] for index in range(count)]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else float(f"{value:.5g}")
