"""Further LR images of the evaluation sets, each kind under a name of its own: `Set5/blur_down` beside `Set5`.

Read before torch is imported, so that what does not fit is refused at once.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sr_lightning.refusal import Refusal, nearest
from sr_lightning.yamls import conf_dir

if TYPE_CHECKING:
    from sr_lightning.degradations.base import Degradation

# What random ones draw by, whatever a training draws by: its runs are scored on the same LR as by `evaluate`.
SEED = 42
# Part of a key of `results.json`, of a path to a score and of a folder's name.
_NAME = re.compile(r"[A-Za-z0-9_-]+")
# The key of an entry that names its yaml; the others are the yaml's own.
_YAML = "degradation"


def degradation_nodes(given: Any, *, scale: int | None) -> dict[str, dict[str, Any]]:
    """Return the yaml's content of each degradation that the key `degradations` names.

    Args:
        given: names of yamls, `[blur_down, classical]`; or names of one's own with what they stand for: a yaml's name,
            or `{degradation: YAML, key: value}` to change some of its keys, `{cv2: {degradation: resize, kind: cv2}}`.
            Without `degradation`, an entry's own name is that of the yaml. None for no degradation.
        scale: the upscaling factor; None where it is not known yet.

    Raises:
        Refusal: there is no such yaml or key, or a name that cannot stand in a path.
    """
    if given is None:
        return {}
    if isinstance(given, str):
        given = [given]
    named = given if isinstance(given, Mapping) else {str(name): None for name in given}
    return {str(name): _node(str(name), entry, scale=scale) for name, entry in named.items()}


def build_degradations(given: Any, *, scale: int) -> "dict[str, Degradation]":
    """Build the degradations that the key `degradations` names; see `degradation_nodes`.

    Raises:
        Refusal: one of them cannot be had, or takes no such value.
    """
    from sr_lightning.engine.build import build_degradation  # brings torch

    found = {}
    for name, node in degradation_nodes(given, scale=scale).items():
        try:
            found[name] = build_degradation(node)
        except Refusal as refusal:
            reason = str(refusal).removeprefix("degradation: ")
            raise Refusal(f"degradations.{name}: {reason}") from refusal
    return found


def _node(name: str, entry: Any, *, scale: int | None) -> dict[str, Any]:
    key = f"degradations.{name}"
    if not _NAME.fullmatch(name):
        raise Refusal(f"degradations: expected names of letters, digits, _ and -, got '{name}'.")
    own = {} if entry is None else {_YAML: entry} if isinstance(entry, str) else entry
    if not isinstance(own, Mapping):
        raise Refusal(f"{key}: expected the name of a degradation, or keys of one, got {entry!r}.")
    yaml = str(own.get(_YAML, name))
    path = conf_dir() / "degradation" / f"{yaml}.yaml"
    if not path.is_file():
        choices = sorted(each.stem for each in path.parent.glob("*.yaml"))
        near = nearest(yaml, choices)
        if own and _YAML not in own and not near:
            having = [each for each in choices if set(own) <= set(OmegaConf.load(path.with_name(f"{each}.yaml")))]
            raise Refusal(
                f"{key}: expected the degradation whose values these are, got {', '.join(map(str, own))} alone; add "
                f"{_YAML}: {' or '.join(having or choices)}."
            )
        raise Refusal(f"{key}: expected one of {', '.join(choices)}, got '{yaml}'{near}")
    if scale is not None and own.get("scale", scale) != scale:
        raise Refusal(f"{key}: expected the scale of what is scored, {scale}, got scale: {own['scale']}; leave it out.")
    # A yaml takes its scale from the configuration around it.
    whole = OmegaConf.create({"scale": scale, _YAML: OmegaConf.load(path)})
    OmegaConf.set_struct(whole, True)
    changes = {each: value for each, value in own.items() if each != _YAML}
    try:
        whole.merge_with({_YAML: changes})
    except OmegaConfBaseException as error:
        wrong = str(error.full_key or "").removeprefix(f"{_YAML}.")
        keys = [str(each) for each in whole[_YAML] if each not in ("_target_", "scale")]
        raise Refusal(f"{key}: {yaml} has no key '{wrong}'; it has {', '.join(keys)}{nearest(wrong, keys)}") from error
    node = OmegaConf.to_container(whole[_YAML], resolve=True)
    assert isinstance(node, dict)
    return {str(each): value for each, value in node.items()}
