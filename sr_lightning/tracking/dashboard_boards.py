"""What a dashboard lays beside each other: runs of one scale, scored by one protocol; found from what runs hold.

No wandb in here.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sr_lightning.refusal import Refusal, nearest
from sr_lightning.tracking.wandb_names import SCORES, TRAINING, VALIDATING, VALIDATION, metric_name

# `Set5/psnr_rgb_to_y`; bicubic's scores, `Set5/bicubic_psnr_rgb_to_y`, are no run's.
SCORE_KEY = re.compile(rf"(?P<section>\w+)/(?P<score>{'|'.join(SCORES)})_(?P<rules>\w+)")


@dataclass(frozen=True)
class Board:
    """Runs that may be compared.

    Attributes:
        scale: of all of them.
        rules: what the names of their scores end in: the protocol, and the degradation where it is not bicubic.
        sets: the benchmark sets they were scored on; `validation` alone where there is none.
        scores: which of psnr, ssim, lpips, lsd they have in the end.
        curves: which they have while training; none where a set has a protocol of its own.
    """

    scale: int
    rules: str
    sets: tuple[str, ...]
    scores: tuple[str, ...] = SCORES
    curves: tuple[str, ...] = ("psnr", "ssim")

    @property
    def title(self) -> str:
        """How a person calls it."""
        return f"x{self.scale}, {self.rules}"

    def key(self, section: str, score: str) -> str:
        """Return the name of a score in W&B."""
        return metric_name(section, score, self.rules)


@dataclass(frozen=True)
class Held:
    """What a run of the project holds, as far as it decides what may be compared: its scale and its summary's keys."""

    scale: int
    keys: frozenset[str]


@dataclass(frozen=True)
class Wanted:
    """What a person asked to see; None stands for all there is."""

    scales: Sequence[int] | None
    protocols: Sequence[str] | None
    sets: Sequence[str] | None

    def boards(self) -> list[Board]:
        """Return the boards of a project of which nothing is known: x4, rgb_to_y and Set5 where nothing was asked."""
        sets = tuple(self.sets or ("Set5",))
        scales = sorted(set(self.scales or (4,)))
        protocols = dict.fromkeys(self.protocols or ("rgb_to_y",))
        return [Board(scale=scale, rules=rules, sets=sets) for scale in scales for rules in protocols]

    def boards_among(self, runs: Iterable[Held], *, place: str) -> list[Board]:
        """Return the boards that runs fill, by scale, then protocol.

        Args:
            runs: what the project's runs hold.
            place: what to call the project in a refusal.

        Raises:
            Refusal: no run has a score, or none that was asked for.
        """
        found = _scores_by_board(runs)
        if not found:
            raise Refusal(f"{place}: expected runs with scores, found none; a run's first validation writes one.")
        _check("scales", self.scales, {scale for scale, _ in found}, place)
        _check("protocols", self.protocols, {_protocol(rules) for _, rules in found}, place)
        sections = {section for scores in found.values() for section in scores} - {VALIDATING}
        _check("sets", self.sets, sections, place)
        boards = [
            self._board(scale, rules, scores)
            for (scale, rules), scores in sorted(found.items())
            if (self.scales is None or scale in self.scales)
            and (self.protocols is None or _protocol(rules) in self.protocols)
        ]
        # A set may have a protocol of its own: without it, that board would be empty.
        boards = [board for board in boards if board.sets]
        if not boards:
            raise Refusal(f"{place}: no run has scores of that scale, protocol and set together; ask for fewer.")
        return boards

    def _board(self, scale: int, rules: str, scores: dict[str, set[str]]) -> Board:
        curves = scores.get(VALIDATING, set())
        shown = sorted(set(scores) - {VALIDATING, VALIDATION}) or [VALIDATION]
        if self.sets is not None:
            shown = sorted(set(scores) & set(self.sets))
        reached = set().union(*(scores.get(section, set()) for section in shown))
        return Board(
            scale=scale,
            rules=rules,
            sets=tuple(shown),
            # Before the first run has ended there is only what validation says on the way.
            scores=_in_order(reached or curves),
            curves=_in_order(curves),
        )


def _scores_by_board(runs: Iterable[Held]) -> dict[tuple[int, str], dict[str, set[str]]]:
    """Return, by scale and rules, the sections that have scores, each with its scores."""
    found: dict[tuple[int, str], dict[str, set[str]]] = {}
    for run in runs:
        for key in run.keys:
            match = SCORE_KEY.fullmatch(key)
            if match and match["section"] != TRAINING:
                board = found.setdefault((run.scale, match["rules"]), {})
                board.setdefault(match["section"], set()).add(match["score"])
    return found


def _in_order(held: Collection[str]) -> tuple[str, ...]:
    return tuple(score for score in SCORES if score in held)


def _protocol(rules: str) -> str:
    return rules.partition("_on_")[0]


def _check(key: str, asked: Sequence[object] | None, there: Collection[object], place: str) -> None:
    """Refuse what was asked for and is not there."""
    for value in asked or ():
        if value not in there:
            names = sorted(str(name) for name in there)
            raise Refusal(f"{key}: {place} has {', '.join(names) or 'none'}, got {value}{nearest(str(value), names)}")
