"""The one exception that means: the user asked for something that cannot be done; and how refusals are worded."""

import difflib
from collections.abc import Collection, Iterable


class Refusal(Exception):  # noqa: N818 - not a fault of the program, so not called an error
    """One line for the user: what was expected, what came, what to do. Commands print it and exit with 1."""


def nearest(name: str, choices: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return `; did you mean 'x'?` for the choice most like `name`, or nothing where none is like it.

    Args:
        name: what came.
        choices: what would have been valid.
        likeness: how like is like enough, from 0 to 1 (`difflib`'s ratio).

    Example:
        >>> nearest("edsr_baselin", ["edsr_baseline", "srgan"])
        "; did you mean 'edsr_baseline'?"
    """
    match = difflib.get_close_matches(name, [str(choice) for choice in choices], n=1, cutoff=likeness)
    return f"; did you mean '{match[0]}'?" if match else ""


def check_choice(what: str, given: str, choices: Collection[str]) -> None:
    """Refuse an argument that is none of the choices.

    Args:
        what: its name.
        given: what came.
        choices: what would have been valid.

    Raises:
        ValueError: it is none of them.
    """
    if given not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}; got {given!r}{nearest(given, choices)}")
