"""The command line of `prepare` that fetches what another command misses: the arguments of that command."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.override_parser.types import Override

from sr_lightning.cli.check import get
from sr_lightning.cli.compose import Tree, parse_overrides

SWEEP_FLAGS = ("-m", "--multirun")
# Keys of `preview`, which takes the arguments of a training besides.
PREVIEW_KEYS = ("n", "output", "pairs")


def prepare_line(tree: Tree, choices: Mapping[str, Any]) -> str | None:
    """Return the arguments of this process as a command line of `prepare`.

    `prepare` takes every argument of a training, so that nothing has to be translated: the network says which weights
    are fetched, `paths.cache` where images are decoded to. Of a sweep it gets the cell that is refused, without `-m`:
    once that is ready, the sweep names the next cell that is not.

    Args:
        tree: the configuration that is refused, of a sweep that of one cell.
        choices: of its groups.

    Returns:
        None for a continued run, most of whose arguments stand in its folder.
    """
    if tree.get("resume"):
        return None
    return f"python prepare.py {shlex.join(_arguments(tree, choices))}".rstrip()


def _arguments(tree: Tree, choices: Mapping[str, Any]) -> Iterator[str]:
    sweeps = any(argument in SWEEP_FLAGS for argument in sys.argv[1:])
    for argument in sys.argv[1:]:
        key, equals, _ = argument.partition("=")
        if argument in SWEEP_FLAGS or key.lstrip("+") in PREVIEW_KEYS:
            continue
        if sweeps and equals and not argument.startswith("-"):
            override = parse_overrides([argument])[0]
            if override.is_sweep_override():
                yield f"{override.get_key_element()}={_value(override, tree, choices)}"
                continue
        yield argument


def _value(override: Override, tree: Tree, choices: Mapping[str, Any]) -> str:
    """Return the one of a sweep's values that a cell has; the first where the cell does not show it."""
    key = override.get_key_element().lstrip("+")
    if isinstance(choices.get(key), str):
        return str(choices[key])
    texts = list(override.sweep_string_iterator())
    here = get(tree, key)
    return next((text for text in texts if parse_overrides([f"{key}={text}"])[0].value() == here), texts[0])
