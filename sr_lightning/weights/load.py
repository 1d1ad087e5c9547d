"""Putting a file's tensors into a network, and saying what was put where."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from sr_lightning.refusal import Refusal
from sr_lightning.weights.match import Match

# More names would be no line any more.
_MOST_NAMES = 4


def load(network: nn.Module, found: Match, *, key: str) -> None:
    """Puts the tensors that fit into the network, in the types of the network's own; the others stay as they are.

    Args:
        network: That `found` was matched with.
        found: What fits.
        key: Under which the file was given; a refusal begins with it.

    Raises:
        Refusal: A tensor holds a NaN or an infinity.
    """
    broken = [
        found.layout.published(name)
        for name, tensor in found.fitting.items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    if broken:
        raise Refusal(
            f"{key}: {found.file.path} holds NaN or infinity in {listed(broken)}; nothing can go on from that."
        )
    network.load_state_dict(found.fitting, strict=False)


def summary(found: Match) -> str:
    """One line: how many tensors of which file, and by whose names."""
    where = f", {found.view.wrapper}" if found.view.wrapper else ""
    return (
        f"{len(found.fitting)} of {found.total} tensors from {found.file.path.name} "
        f"({found.layout.name} names{where}, sha256 {found.file.sha256})"
    )


def facts(found: Match) -> dict[str, Any]:
    """The same in plain values, with the names of what did not fit; of another shape with both, the file's first."""
    return {
        "file": found.file.path.name,
        "sha256": found.file.sha256,
        "layout": found.layout.name,
        "wrapper": found.view.wrapper or None,
        "averaged": found.averaged,
        "matched": len(found.fitting),
        "missing": len(found.missing),
        "unexpected": len(found.unexpected),
        "reshaped": len(found.reshaped),
        "names": {
            "missing": list(found.missing),
            "unexpected": list(found.unexpected),
            "reshaped": {name: list(map(list, shapes)) for name, shapes in found.reshaped.items()},
        },
        "random": list(found.random),
    }


def random_told(found: Match) -> list[str]:
    """Names of what stays random; where the file has another shape, with both."""
    return [
        f"{name} ({_shape(found.reshaped[name][0])} in the file, {_shape(found.reshaped[name][1])} here)"
        if name in found.reshaped
        else name
        for name in found.random
    ]


def _shape(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes)) or "one number"


def listed(names: Sequence[str], *, most: int = _MOST_NAMES) -> str:
    """Names in a line, of many the first few and how many more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
