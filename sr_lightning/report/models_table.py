"""The networks side by side: what they cost, how far they look, what their papers print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

# Published PSNR and SSIM, as `spec.published` of a model's yaml.
Published = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
SET = "Set5"
NONE = "–"

HEADINGS = (
    "model", "scale", "parameters", "in use", "multiply-adds, G", "256x256: G", "M", "convolutions", "sees", "ms",
    SET, "protocol", "paper",
)  # fmt: skip
# What depends on the machine, which a page that is kept leaves out.
_OF_MACHINE = HEADINGS.index("ms")

_COLUMNS = """\
- parameters: those that training changes. In use: those that an image passes, where they are fewer (merged kernels,
  parts for other scales).
- multiply-adds: of convolutions and matrix products for an output of 1280x720, as papers count them; LR that the scale
  does not divide is rounded up, and what a network pads inside is counted.
- 256x256: what the NTIRE challenges on efficient super-resolution count for LR of that size at x4 (Y where the network
  is one for Y): multiply-adds, numbers that convolutions put out, and how many convolutions run.
- sees: LR pixels in a row that the output of one LR pixel (scale x scale pixels) depends on, at the largest scale up to
  x4: measured by the gradient in the middle of a strip of {length} random pixels, with random weights; global where
  that is all of them.
- {set}: PSNR that the paper prints, by the named protocol."""
_MACHINE = (
    "- ms: for a megapixel of output on the CPU, at the largest scale up to x4, in {threads}, LR of {side}x{side}."
)

_INTRODUCTION = """\
# Networks

Made of the yamls in `conf/model` by `make models MODELS=format=md`; change those, not this page. `make models` prints
the same with the time that each network takes on this machine's CPU. Numbers of other sets stand in the yamls. Of
several numbers in a cell, each is for one of the scales, in their order.
"""


@dataclass(frozen=True)
class Model:
    """One network.

    Attributes:
        name: `model=` NAME.
        spec: Of its yaml: `scales`, `paper` and `published` are read.
        parameters: That training changes, for each scale.
        in_use: That an image passes, for each scale; None where the network could not be run without values.
        multiply_adds: For 1280x720, for each scale.
        challenge: Multiply-adds, activations and convolutions for 256x256 at x4; None where it does not have x4.
        sees: Pixels; None where it sees all of the image.
        milliseconds: For a megapixel of output, where that was measured.
    """

    name: str
    spec: Mapping[str, Any]
    parameters: tuple[int, ...]
    in_use: tuple[int | None, ...]
    multiply_adds: tuple[int | None, ...]
    challenge: tuple[int, int, int] | None
    sees: int | None
    milliseconds: float | None = None


def models_table(models: Sequence[Model], *, threads: int, side: int, length: int) -> Group:
    """Return the table for a terminal, with what its columns mean below.

    Args:
        models: the networks.
        threads: in which they were timed.
        side: LR pixels for which they were timed.
        length: of the strip on which was measured how far they look.
    """
    timed = any(model.milliseconds is not None for model in models)
    shown = [index for index in range(len(HEADINGS)) if timed or index != _OF_MACHINE]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 1, 0))
    for index in shown:
        table.add_column(HEADINGS[index], overflow="fold")
    for model in models:
        row = cells(model)
        table.add_row(*(escape("\n".join(row[index])) for index in shown))
    about = _COLUMNS.format(length=length, set=SET)
    if timed:
        about += "\n" + _MACHINE.format(threads=f"{threads} thread" + ("s" if threads > 1 else ""), side=side)
    return Group(table, f"[dim]{escape(about)}")


def models_page(models: Sequence[Model], *, length: int) -> str:
    """Return the page in Markdown, without what depends on the machine.

    Args:
        models: the networks.
        length: of the strip on which was measured how far they look.
    """
    kept = [heading for index, heading in enumerate(HEADINGS) if index != _OF_MACHINE]
    lines = [_INTRODUCTION, f"| {' | '.join(kept)} |", "|---" * len(kept) + "|"]
    lines += [page_line(model) for model in models]
    return "\n".join([*lines, "", _COLUMNS.format(length=length, set=SET)]) + "\n"


def page_line(model: Model) -> str:
    """Return a network's line of the page."""
    row = [_joined(texts) for texts in cells(model)]
    row[0] = f"`{row[0]}`"
    row[-1] = _linked(model.spec["paper"])
    del row[_OF_MACHINE]
    return f"| {' | '.join(row)} |"


def cells(model: Model) -> list[list[str]]:
    """Return a network's row: for each heading the texts for the scales, or one text for all of them."""
    scales = model.spec["scales"]
    fewer = any(0 < (used or 0) < full for full, used in zip(model.parameters, model.in_use, strict=True))
    multiply_adds, activations, convolutions = model.challenge or (None, None, None)
    scores, protocols = published(model.spec["published"], scales)
    return [
        [model.name],
        [f"x{scale}" for scale in scales],
        [_short(count) for count in model.parameters],
        [_short(count) for count in model.in_use] if fewer else [""],
        [_in(1e9, count) for count in model.multiply_adds],
        [_in(1e9, multiply_adds)],
        [_in(1e6, activations)],
        [NONE if convolutions is None else str(convolutions)],
        ["global" if model.sees is None else str(model.sees)],
        ["" if model.milliseconds is None else f"{model.milliseconds:,.0f}"],
        scores,
        [protocols],
        [_cited(model.spec["paper"])],
    ]


def published(numbers: Published, scales: Sequence[int]) -> tuple[list[str], str]:
    """Return what a paper prints for the set at each scale, and by which protocol, or by which each."""
    known = [name for name, by_scale in numbers.items() if any(SET in sets for sets in by_scale.values())]
    scores = [
        "; ".join(_score(numbers[name].get(f"x{scale}", {}).get(SET)) for name in known) or NONE for scale in scales
    ]
    return scores, "; ".join(known)


def _score(scores: Sequence[float] | None) -> str:
    return f"{scores[0]:.2f}" if scores else NONE


def _joined(texts: Sequence[str]) -> str:
    """Return one text where all are the same."""
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)


def _short(count: int | None) -> str:
    """Return a count as papers print it: 1.37M, 57.3K."""
    if count is None or count < 1000:
        return NONE if count is None else str(count)
    # 999,950 is 1.00M, not 1000K.
    return f"{_in(1e6, count)}M" if count >= 999_500 else f"{_in(1e3, count)}K"


def _in(unit: float, count: int | None) -> str:
    """Return a count in units, to three digits, or all that stand before the point."""
    if not count:
        return NONE if count is None else "0"
    number = count / unit
    places = 3 if round(number, 3) < 1 else max(0, 3 - len(str(int(number))))
    return f"{number:,.{places}f}"


def _cited(paper: Mapping[str, Any] | None) -> str:
    if paper is None:
        return NONE
    return f"{_authors(paper)}, {paper['venue']}" + (f", arXiv {paper['arxiv']}" if paper["arxiv"] else "")


def _linked(paper: Mapping[str, Any] | None) -> str:
    if paper is None or not paper["arxiv"]:
        return _cited(paper)
    return f"{_authors(paper)}, {paper['venue']}, [{paper['arxiv']}](https://arxiv.org/abs/{paper['arxiv']})"


def _authors(paper: Mapping[str, Any]) -> str:
    first, *others = str(paper["authors"]).split(", ")
    return f"{first} et al." if others else first
