"""Who leads on a board: experiments in order, seeds as repeated measures, GANs on the perception-distortion plane.

Blau and Michaeli (CVPR 2018) show that distortion (PSNR) and perceptual quality cannot both be best: a GAN that loses
PSNR may be what was wanted. So runs trained against a discriminator get no rank by PSNR, but the number of their Pareto
front on the plane of both, where the other runs of the board stand for reference.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from sr_lightning.comparison.boards import Board, mean
from sr_lightning.comparison.pareto import pareto_fronts
from sr_lightning.comparison.runs import Run
from sr_lightning.metric_names import METRICS

Perceptual = Literal["lpips", "lsd"]


class Spread(NamedTuple):
    """Mean over the seeds of an experiment, and their standard deviation; None of a single one."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Row:
    """An experiment on a board.

    Attributes:
        experiment: its number.
        runs: numbers of its runs that are scored; of those on the board where none is.
        left_out: numbers of its other runs there: not finished, or made again later with the same seed.
        gan: whether it was trained against a discriminator.
        rank: 1 for the highest mean PSNR; None for GANs and for what has not finished.
        front: 1 for what nothing on the board beats in both PSNR and the perceptual metric; None where it was not
            measured.
        scores: {set: {metric: over the seeds}}.
        mean: {metric: over the seeds, of the mean over the board's common sets}.
        waiting: whether none of its runs has finished with scores.
    """

    experiment: int
    runs: tuple[int, ...]
    left_out: tuple[int, ...]
    gan: bool
    rank: int | None
    front: int | None
    scores: Mapping[str, Mapping[str, Spread]]
    mean: Mapping[str, Spread]
    waiting: bool = False


@dataclass(frozen=True)
class Leaderboard:
    """A board in order: ranked rows, then GANs by front, then what has not finished.

    Attributes:
        common_sets: the sets that all scored experiments have, over which the means are.
        perceptual: the metric of the perception-distortion plane; None where no row has one, or it is not needed.
        rows: the experiments.
    """

    common_sets: tuple[str, ...]
    perceptual: Perceptual | None
    rows: tuple[Row, ...]

    @property
    def gans(self) -> bool:
        """Whether a row was trained against a discriminator."""
        return any(row.gan for row in self.rows)


def leaderboard(board: Board, runs: Sequence[Run], experiments: Sequence[int]) -> Leaderboard:
    """Put the experiments of a board in order.

    Args:
        board: of `runs`.
        runs: all runs; the board knows them by their places.
        experiments: the number of each run's experiment.
    """
    members: dict[int, list[int]] = {}
    for number in board.scores:
        members.setdefault(experiments[number], []).append(number)
    scored = {
        experiment: _last_of_each_seed([number for number in numbers if runs[number].finished], board, runs)
        for experiment, numbers in members.items()
    }
    common = _common_sets(board, [number for numbers in scored.values() for number in numbers])
    rows = [
        _row(board, experiment, scored[experiment], numbers, common=common, gan=runs[numbers[0]].gan)
        for experiment, numbers in members.items()
    ]
    waiting = [row for row in rows if row.waiting]
    ready = [row for row in rows if not row.waiting]
    perceptual = _perceptual(ready) if any(row.gan for row in ready) else None
    ready = _with_fronts(ready, perceptual) if perceptual else ready
    return Leaderboard(common, perceptual, (*_ranked(ready), *waiting))


def _last_of_each_seed(numbers: Sequence[int], board: Board, runs: Sequence[Run]) -> list[int]:
    """Return the runs that are scored; of several with one seed the one that ended last."""
    found: dict[int | None, int] = {}
    # Copied together they may bear one time: then the last by the folder's name, which is often a time too.
    for number in sorted(numbers, key=lambda number: (runs[number].ended, runs[number].folder)):
        if board.scores[number]:
            found[runs[number].seed] = number
    return sorted(found.values())


def _common_sets(board: Board, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(name for name in board.sets if numbers and all(name in board.scores[number] for number in numbers))


def _row(
    board: Board, experiment: int, scored: Sequence[int], members: Sequence[int], *, common: Sequence[str], gan: bool
) -> Row:
    runs = scored or members
    scores: dict[str, dict[str, Spread]] = {}
    for name in board.sets:
        found = _spreads([[board.scores[number][name]] for number in runs if name in board.scores[number]])
        if found:
            scores[name] = found
    return Row(
        experiment=experiment,
        runs=tuple(runs),
        left_out=tuple(number for number in members if number not in runs),
        gan=gan,
        rank=None,
        front=None,
        scores=scores,
        mean=_spreads([[board.scores[number][name] for name in common] for number in scored]),
        waiting=not scored,
    )


def _spreads(seeds: Sequence[Sequence[Mapping[str, float | None]]]) -> dict[str, Spread]:
    """Return each metric's mean and deviation over seeds of its mean over sets, where all of them have it."""
    found = {}
    for metric in METRICS:
        values = [[each.get(metric) for each in sets] for sets in seeds if sets]
        if values and all(value is not None for each in values for value in each):
            found[metric] = _spread([mean(value for value in each if value is not None) for each in values])
    return found


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean(values), statistics.stdev(values) if len(values) > 1 else None)


def _perceptual(rows: Sequence[Row]) -> Perceptual | None:
    """Return the metric that all rows have."""
    names: tuple[Perceptual, ...] = ("lpips", "lsd")
    return next((name for name in names if all(name in row.mean for row in rows)), None)


def _with_fronts(rows: Sequence[Row], perceptual: Perceptual) -> list[Row]:
    points = [(row.mean["psnr"].mean, row.mean[perceptual].mean) for row in rows]
    fronts = pareto_fronts(points, ("max", "min"))
    return [replace(row, front=front) for row, front in zip(rows, fronts, strict=True)]


def _ranked(rows: Sequence[Row]) -> list[Row]:
    """Return rows by PSNR with their ranks, then GANs by front; equal scores share a rank."""

    def psnr(row: Row) -> float:
        return row.mean["psnr"].mean if "psnr" in row.mean else float("-inf")

    pixel = sorted((row for row in rows if not row.gan), key=psnr, reverse=True)
    ranked: list[Row] = []
    for place, row in enumerate(pixel, start=1):
        tied = ranked and psnr(ranked[-1]) == psnr(row)
        ranked.append(replace(row, rank=ranked[-1].rank if tied else place))
    gans = [row for row in rows if row.gan]
    return [*ranked, *sorted(gans, key=lambda row: (row.front or len(rows), -psnr(row)))]
