"""A board as a table of papers: bicubic, published numbers, our rows; what is best, and whether that is sure.

Each format (a terminal, Markdown, LaTeX) writes the same table in its own way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sr_lightning.comparison.boards import Board
from sr_lightning.comparison.leaderboard import Leaderboard, Row, Spread
from sr_lightning.comparison.ranking import Comparison, protocol_text, published
from sr_lightning.comparison.statistics import in_words, paired_difference
from sr_lightning.metric_names import METRICS

Kind = Literal["bicubic", "published", "ours", "waiting"]

LSD_HINT = f"LSD is the {METRICS['lsd'].caution}."


class Value(NamedTuple):
    """A number in a table.

    Attributes:
        mean: over the seeds.
        deviation: of the seeds, None of a single one.
        place: 1 where it is the best of our rows, 2 for the second; else None.
        sure: whether the best is better than the second by more than images and seeds explain.
    """

    mean: float
    deviation: float | None = None
    place: int | None = None
    sure: bool = False

    def text(self, metric: str) -> str:
        """Return the mean with the digits that papers print."""
        return f"{self.mean:.{METRICS[metric].digits}f}"


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        kind: what it shows; `waiting` is a row of ours that has not finished.
        name: of the experiment or the network.
        rank: as on the leaderboard.
        front: as on the leaderboard.
        gan: whether it was trained against a discriminator.
        seeds: number of runs behind it.
        parameters: of the network.
        multiply_adds: of the network.
        data: what it was trained on.
        steps: of training.
        remark: what is to be said of it: why it has no rank, of what it was trained on.
        values: by set and metric.
        means: by metric, over the common sets; of every metric that all of them have.
    """

    kind: Kind
    name: str
    rank: int | None = None
    front: int | None = None
    gan: bool = False
    seeds: int = 0
    parameters: int | None = None
    multiply_adds: int | None = None
    data: str = ""
    steps: int | None = None
    remark: str = ""
    values: Mapping[tuple[str, str], Value] | None = None
    means: Mapping[str, Value] | None = None

    def value(self, name: str, metric: str) -> Value | None:
        """Return the number for a set, None where there is none."""
        return (self.values or {}).get((name, metric))


@dataclass(frozen=True)
class BoardTable:
    """A board, ready to be written.

    Attributes:
        title: of scale and kind of images.
        protocol: in words.
        scale: the upscaling factor.
        sets: its columns.
        images: number of images of each set.
        metrics: shown for each set.
        lines: bicubic, published, ours in order.
        verdict: whether the first is really better than the second, in words; None without a second.
        notes: what is to be known of the ranks.
    """

    title: str
    protocol: str
    scale: int
    sets: tuple[str, ...]
    images: Mapping[str, int]
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    verdict: str | None = None

    @property
    def marked(self) -> bool:
        """Whether a number is marked as surely the best."""
        return any(value.sure for line in self.lines for value in (line.values or {}).values())


def board_tables(comparison: Comparison) -> list[BoardTable]:
    """Return a table for each board, in the order of the boards."""
    papers = published(comparison)
    tables = []
    for number, (board, order) in enumerate(comparison.boards):
        metrics = ("psnr", "ssim", *([order.perceptual] if order.perceptual else []))
        lines = [_bicubic(board, order, metrics)] if board.sets else []
        names = dict.fromkeys(row["name"] for row in papers if row["board"] == number)
        for name in names:
            values = {
                (row["set"], metric): Value(row[metric])
                for row in papers
                if (row["board"], row["name"]) == (number, name)
                for metric in ("psnr", "ssim")
            }
            lines.append(Line("published", f"{name}, published", values=values))
        lines += _ours(comparison, board, order, metrics)
        tables.append(
            BoardTable(
                title=f"x{board.scale}" + (", validation images (no benchmark)" if board.validation_only else ""),
                protocol=protocol_text(board),
                scale=board.scale,
                sets=board.sets,
                images={name: board.images(name) for name in board.sets},
                metrics=metrics,
                lines=tuple(lines),
                notes=(*_below_bicubic(comparison, board, order), *_notes(board, order)),
                verdict=verdict(comparison, board, order),
            )
        )
    return tables


def verdict(comparison: Comparison, board: Board, order: Leaderboard) -> str | None:
    """Say whether the first of a board is really better than the second; None where they are not two."""
    leaders = [row for row in order.rows if row.rank is not None][:2]
    if len(leaders) < 2:
        return None
    first, second = leaders
    found = paired_difference(*(_sides(board, row, order.common_sets, "psnr") for row in leaders))
    names = (
        comparison.short_name(first.experiment, board.scale),
        comparison.short_name(second.experiment, board.scale),
    )
    return None if found is None else in_words(found, names=names)


def _bicubic(board: Board, order: Leaderboard, metrics: Sequence[str]) -> Line:
    found = {
        (name, metric): Value(score)
        for name in board.sets
        for metric in METRICS
        if (score := board.bicubic(name).get(metric)) is not None
    }
    common = order.common_sets
    means = {
        metric: Value(sum(found[name, metric].mean for name in common) / len(common))
        for metric in METRICS
        if common and all((name, metric) in found for name in common)
    }
    values = {key: value for key, value in found.items() if key[1] in metrics}
    return Line("bicubic", "bicubic", values=values, means=means)


def _below_bicubic(comparison: Comparison, board: Board, order: Leaderboard) -> list[str]:
    """Say of the first that it is no better than what needs no network; nothing where it is."""
    first = next((row for row in order.rows if row.rank is not None and "psnr" in row.mean), None)
    baseline = (_bicubic(board, order, ("psnr",)).means or {}).get("psnr") if first else None
    if first is None or baseline is None:
        return []
    gain = round(first.mean["psnr"].mean - baseline.mean, METRICS["psnr"].digits)
    name = comparison.short_name(first.experiment, board.scale)
    return [f"Even the first, {name}, is {-gain:.2f} dB below bicubic."] if gain < 0 else []


def _ours(comparison: Comparison, board: Board, order: Leaderboard, metrics: Sequence[str]) -> list[Line]:
    placed: dict[tuple[int, str, str], Value] = {}
    for name in board.sets:
        for metric in metrics:
            placed |= {(row, name, metric): value for row, value in _placed(board, order, name, metric).items()}
    lines = []
    for place, row in enumerate(order.rows):
        first = comparison.runs[row.runs[0]]
        lines.append(
            Line(
                kind="waiting" if row.waiting else "ours",
                name=comparison.short_name(row.experiment, board.scale),
                rank=row.rank,
                front=row.front,
                gan=row.gan,
                seeds=len(row.runs),
                parameters=first.parameters,
                multiply_adds=first.multiply_adds,
                data=first.data or "",
                steps=first.steps,
                remark=_remark(comparison, row),
                values={
                    (name, metric): placed[place, name, metric]
                    for name in board.sets
                    for metric in metrics
                    if (place, name, metric) in placed
                },
                means={metric: Value(*spread) for metric, spread in row.mean.items()},
            )
        )
    return lines


def _remark(comparison: Comparison, row: Row) -> str:
    runs = [comparison.runs[number] for number in row.runs]
    parts = []
    if row.waiting:
        reached = f" at step {runs[0].steps:,} of {runs[0].max_steps:,}" if runs[0].steps and runs[0].max_steps else ""
        parts.append(f"{runs[0].status}{reached}")
    elif row.left_out:
        parts.append(f"{len(row.left_out)} more {'run' if len(row.left_out) == 1 else 'runs'} left out")
    if any(run.ema is not None for run in runs) and " EMA" not in comparison.names[row.experiment]:
        parts.append("EMA weights")
    if any(run.overlap for run in runs):
        parts.append("trained on images it is scored on")
    if any(run.random_features for run in runs):
        parts.append("RANDOM features in its loss")
    return ", ".join(parts)


def _placed(board: Board, order: Leaderboard, name: str, metric: str) -> dict[int, Value]:
    """Return the values of our rows in a column, with the best and the second as they are printed."""
    found: dict[int, Spread] = {
        place: row.scores[name][metric]
        for place, row in enumerate(order.rows)
        if not row.waiting and metric in row.scores.get(name, {})
    }
    lower = METRICS[metric].lower_is_better
    # GANs are not held against the others by PSNR.
    competing = [place for place in found if lower or not order.rows[place].gan]
    printed = {place: round(found[place].mean, METRICS[metric].digits) for place in competing}
    steps = sorted(set(printed.values()), reverse=not lower)[:2]
    ranks = {place: steps.index(value) + 1 for place, value in printed.items() if value in steps and len(printed) > 1}
    best, second = ([place for place, rank in ranks.items() if rank == wanted] for wanted in (1, 2))
    sure = len(best) == 1 and bool(second) and all(
        _is_sure(board, order.rows[best[0]], order.rows[other], name, metric) for other in second
    )  # fmt: skip
    return {
        place: Value(*spread, place=ranks.get(place), sure=sure and place in best) for place, spread in found.items()
    }


def _is_sure(board: Board, first: Row, second: Row, name: str, metric: str) -> bool:
    difference = paired_difference(*(_sides(board, row, [name], metric) for row in (first, second)))
    return difference is not None and difference.verdict(lower_is_better=METRICS[metric].lower_is_better) == "better"


def _sides(board: Board, row: Row, sets: Sequence[str], metric: str) -> list[dict[str, dict[str, float | None]]]:
    """Return of each run of a row {set: {image: score}}."""
    return [
        {
            name: {image: each.get(metric) for image, each in (scores[name].get("per_image") or {}).items()}
            for name in sets
            if name in scores
        }
        for scores in (board.scores[number] for number in row.runs)
    ]


def _notes(board: Board, order: Leaderboard) -> list[str]:
    notes = []
    if board.validation_only and board.sets:
        notes.append("These images chose the weights: no benchmark. data.root=DIR reports Set5, Set14, ...")
    if len(board.sets) > 1 and order.common_sets != board.sets:
        common = ", ".join(order.common_sets) or "none"
        notes.append(f"Ranked by mean PSNR over the sets that all rows have: {common}.")
    if order.gans:
        front = "GANs have no rank by PSNR; front 1 is what no row beats in both PSNR and"
        notes.append(
            {
                "lpips": f"{front} LPIPS.",
                "lsd": f"{front} LSD, since not all rows have LPIPS. {LSD_HINT}",
                None: "GANs have no rank by PSNR, and no perceptual metric was measured on all rows.",
            }[order.perceptual]
        )
    return notes


def count(number: int | None) -> str:
    """Return a number of weights or operations in three digits: 1.52M, 114G; a dash for None.

    Example:
        >>> count(1_517_571), count(57_281), count(114_000_000_000)
        ('1.52M', '57.3K', '114G')
    """
    if number is None:
        return "-"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        value = number / size
        # What would be written as 1000K is 1.00M.
        if value >= 0.9995:
            return f"{value:.{max(0, 2 - (value >= 9.995) - (value >= 99.95))}f}{unit}"
    return str(number)
