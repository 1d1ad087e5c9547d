"""From configuration to objects: the only module that instantiates what a yaml names."""

import inspect
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import hydra.utils
import torch
from hydra.errors import HydraException, InstantiationException
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from sr_lightning.degradations.base import Degradation
from sr_lightning.extras import KNOWN_CODE, check_extra
from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.penalty import DiscriminatorPenalty
from sr_lightning.losses.ramp import RampedWeight
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.metrics.lpips import available_lpips
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.modules.base import OptimizerFactory, SuperResolution
from sr_lightning.modules.layer_rates import LayerRates
from sr_lightning.modules.schedules import Schedule
from sr_lightning.networks.padded import Padded
from sr_lightning.refusal import Refusal, nearest

Node = Mapping[str, Any]
# Keys of `model` that say which weights a network begins with; its constructor knows nothing of them.
PRETRAINED_KEYS = ("pretrained", "pretrained_strict")
Kind = TypeVar("Kind")

# Key of `optimizer` that says which layers have another rate; the optimiser knows nothing of it.
LAYER_RATES = "layer_lr"
# What of a loss term's yaml says how it is weighted; the rest is for its constructor.
_OF_WEIGHT = ("weight", "start", "ramp")


def build_network(model: Node) -> nn.Module:
    """Build a network from its yaml's content: `_target_`, the constructor's arguments, and `spec`, which is left out.

    Another library's class has other names for `scale` and `channels`. A yaml that says them in `spec.arguments` is
    built by those, and wrapped so that it does what ours do by themselves (`networks/padded.py`).

    Raises:
        Refusal: the target is no `torch.nn.Module`, or its constructor does not take the arguments.
    """
    arguments = without_weights(model)
    names = (arguments.get("spec") or {}).get("arguments")
    return _instantiate(arguments, key="model", kind=nn.Module) if names is None else _build_padded(arguments, names)


def _build_padded(model: Node, names: Mapping[str, str | list[str]]) -> Padded:
    arguments = {key: value for key, value in model.items() if key not in ("scale", "channels")}
    for ours, theirs in names.items():
        arguments |= dict.fromkeys([theirs] if isinstance(theirs, str) else theirs, model[ours])
    device = torch.get_default_device()
    # Transformers of others compute with tensors while they are made, which "meta" cannot.
    with torch.device("cpu"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")  # says that its default may change
        network = _instantiate(arguments, key="model", kind=nn.Module)
    spec = model["spec"]
    try:
        padded = Padded(
            network,
            scale=model["scale"],
            channels=model["channels"],
            multiple=spec["multiple"],
            smallest=spec["min_size"],
            no_gradient=spec.get("no_gradient"),
        )
    except ValueError as error:
        raise Refusal(f"model.spec.{error}") from error
    return padded.to(device)


def without_weights(model: Node) -> dict[str, Any]:
    """Return the content of a network's yaml without the keys that say which weights it begins with."""
    return {key: value for key, value in model.items() if key not in PRETRAINED_KEYS}


def build_loss(terms: Node, *, key: str = "loss") -> WeightedSum:
    """Build a named weighted sum from `{name: {_target_, weight, start, ramp, ...}}`."""
    modules: dict[str, nn.Module] = {}
    weights: dict[str, RampedWeight] = {}
    for name, term in terms.items():
        weights[name] = _ramped(term, key=f"{key}.{name}")
        arguments = {argument: value for argument, value in term.items() if argument not in _OF_WEIGHT}
        modules[name] = _instantiate(arguments, key=f"{key}.{name}", kind=nn.Module)
    try:
        return WeightedSum(terms=modules, weights=weights)
    except ValueError as error:
        raise Refusal(str(error)) from error


def _ramped(node: Node, *, key: str) -> RampedWeight:
    """Return the weight of a term; a term of the user's own may leave out what it does not set."""
    try:
        return RampedWeight(float(node.get("weight", 1.0)), start=node.get("start", 0), ramp=node.get("ramp", 0))
    except ValueError as error:
        raise Refusal(f"{key}.{error}") from error


def build_module(config: Node, *, network: nn.Module, precision: str) -> SuperResolution:
    """Build the training method with everything that it is given."""
    module = dict(config["module"])
    settings: dict[str, Any] = {
        "network": network,
        "loss": build_loss(config["loss"]),
        "optimizer": _build_optimizer_of(network, config["optimizer"], precision=precision),
        "schedule": _build_schedule(config["scheduler"], key="scheduler"),
        "protocol": get_protocol(config["protocol"]),
        "max_steps": config["trainer"]["max_steps"],
        "log_every_steps": config["trainer"]["log_every_steps"],
        "description": describe(config),
        "compile_step": config["compile"],
        "lpips": None,
        "gradient_clip": module.pop("gradient_clip"),
        "accumulate": module.pop("accumulate"),
    }
    if "discriminator" not in module:
        return _instantiate(module, key="module", kind=SuperResolution, **settings)
    settings["lpips"] = available_lpips()
    adversarial = module.pop("adversarial")
    discriminator = _instantiate(module.pop("discriminator"), key="module.discriminator", kind=nn.Module)
    pretrain_loss = module.pop("pretrain_loss")
    pretrain_scheduler = module.pop("pretrain_scheduler")
    discriminator_optimizer = module.pop("discriminator_optimizer")
    return _instantiate(
        module,
        key="module",
        kind=SuperResolution,
        discriminator=discriminator,
        discriminator_optimizer=_build_optimizer_of(
            discriminator, discriminator_optimizer, precision=precision, key="module.discriminator_optimizer"
        ),
        pretrain_loss=build_loss(pretrain_loss, key="module.pretrain_loss"),
        pretrain_schedule=_build_schedule(pretrain_scheduler, key="module.pretrain_scheduler"),
        adversarial=AdversarialLoss(kind=adversarial["kind"]),
        adversarial_weight=_ramped(adversarial, key="module.adversarial"),
        penalty=DiscriminatorPenalty(
            kind=adversarial["penalty"],
            weight=adversarial["penalty_weight"],
            every=adversarial["penalty_every"],
            seed=config["seed"],
        ),
        settings=settings,
    )


def _build_optimizer_of(network: nn.Module, node: Node, *, precision: str, key: str = "optimizer") -> OptimizerFactory:
    """Return a factory of the optimiser of a network, some of whose layers may have rates of their own."""
    make = build_optimizer(node, precision=precision, key=key)
    # The configuration of an older run, which goes on, has no such key.
    shares = node.get(LAYER_RATES)
    if not shares:
        return make
    try:
        return LayerRates(make, network, shares=shares)
    except ValueError as error:
        raise Refusal(f"{key}.{LAYER_RATES}.{error}") from error


def build_optimizer(node: Node, *, precision: str, key: str = "optimizer") -> partial[Optimizer]:
    """Return a factory of the optimiser: it takes the parameters, and `lr=` for another rate than the configured.

    The fused kernels are taken where the optimiser has them, except under an fp16 loss scale, which they would have
    to undo themselves before a gradient can be clipped.

    Raises:
        Refusal: the target is no optimiser, or does not take the arguments.
    """
    target = _class(node, key=key, kind=Optimizer)
    arguments = {name: value for name, value in node.items() if name not in ("_target_", LAYER_RATES)}
    parameters = inspect.signature(target).parameters
    unknown = sorted(set(arguments) - set(parameters))
    if unknown:
        raise Refusal(f"{key}.{unknown[0]}: {target.__name__} has no such argument{nearest(unknown[0], parameters)}")
    others = any(arguments.get(name) for name in ("foreach", "differentiable"))
    if "fused" in parameters and precision != "16-mixed" and not others:
        arguments.setdefault("fused", True)
    make = partial(target, **arguments)
    # Other people's may want parameters that only their network has.
    if target.__module__.startswith("torch.optim."):
        try:
            cast(Any, make)([nn.Parameter(torch.zeros(1, 1))])
        except (RuntimeError, TypeError, ValueError) as error:
            raise Refusal(f"{key}: {reason_of(error)}") from error
    return make


def _build_schedule(node: Node, *, key: str) -> Schedule:
    return _instantiate(node, key=key, kind=Schedule)  # type: ignore[type-abstract]


def build_callback(node: Node, *, name: str, available: Node) -> Callback:
    """Build a callback; what its constructor takes of `available` (folders, ...) is handed to it."""
    return _instantiate_with(node, key=f"callbacks.{name}", kind=Callback, available=available)


def build_logger(node: Node, *, name: str, available: Node) -> Logger:
    """Build a logger; what its constructor takes of `available` (folders, ...) is handed to it."""
    return _instantiate_with(
        node,
        key=f"logger.{name}",
        kind=Logger,  # type: ignore[type-abstract]
        available=available,
    )


def build_degradation(node: Node) -> Degradation:
    """Build the degradation that makes LR from HR."""
    return cast(Degradation, _instantiate(node, key="degradation", kind=object))


def describe(config: Node) -> dict[str, Any]:
    """Return, in plain values, what rebuilds the network and says where it comes from; a checkpoint carries it."""
    names = config["names"]
    return {
        "name": names["model"],
        "scale": config["scale"],
        "model": without_weights(config["model"]),
        "loss": names["loss"],
        "data": names["data"],
        # More than one where each batch had another: VDSR is one network for all of them.
        "scales": config["data"]["scales"],
        # By which a score on other LR images than those it was trained on is known.
        "degradation": degradation_name(config),
        "features": {},
    }


def degradation_name(config: Node) -> str:
    """Return in one line how LR is made from HR, or that it was given."""
    return "lr_dir" if config["data"]["lr_dir"] else build_degradation(config["degradation"]).name


def _instantiate_with(node: Node, *, key: str, kind: type[Kind], available: Node) -> Kind:
    parameters = inspect.signature(_class(node, key=key, kind=kind)).parameters
    return _instantiate(
        node, key=key, kind=kind, **{name: value for name, value in available.items() if name in parameters}
    )


def _class(node: Node, *, key: str, kind: type[Kind]) -> type[Kind]:
    """Import the class that `_target_` names, without calling anything."""
    path = node.get("_target_")
    if not path:
        raise Refusal(f"{key}: expected a key _target_ that names a class, got {', '.join(node) or 'nothing'}.")
    check_extra(path, key=f"{key}._target_")
    try:
        found: type[Any] = hydra.utils.get_class(path)
    except Exception as error:  # importing runs code of other people
        raise Refusal(f"{key}._target_: cannot import the class '{path}': {reason_of(error)}") from error
    if not issubclass(found, kind):
        raise Refusal(f"{key}._target_: expected a {kind.__module__}.{kind.__qualname__}, got {path}.")
    return found


def _instantiate(node: Node, *, key: str, kind: type[Kind], **objects: Any) -> Kind:
    """Make the object that a yaml describes, of `kind`; `spec`, which is for refusals and tables, is left out.

    A checkpoint names its class too: nothing is called that is not of the kind, nor what its arguments may name.
    """
    target = _class(node, key=key, kind=kind)
    arguments = {name: value for name, value in node.items() if name != "spec"}
    parameters = inspect.signature(target).parameters
    unknown = sorted(set(arguments) - set(parameters) - {"_target_"})
    if unknown and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise Refusal(f"{key}.{unknown[0]}: {target.__name__} has no such argument{nearest(unknown[0], parameters)}")
    try:
        # Objects are bound by a partial: Hydra would deep-copy whatever is handed through its configuration.
        made = hydra.utils.instantiate(arguments, _convert_="all", _partial_=True, _recursive_=False)(**objects)
    except (HydraException, InstantiationException, TypeError, ValueError, FileNotFoundError) as error:
        raise Refusal(f"{key}: {reason_of(error)}") from error
    except Exception as error:
        if not target.__module__.startswith(KNOWN_CODE):
            raise
        raise Refusal(f"{key}: {target.__name__} cannot be made of these arguments: {reason_of(error)}") from error
    assert isinstance(made, kind)
    return made


def reason_of(error: BaseException) -> str:
    """Return what an error says, in a line; of one without words its kind."""
    cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
    return " ".join(str(cause).split()) or type(cause).__name__


def expand(path: str) -> Path:
    """Return a configured path with `~` resolved."""
    return Path(path).expanduser()
