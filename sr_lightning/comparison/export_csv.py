"""A comparison as CSV: one row per run and set, with all that is known of both."""

import csv
import io
from typing import Any

from sr_lightning.comparison.boards import Scores
from sr_lightning.comparison.ranking import FACTS, Comparison
from sr_lightning.metric_names import METRICS

# What a protocol says; `protocol_ema` is whether averaged weights were scored, `ema` their decay in training.
_RULES = ("name", "color", "border", "rounding", "grey", "ema", "self_ensemble", "tile")
# By these first columns a file is known to be one of ours.
FIRST = ("label", "experiment", "board")


def to_csv(comparison: Comparison) -> str:
    """Return the CSV; a run without scores has one row with no set."""
    rows = [row for number in range(len(comparison.runs)) for row in _rows(comparison, number)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(comparison: Comparison, number: int) -> list[dict[str, Any]]:
    run = comparison.runs[number]
    facts = {
        **{key: getattr(run, key) for key in FACTS},
        "folder": str(run.folder),
        **{f"config.{key}": value for key, value in comparison.overrides[number].items()},
    }
    rows = []
    for place, (board, order) in enumerate(comparison.boards):
        if number not in board.scores:
            continue
        row = next(row for row in order.rows if number in (*row.runs, *row.left_out))
        counts = number in row.runs and not row.waiting
        shared = {
            **dict(zip(FIRST, (comparison.labels[number], comparison.experiments[number], place), strict=True)),
            "rank": row.rank if counts else None,
            "front": row.front if counts else None,
            "benchmark": bool(board.sets) and not board.validation_only,
        }
        scored: list[tuple[str | None, Scores]] = [*board.scores[number].items()]
        for name, scores in scored or [(None, {})]:
            bicubic = scores.get("bicubic") or {}
            values = {"set": name, "images": scores.get("images"), **{key: scores.get(key) for key in METRICS}}
            rules = scores.get("protocol") or run.protocol
            protocol = {f"protocol_{rule}": rules.get(rule) for rule in _RULES}
            baseline = {f"bicubic_{key}": bicubic.get(key) for key in METRICS}
            rows.append({**shared, **protocol, "lr_by": board.degradation, **values, **baseline, **facts})
    return rows
