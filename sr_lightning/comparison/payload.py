"""What the page of `compare` is drawn from: runs, boards, crops and published numbers as plain JSON values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from sr_lightning.comparison.board_table import verdict
from sr_lightning.comparison.boards import Board, Scores
from sr_lightning.comparison.crops import crops_of, embed
from sr_lightning.comparison.leaderboard import Leaderboard, Row
from sr_lightning.comparison.ranking import FACTS, Comparison, compare, protocol_text, published
from sr_lightning.comparison.runs import Run
from sr_lightning.metric_names import METRICS

# Two hundred runs that were copied without their pictures need no two hundred lines.
_MOST_DAMAGED = 5


@dataclass(frozen=True)
class Payload:
    """The content of a page.

    Attributes:
        data: plain JSON values; pictures stand in it by their keys.
        images: data URIs by key.
    """

    data: Mapping[str, Any]
    images: Mapping[str, str]


def payload(runs: Sequence[Run], *, title: str, budget_bytes: int, notes: Sequence[str] = ()) -> Payload:
    """Make the content of a page.

    Args:
        runs: what it compares.
        title: of the page.
        budget_bytes: of the embedded pictures; fewer crops are shown where they do not fit, and a note says so.
        notes: what else is to be said, such as runs that cannot be read.
    """
    comparison = compare(runs)
    crops, damaged = crops_of(runs)
    embedded = embed(crops, budget_bytes=budget_bytes)
    told = [*notes, *notes_of(runs, damaged)]
    if embedded.left_out:
        told.append(
            f"{len(embedded.crops)} of {len(crops)} crops are shown: images.megabytes={budget_bytes / 1e6:g} holds "
            "no more."
        )
    data = {
        "title": title,
        "generated": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "version": version("sr-lightning"),
        "notes": told,
        "runs": _runs(comparison),
        "boards": [_board(number, *pair, comparison) for number, pair in enumerate(comparison.boards)],
        "crops": embedded.crops,
        "published": published(comparison),
    }
    return Payload(_json(data), embedded.images)


def notes_of(runs: Sequence[Run], damaged: Sequence[str] = ()) -> list[str]:
    """Return what a reader of any comparison must know of its runs.

    Args:
        runs: all of them; what is damaged of their files is told.
        damaged: a sentence on each run whose crops are not all there, as `crops_of` returns them.
    """
    sentences = [*(sentence for run in runs for sentence in run.damaged), *damaged]
    notes = sentences[:_MOST_DAMAGED]
    if len(sentences) > len(notes):
        notes.append(f"{len(sentences) - len(notes)} more files of runs cannot be read.")
    random = sum(run.random_features for run in runs)
    if random:
        notes.append(f"{random} of the runs compared RANDOM features in a perceptual loss: no result to judge by.")
    overlap = sum(run.overlap > 0 for run in runs)
    if overlap:
        notes.append(f"{overlap} of the runs trained on images that they are scored on: too good to be compared.")
    return notes


def _runs(comparison: Comparison) -> list[dict[str, Any]]:
    entries = []
    for number, run in enumerate(comparison.runs):
        places = [place for place, (board, _) in enumerate(comparison.boards) if number in board.scores]
        scores = {
            name: _scores(each) | {"board": place}
            for place in places
            for name, each in comparison.boards[place][0].scores[number].items()
        }
        per_image = {
            name: each.get("per_image") or {}
            for place in places
            for name, each in comparison.boards[place][0].scores[number].items()
        }
        entries.append(
            {
                "id": number,
                "label": comparison.labels[number],
                "folder": str(run.folder),
                "experiment": comparison.experiments[number],
                **{key: getattr(run, key) for key in FACTS},
                "board": _main_board(comparison, run, places),
                "boards": places,
                "scores": scores,
                "per_image": per_image,
                "curves": run.curves,
                "overrides": comparison.overrides[number],
            }
        )
    return entries


def _main_board(comparison: Comparison, run: Run, places: Sequence[int]) -> int:
    """Return the board that a run's own protocol leads to; its sets under another stand on others too."""
    own = [place for place in places if comparison.boards[place][0].protocol["name"] == run.protocol["name"]]
    standard = [place for place in own if comparison.boards[place][0].degradation is None]
    return (standard or own or list(places))[0]


def _scores(scores: Scores) -> dict[str, Any]:
    bicubic = scores.get("bicubic") or {}
    return {
        **{metric: scores.get(metric) for metric in METRICS},
        "images": scores["images"],
        "bicubic": {metric: bicubic.get(metric) for metric in METRICS},
    }


def _board(number: int, board: Board, order: Leaderboard, comparison: Comparison) -> dict[str, Any]:
    return {
        "id": number,
        "scale": board.scale,
        "protocol": board.protocol,
        "protocol_text": protocol_text(board),
        "degradation": board.degradation,
        "sets": list(board.sets),
        "validation_only": board.validation_only,
        "common_sets": list(order.common_sets),
        "perceptual": order.perceptual,
        "verdict": verdict(comparison, board, order),
        "bicubic": {name: {metric: board.bicubic(name).get(metric) for metric in METRICS} for name in board.sets},
        "rows": [_row(row, comparison) for row in order.rows],
    }


def _row(row: Row, comparison: Comparison) -> dict[str, Any]:
    return {
        "experiment": row.experiment,
        "label": comparison.names[row.experiment],
        "runs": list(row.runs),
        "left_out": list(row.left_out),
        "gan": row.gan,
        "rank": row.rank,
        "front": row.front,
        "waiting": row.waiting,
        "scores": {
            name: {metric: list(spread) for metric, spread in each.items()} for name, each in row.scores.items()
        },
        "mean": {metric: list(spread) for metric, spread in row.mean.items()},
    }


def _json(value: Any) -> Any:
    """Return plain values of seven digits: JSON has neither tuples nor infinities."""
    if isinstance(value, Mapping):
        return {str(key): _json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json(entry) for entry in value]
    if isinstance(value, float):
        # A hundred thousandth of a decibel: 200 runs take half the space.
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
