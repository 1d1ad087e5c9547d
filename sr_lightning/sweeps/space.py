"""What is searched, and what is the same in every trial, from a yaml's `params` and the arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        Refusal: nothing is left to search.
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
    return Space(searched, [text for text in fixed if not text.startswith(("hydra.", "hydra/"))])


def _ends(override: Override) -> list[str]:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    if isinstance(value, RangeSweep):
        # In a search the end belongs to the range, as the sweeper that reads it has it.
        assert value.start is not None
        assert value.stop is not None
        steps = int((value.stop - value.start) / value.step)
        return [str(value.start), str(value.start + steps * value.step)]
    return list(override.sweep_string_iterator())
