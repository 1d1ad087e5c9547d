"""Keys that an experiment sets for a choice that the command line has replaced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sr_lightning.cli.check import COLLECTIONS, FREE, LOOSE, get
from sr_lightning.cli.compose import Composer, Tree, grammar, without_fragments
from sr_lightning.refusal import Refusal

# Groups of which an experiment's values may have been meant for its own choice.
REPLACED = ("loss", "data", "optimizer", "scheduler")
# What an experiment says of the images of its own data set.
OF_IMAGES = ("data.exclude",)


@dataclass(frozen=True)
class LeftOver:
    """What an experiment sets and the choices of the command line have replaced.

    Attributes:
        overrides: what takes these keys away, or back to what the choice's own yaml says.
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
    command line wins. So it does in `experiment=tutorial_espcn loss=srgan`, where the experiment sets a weight for
    features of its own: those of srgan keep srgan's; and in `experiment=vdsr data=folder`, where the experiment leaves
    out an image of its own set by name. What an experiment sets for a term that is gone goes by itself
    (`without_fragments`), and what two choices both know (`optimizer.lr`) stays, being the recipe, and is told.

    Args:
        composer: of the command's primary yaml.
        texts: overrides as on the command line, without sweeps.
    """
    overrides = composer.parse(texts)
    names = [override.key_or_group for override in overrides]
    groups = [name for name in names if name in composer.groups and name not in (*LOOSE, *COLLECTIONS)]
    if not any(name in LOOSE for name in names) or not (groups or "loss" in names):
        return LeftOver()
    chosen = [
        (override, text)
        for override, text in zip(overrides, texts, strict=True)
        if override.key_or_group in composer.groups or override.is_hydra_override()
    ]
    try:
        # Without values: a wrong one is told of by the check, as is a choice that does not go with others.
        whole = composer.compose([text for _, text in chosen])
        bare = composer.compose([text for _, text in chosen], without=LOOSE)
        before = composer.compose(
            [text for override, text in chosen if override.key_or_group not in REPLACED or override.package],
            without=LOOSE,
        )
    except Refusal:
        return LeftOver()
    unknown = {
        path: list(_unknown(get(whole.tree, path), get(bare.tree, path), path))
        for path in (group.replace("/", ".") for group in groups)
    }
    gone = [key for keys in unknown.values() for key in keys]
    back: dict[str, Any] = {}
    if get(bare.tree, "loss") != get(before.tree, "loss"):
        back = {key: value for key, value in _changed(whole.tree["loss"], bare.tree["loss"]) if key not in names}
    if whole.choices.get("data") != before.choices.get("data"):
        back |= {
            key: get(bare.tree, key)
            for key in OF_IMAGES
            if key not in names and get(whole.tree, key) != get(bare.tree, key)
        }
    kept = [
        f"{key}={grammar(value)}"
        for group in ("optimizer", "scheduler")
        if whole.choices.get(group) != before.choices.get(group)
        for key, value in _kept(get(whole.tree, group), get(bare.tree, group), group)
        if key not in names
    ]
    if not gone and not back and not kept:
        return LeftOver()
    files = [(name, whole.choices.get(name)) for name in LOOSE]
    contents = {f"{name}={file}": composer.own_content(name, file) for name, file in files if file}
    origins = [name for name, own in contents.items() if any(get(own, key) is not None for key in (*gone, *back))]
    choices = [
        f"{group}={whole.choices.get(group)}" for group, keys in zip(groups, unknown.values(), strict=True) if keys
    ]
    said = [
        *([f"{', '.join(gone)}, unknown to {', '.join(choices)}"] if gone else []),
        *([f"{', '.join(back)}, meant for another choice"] if back else []),
    ]
    restored = [text for key, value in back.items() for text in (f"~{key}", f"+{key}={grammar(value)}")]
    parts = [f"left out of {', '.join(origins)}: {'; '.join(said)}"] if said else []
    parts += [f"kept: {', '.join(kept)}, set with another {' or '.join(_groups_of(kept))}"] if kept else []
    return LeftOver([*(f"~{key}" for key in gone), *restored], f"{'; '.join(parts)}.")


def _unknown(tree: Any, known: Any, path: str) -> Iterator[str]:
    """Name the keys of a tree that a second one does not have, at the level where they part."""
    if not isinstance(tree, dict) or not isinstance(known, dict) or FREE.fullmatch(path):
        return
    for key, value in tree.items():
        if key not in known:
            yield f"{path}.{key}"
        elif f"{path}.{key}" not in COLLECTIONS:
            yield from _unknown(value, known[key], f"{path}.{key}")


def _kept(tree: Tree, bare: Tree, group: str) -> Iterator[tuple[str, Any]]:
    """Name the keys that two choices know and that an experiment has set, each with its value."""
    for key, value in tree.items():
        if key in bare and value != bare[key] and value != {}:
            yield f"{group}.{key}", value


def _groups_of(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(text.partition(".")[0] for text in texts))


def _changed(loss: Tree, bare: Tree) -> Iterator[tuple[str, Any]]:
    """Name the keys of terms that have another value than in a second loss, each with the value there."""
    for name, term in without_fragments(bare).items():
        for key, value in term.items():
            if loss[name][key] != value:
                yield f"loss.{name}.{key}", value
