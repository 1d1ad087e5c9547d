"""From configuration to objects: the only module that instantiates what a yaml names."""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import hydra.utils
from hydra.errors import HydraException, InstantiationException
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from sr_lightning.degradations.base import Degradation
from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.metrics.lpips import available_lpips
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.modules.base import SuperResolution
from sr_lightning.modules.schedules import Schedule
from sr_lightning.refusal import Refusal, nearest

Node = Mapping[str, Any]
Kind = TypeVar("Kind")


def build_network(model: Node) -> nn.Module:
    """Build a network from its yaml's content: `_target_`, the constructor's arguments, and `spec`, which is left out.

    Raises:
        Refusal: the target is no `torch.nn.Module`, or its constructor does not take the arguments.
    """
    return _instantiate(model, key="model", kind=nn.Module)


def build_loss(terms: Node, *, key: str = "loss") -> WeightedSum:
    """Build a named weighted sum from `{name: {_target_, weight, ...}}`."""
    modules: dict[str, nn.Module] = {}
    weights: dict[str, float] = {}
    for name, term in terms.items():
        weights[name] = float(term.get("weight", 1.0))
        arguments = {argument: value for argument, value in term.items() if argument != "weight"}
        modules[name] = _instantiate(arguments, key=f"{key}.{name}", kind=nn.Module)
    try:
        return WeightedSum(terms=modules, weights=weights)
    except ValueError as error:
        raise Refusal(str(error)) from error


def build_module(config: Node, *, network: nn.Module, precision: str) -> SuperResolution:
    """Build the training method with everything that it is given."""
    module = dict(config["module"])
    settings: dict[str, Any] = {
        "network": network,
        "loss": build_loss(config["loss"]),
        "optimizer": build_optimizer(config["optimizer"], precision=precision),
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
    discriminator = module.pop("discriminator")
    pretrain_loss = module.pop("pretrain_loss")
    pretrain_scheduler = module.pop("pretrain_scheduler")
    discriminator_optimizer = module.pop("discriminator_optimizer")
    return _instantiate(
        module,
        key="module",
        kind=SuperResolution,
        discriminator=_instantiate(discriminator, key="module.discriminator", kind=nn.Module),
        discriminator_optimizer=build_optimizer(
            discriminator_optimizer, precision=precision, key="module.discriminator_optimizer"
        ),
        pretrain_loss=build_loss(pretrain_loss, key="module.pretrain_loss"),
        pretrain_schedule=_build_schedule(pretrain_scheduler, key="module.pretrain_scheduler"),
        adversarial=AdversarialLoss(kind=adversarial["kind"]),
        adversarial_weight=adversarial["weight"],
        adversarial_start=adversarial["start"],
        adversarial_ramp=adversarial["ramp"],
        settings=settings,
    )


def build_optimizer(node: Node, *, precision: str, key: str = "optimizer") -> partial[Optimizer]:
    """Return a factory of the optimiser: it takes the parameters, and `lr=` for another rate than the configured.

    The fused kernels are taken where the optimiser has them, except under an fp16 loss scale, which they would have
    to undo themselves before a gradient can be clipped.

    Raises:
        Refusal: the target is no optimiser, or does not take the arguments.
    """
    target = _class(node, key=key, kind=Optimizer)
    arguments = {name: value for name, value in node.items() if name != "_target_"}
    parameters = inspect.signature(target).parameters
    unknown = sorted(set(arguments) - set(parameters))
    if unknown:
        raise Refusal(f"{key}.{unknown[0]}: {target.__name__} has no such argument{nearest(unknown[0], parameters)}")
    if "fused" in parameters and precision != "16-mixed":
        arguments.setdefault("fused", True)
    return partial(target, **arguments)


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
        "model": dict(config["model"]),
        "loss": names["loss"],
        "data": names["data"],
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
    try:
        found: type[Any] = hydra.utils.get_class(path)
    except Exception as error:  # importing runs code of other people
        raise Refusal(f"{key}._target_: cannot import the class '{path}': {_reason(error)}") from error
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
        raise Refusal(f"{key}: {_reason(error)}") from error
    assert isinstance(made, kind)
    return made


def _reason(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
    return " ".join(str(cause).split()) or type(cause).__name__


def expand(path: str) -> Path:
    """Return a configured path with `~` resolved."""
    return Path(path).expanduser()
