"""What is searched, and what is the same in every trial, from a yaml's `params` and the arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from sr_lightning.refusal import Refusal


@dataclass(frozen=True)
class Space:
    """A search's keys.

    Attributes:
        searched: each with how it was written (`range(16,64,step=8)`), parsed.
        fixed: arguments that every trial has, as typed.
    """

    searched: Mapping[str, Override]
    fixed: Sequence[str]

    def texts(self, params: Mapping[str, Any]) -> list[str]:
        """Return the arguments of a trial."""
        return [*self.fixed, *(f"{key}={value}" for key, value in params.items())]

    def corners(self) -> list[dict[str, str]]:
        """Return values with which the space can be tried out: each key's choices or ends, while the others stay."""
        return [{key: value} for key, override in self.searched.items() for value in _ends(override)]


def read_space(params: Mapping[str, str], arguments: Sequence[str]) -> Space:
    """Tell what is searched from what is not.

    Args:
        params: of the yaml; an argument with the same key wins.
        arguments: `key=value` as typed.

    Raises:
        Refusal: nothing is left to search, or a key has values that Optuna cannot search.
    """
    parser = OverridesParser.create()
    given = parser.parse_overrides(list(arguments))
    known = {override.get_key_element() for override in given}
    of_yaml = parser.parse_overrides([f"{key}={value}" for key, value in params.items() if key not in known])
    searched = {each.get_key_element(): each for each in (*of_yaml, *given) if each.is_sweep_override()}
    fixed = [str(each.input_line) for each in (*of_yaml, *given) if not each.is_sweep_override()]
    if not searched:
        raise Refusal(
            "hydra.sweeper.params: expected keys to search, each with choice(...), range(...) or interval(...), got "
            f"{', '.join(fixed) or 'none'}."
        )
    for key, override in searched.items():
        _check_values(key, override)
    return Space(searched, [text for text in fixed if not text.startswith(("hydra.", "hydra/"))])


def _check_values(key: str, override: Override) -> None:
    value = override.value()
    if getattr(value, "shuffle", False):
        # Each trial would see them in another order, and Optuna take them for others.
        raise Refusal(f"{key}: a search has no use for shuffle(...), got {override.input_line}.")
    if isinstance(value, RangeSweep) and not (value.step > 0 and value.start <= value.stop):  # type: ignore[operator]
        raise Refusal(f"{key}: expected a range that goes upwards, as range(16,64,step=8), got {override.input_line}.")


def _ends(override: Override) -> list[str]:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    if isinstance(value, RangeSweep):
        return list(map(str, _ends_of_range(value)))
    return list(override.sweep_string_iterator())


def _ends_of_range(swept: RangeSweep) -> tuple[float, float]:
    """Return the first and the last value that a search may take: the end is one of them where a step meets it.

    By decimals, as Optuna counts: of floats `int(0.3 / 0.1)` is 2.
    """
    start, stop, step = (Decimal(str(number)) for number in (swept.start, swept.stop, swept.step))
    last = start + (stop - start) // step * step
    whole = all(isinstance(number, int) for number in (swept.start, swept.stop, swept.step))
    return (int(start), int(last)) if whole else (float(start), float(last))
