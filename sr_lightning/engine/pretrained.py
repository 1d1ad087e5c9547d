"""`model.pretrained=PATH`: a network that begins with the weights of a file, whoever wrote it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from sr_lightning.engine.build import PRETRAINED_KEYS, Node, build_network, expand
from sr_lightning.engine.trial import try_network
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.weights.load import facts, listed, load, random_told, summary
from sr_lightning.weights.match import Match, match
from sr_lightning.weights.read import WeightsFile, read_weights
from sr_lightning.yamls import conf_dir, register_arithmetic

# Yamls are read here without the command line.
register_arithmetic()
KEY = "model.pretrained"
# Of a network's yaml, what is no argument of its constructor, or is said otherwise.
_NO_SETTINGS = ("_target_", "spec", "scale", *PRETRAINED_KEYS)
_YAMLS = conf_dir() / "model"
# In `spec`, the arguments that a person typed for the network, as far as a command says.
TYPED = "typed"
# Other networks share a name or two (conv_first.weight); the same network of another size shares most of the smaller's.
_LIKE_ENOUGH = 0.3
# Scales that are tried beside a network's own, so that a file for one of them is told as such.
_ANY_SCALE = (2, 3, 4, 8, 1)


@dataclass(frozen=True)
class Pretrained:
    """A network with the weights of a file.

    Attributes:
        network: On the CPU, in the types that it was built with.
        found: What of the file went where.
        settings: Constructor arguments taken from the file, which the configuration had otherwise.
        assumed: The same of those that the file does not tell: as in the files of its family.
        model: The configuration that the network was built from.
    """

    network: nn.Module = field(repr=False)
    found: Match
    settings: Mapping[str, Any]
    assumed: Mapping[str, Any]
    model: Mapping[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What `results.json` tells as `warm_start`."""
        return facts(self.found) | {"notes": self.notes()}

    def lines(self) -> list[str]:
        """What a person is told: what was loaded, by which arguments, what was left aside, what stays random."""
        told = [f"weights  {summary(self.found)}", *self.notes()]
        if self.found.unexpected:
            told.append(f"not used: {listed(self.found.unexpected)}")
        if self.found.random:
            told.append(f"random:  {listed(random_told(self.found), most=12)}")
        return told

    def notes(self) -> list[str]:
        """What of the file was taken, what it does not tell, and what may be wrong with it."""
        file, scale = self.found.file, self.model["scale"]
        told = []
        if file.other_than_named:
            told.append(
                f"its name says sha256 {file.other_than_named}, its content has {file.sha256}: it is not the file that "
                "was published by this name"
            )
        if self.settings:
            told.append(f"the file has {arguments(self.settings)}, which is taken")
        if self.assumed:
            told.append(f"assumed, since the file does not tell it: {arguments(self.assumed)}")
        if other := _assumed(self.found, self.model):
            here = arguments({key: self.model[key] for key in other})
            told.append(f"not in the file: {here} stands; other files of its kind have {arguments(other)}")
        if untold := _untold(self.found, self.model):
            told.append(f"not in the file: {arguments(untold)} stands")
        if self.found.converted:
            told.append(
                "made for another range of pixels: its first and last layers were scaled to that of this network"
            )
        if self.found.other_constants:
            told.append(f"the file was made for other constants: {listed(self.found.other_constants)}")
        if (trained := _trained_for(self.found, self.model)) is not None:
            told.append(f"the file was trained at x{trained}, and goes on here at x{scale}")
        if _fits_other_scales(self.found, self.model):
            told.append(f"names and shapes do not tell the scale of this file: x{scale} is assumed")
        return told


def start_from(network: nn.Module, model: Node, *, name: str) -> Pretrained:
    """Put the weights that `model.pretrained` names into a network that is about to be trained.

    Args:
        network: as `model` describes it.
        model: the content of its yaml, with `pretrained` and `pretrained_strict`.
        name: the model's name.

    Raises:
        Refusal: the file cannot be read or, with `pretrained_strict`, is not exactly of this network.
    """
    file = read_weights(expand(model["pretrained"]), key=KEY)
    found = _match(network, file)
    settings = differing(found, model)
    if model["pretrained_strict"] and not (found.complete and not settings):
        raise Refusal(f"{KEY}: {_reason(found, model, name=name, settings=settings, train=True)}")
    _load_something(network, found)
    return Pretrained(network=network, found=found, settings={}, assumed={}, model=model)


def pretrained_network(model: Node, *, name: str) -> Pretrained:
    """Build the network whose weights `model.pretrained` names; where the file shows other arguments, with those.

    Args:
        model: the content of its yaml, with `pretrained` and `pretrained_strict`; where the latter is false, the
            configured arguments stand, and what does not fit stays random.
        name: the model's name.

    Raises:
        Refusal: the file cannot be read, is of another network, or does not fit.
    """
    file = read_weights(expand(model["pretrained"]), key=KEY)
    strict = model["pretrained_strict"]
    seen = _match(_on_meta(model), file)
    settings = differing(seen, model) if strict else {}
    typed = (model.get("spec") or {}).get(TYPED) or ()
    assumed = {key: value for key, value in _assumed(seen, model).items() if key not in typed} if strict else {}
    if model["scale"] not in settings.get("scales", [model["scale"]]):
        raise Refusal(f"{KEY}: {_of_scale(file, settings['scales'], model)}")
    model = _with(model, {**settings, **assumed}, name=name)
    network = build_network(model)
    found = _match(network, file)
    if strict and not found.complete:
        raise Refusal(f"{KEY}: {_reason(found, model, name=name, settings={}, train=False)}")
    trained = _trained_for(found, model)
    if strict and trained is not None and not _may_serve_others(file, model):
        raise Refusal(f"{KEY}: {_of_scale(file, [trained], model)}")
    _load_something(network, found)
    try_network(network, model)
    return Pretrained(network=network, found=found, settings=settings, assumed=assumed, model=model)


def _with(model: Node, told: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Return a configuration with a file's arguments; what its yaml computes from them, such as `min_size`, anew."""
    changed = {**model, **told}
    own = _yaml(name) if told and (_YAMLS / f"{name}.yaml").is_file() else {}
    # A yaml of the user's own may have the name of one of ours.
    if own.get("_target_") == model["_target_"]:
        spec = _resolved({**changed, "spec": own["spec"]})["spec"]
        changed["spec"] = {**(model.get("spec") or {}), **spec}
    return changed


def differing(found: Match, model: Node) -> dict[str, Any]:
    """Return the constructor arguments that a file shows and a configuration has otherwise.

    A file of this project says what its network was built with; of others, names and shapes tell.
    """
    description = _described(found, model)
    return _other(found.settings if description is None else description["model"], model)


def _assumed(found: Match, model: Node) -> dict[str, Any]:
    """Return the arguments that no file of the family tells, where its files have others than the configuration."""
    return _other(found.assumed, model) if _described(found, model) is None else {}


def _untold(found: Match, model: Node) -> dict[str, Any]:
    """Return the arguments of which neither the file nor its family nor, as far as a command says, a person tells."""
    said = (*found.assumed, *((model.get("spec") or {}).get(TYPED) or ()))
    # Off, it is off in the files of others.
    untold = [key for key in found.layout.untold if model.get(key) and key not in said]
    return {} if _described(found, model) else {key: model[key] for key in untold}


def _other(told: Mapping[str, Any], model: Node) -> dict[str, Any]:
    # Without a list of scales a network has its own alone.
    ours = {**model, "scales": model["scales"] or [model["scale"]]} if "scales" in model else model
    return {key: value for key, value in told.items() if key in ours and key not in _NO_SETTINGS and ours[key] != value}


def _described(found: Match, model: Node) -> Mapping[str, Any] | None:
    """Return what a file of this project says of its network, if that is of the configured kind."""
    description = found.file.description
    return description if description and description["model"]["_target_"] == model["_target_"] else None


def _trained_for(found: Match, model: Node) -> int | None:
    """Return the one scale that a file of this project says it is for; None where it serves the configured one too."""
    description = _described(found, model)
    if description is None:
        return None
    served = description["model"].get("scales") or description.get("scales") or [description["scale"]]
    return None if model["scale"] in served else int(description["scale"])


def _may_serve_others(file: WeightsFile, model: Node) -> bool:
    """Whether a network without parts of a scale (VDSR) may have been trained for several: its file does not say."""
    several = (model.get("spec") or {}).get("multi_scale", False)
    return several and "scales" not in model and "scales" not in (file.description or {})


def _fits_other_scales(found: Match, model: Node) -> bool:
    """Whether a file of others is exactly of this network at another scale too, and the network is for one at a time.

    spandrel reads the scale of its networks off the file.
    """
    spec = model.get("spec") or {}
    if found.file.description or not found.complete or spec.get("multi_scale") or spec.get("arguments"):
        return False
    others = [scale for scale in spec.get("scales") or () if scale != model["scale"]]
    return any(_complete_at(scale, found.file, model) for scale in others)


def arguments(settings: Mapping[str, Any]) -> str:
    """Return settings as they are typed: `model.depth=32 'model.heads=[6,6]'`."""
    return " ".join(_argument(key, value) for key, value in settings.items())


def _argument(key: str, value: Any) -> str:
    if isinstance(value, bool | None):
        return f"model.{key}={'null' if value is None else str(value).lower()}"
    if isinstance(value, list | tuple):
        return f"'model.{key}=[{','.join(map(str, value))}]'"
    return f"model.{key}={value}"


def _match(network: nn.Module, file: WeightsFile) -> Match:
    found = match(network, file)
    if found is None:
        held = listed([str(key) for key in file.content]) or "nothing"
        raise Refusal(f"{KEY}: expected tensors by their names in {file.path}, got {held}.")
    if found.rivals and file.description is None:
        parts = listed([found.view.wrapper, *found.rivals])
        raise Refusal(f"{KEY}: {file.path} holds several networks that fit ({parts}); save the one you mean alone.")
    return found


def _load_something(network: nn.Module, found: Match) -> None:
    if not found.fitting:
        raise Refusal(f"{KEY}: none of the tensors in {found.file.path} fits the network; it would be all random.")
    load(network, found, key=KEY)


def _on_meta(model: Node) -> nn.Module:
    """Build a network without its numbers: only names and shapes are asked."""
    with torch.device("meta"):
        return build_network(model)


def _reason(found: Match, model: Node, *, name: str, settings: Mapping[str, Any], train: bool) -> str:
    """Return why a load is refused, and what to type."""
    path, scale = found.file.path.name, model["scale"]
    wanted = {**settings, **_assumed(found, model)} if settings else {}
    add = f"add {arguments(wanted)}" if wanted else ""
    other = None if found.complete else _scale_of(found.file, {**model, **settings}, besides=_ANY_SCALE)
    if other == scale:
        return f"{path} is of this network with other arguments: {add}."
    if other is not None:
        loose = "model.pretrained_strict=false starts from what fits"
        if other not in (model.get("spec") or {}).get("scales", [other]):
            known = ", ".join(map(str, model["spec"]["scales"]))
            return f"{path} holds weights for x{other}; model={name} is for scale {known}."
        if not train:
            return _of_scale(found.file, [other], model)
        hint = f"{add} model.pretrained_strict=false to start from what fits" if add else loose
        return f"{path} holds weights for x{other}: at scale={scale}, {_left(found)} {hint}."
    if settings and found.complete:
        return f"{path} was trained with other arguments: {add}."
    described = found.file.description
    if described and described["model"]["_target_"] != model["_target_"]:
        return f"{path} is of model={described['name']}, not of model={name}."
    near = _nearest(found, model, name=name)
    if near:
        return f"{path} does not fit model={name}; it fits {near}."
    if not found.fitting:
        return f"{path} has nothing of model={name}; it holds {listed(list(found.view.tensors))}."
    return (
        f"{path} does not fit model={name}: {_left(found)} model.pretrained_strict=false takes what fits all the same."
    )


def _of_scale(file: WeightsFile, scales: Sequence[int], model: Node) -> str:
    """Return that a file is for other scales than the configured one, and what to type."""
    held = ", ".join(f"x{scale}" for scale in scales)
    asked = " or ".join(f"scale={scale}" for scale in scales)
    return f"{file.path.name} holds weights for {held}, got scale={model['scale']}; say {asked}."


def _left(found: Match) -> str:
    """Return what a load would leave random or aside."""
    parts = []
    if found.random:
        parts.append(f"{len(found.random)} of {found.total} tensors would stay random ({listed(random_told(found))})")
    if found.unexpected:
        parts.append(f"{len(found.unexpected)} in the file have no place ({listed(found.unexpected)})")
    if found.other_constants:
        parts.append(
            f"it was made for other constants than the network computes with ({listed(found.other_constants)})"
        )
    return f"{', '.join(parts)};"


def _scale_of(file: WeightsFile, model: Node, *, besides: Sequence[int] = ()) -> int | None:
    """Return the scale at which a file is exactly of a network: the configured one, another that it has, or further."""
    scales = (model.get("spec") or {}).get("scales") or ()
    ours = dict.fromkeys((model["scale"], *scales, *besides))
    return next((int(scale) for scale in ours if _complete_at(scale, file, model)), None)


def _complete_at(scale: int, file: WeightsFile, model: Node) -> bool:
    try:
        found = match(_on_meta({**model, "scale": scale}), file)
    except Refusal:
        return False
    return found is not None and found.complete


def _nearest(found: Match, model: Node, *, name: str) -> str:
    """Return `model=NAME` with its arguments for the network of another yaml whose file it is, or nothing."""
    nearest: tuple[str, dict[str, Any], int] | None = None
    for other, node in _other_models(model["scale"], besides=name):
        try:
            candidate = match(_on_meta(node), found.file)
            if candidate is None or candidate.likeness < _LIKE_ENOUGH:
                continue
            settings = differing(candidate, node)
            scale = _scale_of(found.file, {**node, **settings})
        except Refusal:
            continue
        # Which scales a training has is said in `data.scales`, which no model's yaml tells.
        settings = {key: value for key, value in (settings | _assumed(candidate, node)).items() if key != "scales"}
        if scale is not None and (nearest is None or len(settings) < len(nearest[1])):
            nearest = other, settings, scale
        if nearest and not nearest[1]:
            break
    if nearest is None:
        return ""
    other, settings, scale = nearest
    at = "" if scale == model["scale"] else f" scale={scale}"
    return " ".join(part for part in (f"model={other}", arguments(settings)) if part) + at


def _other_models(scale: int, *, besides: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the content of each of the project's model yamls, at a scale; those with a module of their own last."""
    names = [path.stem for path in sorted(_YAMLS.glob("*.yaml")) if path.stem != besides]
    for name in sorted(names, key=lambda name: any("module" in str(each) for each in _yaml(name).get("defaults", ()))):
        # One that needs more than a scale is judged by a training.
        with suppress(OmegaConfBaseException):
            yield name, model_of(name, scale=scale)


def model_of(name: str, *, scale: int) -> dict[str, Any]:
    """Return the content of one of the project's model yamls, at a scale.

    Raises:
        Refusal: there is no such model.
    """
    names = sorted(path.stem for path in _YAMLS.glob("*.yaml"))
    if name not in names:
        raise Refusal(f"model: expected one of {', '.join(names)}, got '{name}'{nearest(name, names)}")
    model = {key: value for key, value in _yaml(name).items() if key != "defaults"}
    return _resolved(model, scale=scale)


def _resolved(model: Node, *, scale: int | None = None) -> dict[str, Any]:
    """Return the content of a model's yaml with what it takes from the rest of a configuration."""
    whole = {"scale": model["scale"] if scale is None else scale, "data": {"scales": None}, "model": dict(model)}
    tree = OmegaConf.to_container(OmegaConf.create(whole), resolve=True)
    assert isinstance(tree, dict)
    resolved: dict[str, Any] = tree["model"]
    return resolved


def _yaml(name: str) -> dict[str, Any]:
    content = OmegaConf.to_container(OmegaConf.load(_YAMLS / f"{name}.yaml"))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
