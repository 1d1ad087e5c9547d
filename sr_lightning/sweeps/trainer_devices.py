"""What `trainer.devices` means, for all who read it. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sr_lightning.refusal import Refusal


@dataclass(frozen=True)
class Devices:
    """What a run asks for.

    Attributes:
        count: how many devices, each with a process of its own; None where that depends on the machine (`auto`, -1).
        indices: the very GPUs among those that the run sees, from 0; empty takes any.
        all_there_are: whether it is -1.
    """

    count: int | None
    indices: tuple[int, ...] = ()
    all_there_are: bool = False


def read_devices(value: Any) -> Devices:
    """Read `trainer.devices` as Lightning does: 2 and "2", [0,1] and "0,1", -1 and "-1", `auto`.

    Raises:
        Refusal: it is none of these.
    """
    if value == "auto":
        return Devices(None)
    parts = value.split(",") if isinstance(value, str) and "," in value else value
    listed = isinstance(parts, Sequence) and not isinstance(parts, str)
    numbers = _integers(parts if listed else [parts])
    if listed and numbers and min(numbers) >= 0 and len(set(numbers)) == len(numbers):
        return Devices(len(numbers), numbers)
    if not listed and numbers == (-1,):
        return Devices(None, all_there_are=True)
    if not listed and numbers and numbers[0] > 0:
        return Devices(numbers[0])
    raise Refusal(
        f"trainer.devices: expected a positive number, -1 for all, auto, or a list such as [0,1], got {value}."
    )


def _integers(parts: Sequence[Any]) -> tuple[int, ...]:
    """Return the numbers of a list, none where something else stands in it; the empty part of "1," means nothing."""
    try:
        return tuple(int(str(part)) for part in parts if str(part).strip())
    except ValueError:
        return ()
