"""Boards: the runs whose numbers may be held against each other.

Two scores are comparable where scale, protocol, the degradation of the scored LR and the images are the same; all else
is another board, or another set of the same board. Whether weights were averaged is no rule of scoring but something
that a run chose, as it chose its loss: runs with and without EMA stand on one board, which shows what EMA is worth.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from sr_lightning.comparison.runs import Run

Scores: TypeAlias = Mapping[str, Any]

VALIDATION = "validation"
# Bicubic of the same images on another machine differs by less, in dB; of other LR by more.
_SAME_BICUBIC = 0.01


@dataclass(frozen=True)
class Board:
    """Runs of one scale whose scores were made by the same rules.

    Attributes:
        scale: the upscaling factor.
        protocol: as in `results.json`, without the degradation and without `ema`.
        degradation: that made the scored LR; None for the LR of the sets, or MATLAB's bicubic.
        validation_only: whether the images are those that chose the weights, and no benchmark.
        sets: names of the sets, the most common first; a name stands for the same images in all of the board's runs.
        scores: {number of the run: {set: scores as in `results.json`}}; empty for a run that has none yet.
    """

    scale: int
    protocol: Mapping[str, Any]
    degradation: str | None
    validation_only: bool
    sets: tuple[str, ...]
    scores: Mapping[int, Mapping[str, Scores]]

    @property
    def whole_sets(self) -> tuple[str, ...]:
        """The sets that hold what papers score: every image, on the LR that belongs to them."""
        if self.degradation or self.validation_only or self.protocol.get("tile") or self.protocol.get("self_ensemble"):
            return ()
        held = {name: scores for each in self.scores.values() for name, scores in each.items()}
        return tuple(name for name in self.sets if not {"excluded", "whole"} & set(held[name]))

    def bicubic(self, name: str) -> Scores:
        """Return what bicubic scores on a set."""
        return next((each[name]["bicubic"] for each in self.scores.values() if name in each), {})

    def images(self, name: str) -> int:
        """Return the number of images of a set."""
        return next(int(each[name]["images"]) for each in self.scores.values() if name in each)


class _Key(NamedTuple):
    scale: int
    protocol: str
    degradation: str | None
    # Validation images have no name of their own: data sets have others under the same.
    validation: tuple[str, ...] | None


def boards_of(runs: Sequence[Run]) -> list[Board]:
    """Sort runs into boards, those with most runs first; a run stands on each board that it has scores for.

    Args:
        runs: their numbers on the boards are their places here.
    """
    scores: dict[_Key, dict[int, dict[str, Scores]]] = {}
    for number, run in enumerate(runs):
        for name, each in _scored(run).items():
            scores.setdefault(_key(run, name, each), {}).setdefault(number, {})[name] = each
    for number, run in enumerate(runs):
        if not _scored(run):
            scores.setdefault(_key_without_scores(run, runs, scores), {})[number] = {}
    boards = [_board(key, held) for key, held in scores.items()]
    return sorted(boards, key=lambda board: (board.validation_only, -len(board.scores), board.scale))


def mean(values: Iterable[float]) -> float:
    """Return the mean of at least one value."""
    listed = list(values)
    return sum(listed) / len(listed)


def _scored(run: Run) -> Mapping[str, Scores]:
    return run.metrics or ({VALIDATION: run.validation} if run.validation else {})


def _key(run: Run, name: str, scores: Scores) -> _Key:
    protocol = dict(scores.get("protocol") or run.protocol)
    degradation = protocol.pop("degradation", None)
    protocol.pop("ema", None)
    images = tuple(sorted(scores.get("per_image") or ())) if name == VALIDATION else None
    return _Key(run.scale, json.dumps(protocol, sort_keys=True), degradation, images)


def _key_without_scores(run: Run, runs: Sequence[Run], held: Mapping[_Key, Mapping[int, object]]) -> _Key:
    """Return the board on which a run will stand once it has scores, or one of its own."""
    own = _key(run, "", {})
    if own in held:
        return own
    for key, numbers in held.items():
        same = key._replace(validation=None) == own
        if same and any(runs[number].data == run.data for number in numbers):
            return key
    return own._replace(validation=())


def _board(key: _Key, scores: Mapping[int, Mapping[str, Scores]]) -> Board:
    named = _by_images(scores)
    counts = Counter(name for each in named.values() for name in each)
    order = {name: place for place, name in enumerate(name for each in named.values() for name in each)}
    return Board(
        scale=key.scale,
        protocol=json.loads(key.protocol),
        degradation=key.degradation,
        validation_only=key.validation is not None,
        sets=tuple(sorted(counts, key=lambda name: (-counts[name], order[name]))),
        scores=named,
    )


@dataclass(frozen=True)
class _Variant:
    """Images that runs have under one name of a set."""

    name: str
    images: frozenset[str]
    count: int
    bicubic: float | None

    def holds(self, other: "_Variant") -> bool:
        """Whether it is of the same images, on the same LR."""
        same = (self.name, self.images, self.count) == (other.name, other.images, other.count)
        if self.bicubic is None or other.bicubic is None:
            return same
        return same and abs(self.bicubic - other.bicubic) < _SAME_BICUBIC


def _by_images(scores: Mapping[int, Mapping[str, Scores]]) -> dict[int, dict[str, Scores]]:
    """Give sets of other images, or on other LR, names of their own."""
    variants: Counter[_Variant] = Counter()
    found: dict[int, dict[_Variant, Scores]] = {}
    for number, sets in scores.items():
        found[number] = {}
        for name, each in sets.items():
            given = _variant(name, each)
            variant = next((known for known in variants if known.holds(given)), given)
            variants[variant] += 1
            found[number][variant] = each
    labels: dict[_Variant, str] = {}
    for variant, _ in variants.most_common():
        labels[variant] = _distinct(variant, set(labels.values()))
    return {number: {labels[variant]: each for variant, each in sets.items()} for number, sets in found.items()}


def _variant(name: str, scores: Scores) -> _Variant:
    excluded = scores.get("excluded") or []
    if excluded:
        name += f" without {' and '.join(excluded) if len(excluded) < 3 else f'{len(excluded)} images'}"
    bicubic = (scores.get("bicubic") or {}).get("psnr")
    return _Variant(name, frozenset(scores.get("per_image") or ()), scores["images"], bicubic)


def _distinct(variant: _Variant, taken: set[str]) -> str:
    """Return the set's name, or one that tells its images from those that have it already."""
    bicubic = "" if variant.bicubic is None else f", bicubic {variant.bicubic:.2f} dB"
    names = [variant.name, f"{variant.name} ({variant.count} images{bicubic})"]
    names += [f"{names[-1]} {number}" for number in range(2, len(taken) + 3)]
    return next(name for name in names if name not in taken)
