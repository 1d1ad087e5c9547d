"""Runs, sorted into boards and put in order: what every format of `compare` is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sr_lightning.comparison.boards import Board, boards_of
from sr_lightning.comparison.experiments import experiments, flat, labels, overrides
from sr_lightning.comparison.leaderboard import Leaderboard, leaderboard
from sr_lightning.comparison.runs import Run
from sr_lightning.report.tables import protocol_line

# Facts of a run that every format shows as they are.
FACTS = (
    "status", "error", "model", "module", "gan", "loss", "data", "scale", "seed", "parameters", "multiply_adds",
    "steps", "max_steps", "hr_pixels", "seconds", "samples_per_second", "device", "precision", "ema", "warm_start",
    "degradation", "overlap", "random_features", "best_step", "commit", "config_hash",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """All that is compared.

    Attributes:
        runs: all runs; boards and rows know them by their places.
        overrides: of each run, the keys of its configuration in which the runs differ, by dotted keys.
        experiments: the number of each run's experiment.
        labels: of each run.
        names: of each experiment by its number, without the seed.
        boards: where runs may be held against each other, with the order on each.
    """

    runs: Sequence[Run]
    overrides: Sequence[Mapping[str, Any]]
    experiments: Sequence[int]
    labels: Sequence[str]
    names: Mapping[int, str]
    boards: Sequence[tuple[Board, Leaderboard]]

    def short_name(self, experiment: int, scale: int) -> str:
        """Return an experiment's name where the scale is said already."""
        return self.names[experiment].replace(f" x{scale}", "", 1)


def compare(runs: Sequence[Run]) -> Comparison:
    """Sort runs into boards and put each board in order."""
    configs = [flat(run.config) for run in runs]
    numbers = experiments(runs, configs)
    names = dict(zip(numbers, labels(runs, configs, seeds=False), strict=True))
    boards = [(board, leaderboard(board, runs, numbers)) for board in boards_of(runs)]
    return Comparison(runs, overrides(configs), numbers, labels(runs, configs), names, boards)


def published(comparison: Comparison) -> list[dict[str, Any]]:
    """Return what the papers of the networks print for the boards' sets, under the same protocol and scale."""
    found = []
    for number, (board, _) in enumerate(comparison.boards):
        sources = {comparison.runs[run].model: comparison.runs[run].published for run in board.scores}
        for name, protocols in sources.items():
            row = (protocols.get(board.protocol["name"]) or {}).get(f"x{board.scale}") or {}
            found += [
                {"board": number, "name": name, "set": each, "psnr": row[each][0], "ssim": row[each][1],
                 "protocol": board.protocol["name"]}
                for each in board.whole_sets
                if each in row
            ]  # fmt: skip
    return found


def protocol_text(board: Board) -> str:
    """Return a board's protocol in words."""
    return protocol_line({**board.protocol, "degradation": board.degradation})
