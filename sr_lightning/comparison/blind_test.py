"""A blind comparison of two runs by people: which pairs are shown in which order, and what the answers say."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sr_lightning.refusal import Refusal
from sr_lightning.report.samples import Sample, damaged_picture, read_samples

Side = Literal["A", "B"]
Choice = Literal["left", "right", "same"]
CHOICES = ("left", "right", "same")
# The 97.5 % point of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Question:
    """Two versions of the same crop.

    Attributes:
        name: `Set/image`.
        a: the picture by run A.
        b: the picture by run B.
        hr: what both should look like.
    """

    name: str
    a: Path
    b: Path
    hr: Path


@dataclass(frozen=True)
class Answer:
    """What somebody chose.

    Attributes:
        question: its name.
        observer: who chose.
        left: which run stood at the left.
        choice: `left`, `right`, or `same` for no difference seen.
        seconds: how long it took.
    """

    question: str
    observer: str
    left: Side
    choice: Choice
    seconds: float

    @property
    def preferred(self) -> Side | None:
        """The run that was chosen, None for no difference."""
        if self.choice == "same":
            return None
        return self.left if self.choice == "left" else ("B" if self.left == "A" else "A")


@dataclass(frozen=True)
class Preference:
    """How often run A was preferred to run B.

    Attributes:
        a: answers for A.
        b: answers for B.
        same: answers that saw no difference; they count for neither.
        share: of A among the decided answers, None without any.
        low: lower end of its 95 % interval.
        high: upper end.
        observers: how many people answered.
        images: how many different crops were judged.
    """

    a: int
    b: int
    same: int
    share: float | None
    low: float
    high: float
    observers: int
    images: int


def questions(run_a: Path, run_b: Path) -> list[Question]:
    """Return the crops that both runs have.

    Raises:
        Refusal: they have none in common, are of different scales and so no fair pair, or a picture cannot be read.
    """
    if run_a.resolve() == run_b.resolve():
        raise Refusal(f"ab: expected two runs, got {run_a} twice.")
    of_a, of_b = _samples(run_a), _samples(run_b)
    found = []
    for key in sorted(of_a.keys() & of_b.keys()):
        a, b = of_a[key].files, of_b[key].files
        # Of another scale or degradation LR is another, and one of the two had the easier task.
        if all(a[name].read_bytes() == b[name].read_bytes() for name in ("hr", "lr")):
            found.append(Question("/".join(key[:2]), a["sr"], b["sr"], a["hr"]))
    if not found:
        raise Refusal(
            f"ab: {run_a} and {run_b} have no crops of the same images at the same scale and LR; score both on the "
            "same sets."
        )
    return found


def _samples(run: Path) -> dict[tuple[Any, ...], Sample]:
    samples, sound = read_samples(run), set[str]()
    if not samples:
        raise Refusal(f"ab: expected the folders of two finished runs, got {run}, which holds no samples/.")
    for sample in samples:
        path = damaged_picture(sample, sound=sound)
        if path is not None:
            raise Refusal(f"ab: expected pictures of each crop, got {path}, which cannot be read.")
    return {(sample.set, sample.image, sample.box): sample for sample in samples}


def order(count: int, *, seed: int, observer: str) -> list[tuple[int, Side]]:
    """Return which question comes when, with the run that stands at the left: the same again for the same observer.

    Each run stands at the left in half of the questions, so that a preference for a side is none for a run.

    Args:
        count: how many questions there are.
        seed: of the whole test.
        observer: who is asked.
    """
    draws = random.Random(f"{seed}/{observer}")
    numbers = draws.sample(range(count), count)
    sides: list[Side] = ["A" if index % 2 else "B" for index in range(count)]
    if draws.random() < 0.5:
        sides = ["B" if side == "A" else "A" for side in sides]
    draws.shuffle(sides)
    return list(zip(numbers, sides, strict=True))


def preference(answers: Sequence[Answer]) -> Preference:
    """Return the share of A with a 95 % interval.

    Wilson's score interval (JASA 1927), which stays within 0 and 1 and does not collapse where all agree. Several
    answers on one crop are not independent: the number of answers is replaced by the effective one, their number
    divided by how much larger the variance of the share is, taken between crops, than that of independent answers
    (Korn and Graubard, Survey Methodology 1998).
    """
    counted = Counter(answer.preferred for answer in answers)
    by_image: dict[str, list[int]] = defaultdict(list)
    for answer in answers:
        if answer.preferred:
            by_image[answer.question].append(int(answer.preferred == "A"))
    decided = counted["A"] + counted["B"]
    share = counted["A"] / decided if decided else None
    low, high = (0.0, 1.0) if share is None else wilson(share, _effective(list(by_image.values()), share))
    return Preference(
        a=counted["A"],
        b=counted["B"],
        same=counted[None],
        share=share,
        low=low,
        high=high,
        observers=len({answer.observer for answer in answers}),
        images=len({answer.question for answer in answers}),
    )


def _effective(by_image: Sequence[Sequence[int]], share: float) -> float:
    answers = sum(len(chosen) for chosen in by_image)
    images = len(by_image)
    if answers == images:
        return answers
    binomial = share * (1 - share) / answers
    if images < 2 or not binomial:
        # Nothing shows how alike the answers on one crop are: they count as one.
        return images
    residuals = [sum(chosen) - share * len(chosen) for chosen in by_image]
    between = images / (images - 1) * sum(residual**2 for residual in residuals) / answers**2
    return min(float(answers), max(float(images), answers * binomial / between)) if between else answers


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share seen in `count` independent answers."""
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def sentence(found: Preference, *, a: str, b: str) -> str:
    """Say in words what the answers tell, and how far it goes."""
    if not found.observers:
        return "No answers yet: nothing was recorded."
    if found.share is None:
        return f"Nobody saw a difference between {a} and {b} ({found.same} answers)."
    told = (
        f"{a} was preferred to {b} in {found.a} of {found.a + found.b} decided answers: {100 * found.share:.0f} % "
        f"(95 % interval {100 * found.low:.0f} to {100 * found.high:.0f} %), {found.same} saw no difference; "
        f"{found.observers} observer{'s' * (found.observers != 1)}, {found.images} crops."
    )
    if found.low > 0.5 or found.high < 0.5:
        return f"{told} The interval leaves out 50 %: the preference is more than chance, for these crops."
    return f"{told} The interval holds 50 %: this cannot tell which of them people prefer."


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return an answer as it stands in the file, with what it means."""
    return {**asdict(answer), "preferred": answer.preferred}


def from_dict(entry: dict[str, Any]) -> Answer:
    """Read an answer back."""
    return Answer(**{key: value for key, value in entry.items() if key != "preferred"})
