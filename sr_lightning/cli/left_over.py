"""Keys that an experiment sets for a choice that the command line has replaced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sr_lightning.cli.check import COLLECTIONS, FREE, LOOSE, get
from sr_lightning.cli.compose import Composer
from sr_lightning.refusal import Refusal


@dataclass(frozen=True)
class LeftOver:
    """What an experiment sets and the choices of the command line do not know.

    Attributes:
        overrides: what takes these keys away.
        said: a line that says so, None where nothing is left over.
    """

    overrides: list[str] = field(default_factory=list)
    said: str | None = None

    def say(self) -> None:
        """Print the line, if there is one."""
        if self.said:
            print(self.said)


def left_over(composer: Composer, texts: Sequence[str]) -> LeftOver:
    """Find what an experiment has set for a choice that the command line has replaced by another.

    `experiment=vdsr scheduler=cosine`, where the experiment sets `scheduler.milestones`: a cosine has none, and the
    command line wins. Terms of a loss go by themselves (`without_fragments`).

    Args:
        composer: of the command's primary yaml.
        texts: overrides as on the command line, without sweeps.
    """
    overrides = composer.parse(texts)
    names = [override.key_or_group for override in overrides]
    if not any(name in LOOSE for name in names):
        return LeftOver()
    groups = [name for name in names if name in composer.groups and name not in (*LOOSE, *COLLECTIONS)]
    if not groups:
        return LeftOver()
    chosen = [
        text
        for override, text in zip(overrides, texts, strict=True)
        if override.key_or_group in composer.groups or override.is_hydra_override()
    ]
    try:
        # Without values: a wrong one is told of by the check, as is a choice that does not go with others.
        with_all, with_none = composer.compose(chosen), composer.compose(chosen, without=LOOSE)
    except Refusal:
        return LeftOver()
    keys: list[str] = []
    replaced: list[str] = []
    for group in groups:
        path = group.replace("/", ".")
        found = [key for key in _unknown(get(with_all.tree, path), get(with_none.tree, path), path) if key not in keys]
        if found:
            keys += found
            replaced.append(f"{group}={with_all.choices.get(group)}")
    if not keys:
        return LeftOver()
    files = [(name, with_all.choices.get(name)) for name in LOOSE]
    contents = {f"{name}={file}": composer.own_content(name, file) for name, file in files if file}
    origins = [name for name, content in contents.items() if any(get(content, key) is not None for key in keys)]
    said = f"left out: {', '.join(keys)} (set by {', '.join(origins)}), unknown to {', '.join(replaced)}."
    return LeftOver([f"~{key}" for key in keys], said)


def _unknown(tree: Any, known: Any, path: str) -> Iterator[str]:
    """Name the keys of a tree that a second one does not have, at the level where they part."""
    if not isinstance(tree, dict) or not isinstance(known, dict) or FREE.fullmatch(path):
        return
    for key, value in tree.items():
        if key not in known:
            yield f"{path}.{key}"
        elif f"{path}.{key}" not in COLLECTIONS:
            yield from _unknown(value, known[key], f"{path}.{key}")
