"""From configuration to objects: the only module that instantiates what a yaml names."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import hydra.utils
from hydra.errors import HydraException, InstantiationException
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.metrics.lpips import Lpips, lpips_backbone_path
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.modules.base import SuperResolution
from sr_lightning.modules.schedules import Schedule
from sr_lightning.refusal import Refusal

Node = Mapping[str, Any]


def build_network(model: Node) -> nn.Module:
    """Build a network from its yaml's content: `_target_`, the constructor's arguments, and `spec`, which is left out.

    Raises:
        Refusal: the target is no `torch.nn.Module`, or its constructor does not take the arguments.
    """
    target = _class(model["_target_"], key="model._target_")
    # A checkpoint names its class too: nothing that is not a network is ever called.
    if not issubclass(target, nn.Module):
        raise Refusal(f"model._target_: expected a torch.nn.Module, got {model['_target_']}.")
    network = _instantiate({key: value for key, value in model.items() if key != "spec"}, key="model")
    assert isinstance(network, nn.Module)
    return network


def build_loss(terms: Node, *, key: str = "loss") -> WeightedSum:
    """Build a named weighted sum from `{name: {_target_, weight, ...}}`."""
    modules: dict[str, nn.Module] = {}
    weights: dict[str, float] = {}
    for name, term in terms.items():
        weights[name] = float(term.get("weight", 1.0))
        arguments = {argument: value for argument, value in term.items() if argument != "weight"}
        modules[name] = _instantiate(arguments, key=f"{key}.{name}")
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
        "schedule": _build_schedule(config["scheduler"]),
        "protocol": get_protocol(config["protocol"]),
        "max_steps": config["trainer"]["max_steps"],
        "log_every_steps": config["trainer"]["log_every_steps"],
        "description": describe(config),
        "compile_step": config["compile"],
        "lpips": None,
        "gradient_clip": module.pop("gradient_clip"),
        "accumulate": module.pop("accumulate"),
    }
    if config["names"]["module"] != "gan":
        return _checked_module(_instantiate(module, key="module", **settings))
    if lpips_backbone_path() is not None:
        settings["lpips"] = Lpips()
    adversarial = module.pop("adversarial")
    discriminator = {key: value for key, value in module.pop("discriminator").items() if key != "spec"}
    pretrain_loss = module.pop("pretrain_loss")
    discriminator_optimizer = module.pop("discriminator_optimizer")
    return _checked_module(
        _instantiate(
            module,
            key="module",
            discriminator=_instantiate(discriminator, key="module.discriminator"),
            discriminator_optimizer=build_optimizer(discriminator_optimizer, precision=precision),
            pretrain_loss=build_loss(pretrain_loss, key="module.pretrain_loss"),
            adversarial=AdversarialLoss(kind=adversarial["kind"]),
            adversarial_weight=adversarial["weight"],
            adversarial_start=adversarial["start"],
            adversarial_ramp=adversarial["ramp"],
            settings=settings,
        )
    )


def build_optimizer(node: Node, *, precision: str) -> partial[Optimizer]:
    """Return a factory of the optimiser: it takes the parameters, and `lr=` for another rate than the configured.

    The fused kernels are taken where the optimiser has them, except under an fp16 loss scale, which they would have
    to undo themselves before a gradient can be clipped.
    """
    target: Callable[..., Optimizer] = _class(node["_target_"], key="optimizer._target_")
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    if "fused" in inspect.signature(target).parameters and precision != "16-mixed":
        arguments.setdefault("fused", True)
    return partial(target, **arguments)


def build_callback(node: Node, *, name: str, available: Node) -> Callback:
    """Build a callback; what its constructor takes of `available` (folders, ...) is handed to it."""
    callback = _instantiate(node, key=f"callbacks.{name}", **_wanted(node, available))
    assert isinstance(callback, Callback)
    return callback


def build_logger(node: Node, *, name: str, available: Node) -> Logger:
    """Build a logger; what its constructor takes of `available` (folders, ...) is handed to it."""
    logger = _instantiate(node, key=f"logger.{name}", **_wanted(node, available))
    assert isinstance(logger, Logger)
    return logger


def build_degradation(node: Node) -> Any:
    """Build the degradation that makes LR from HR."""
    return _instantiate(node, key="degradation")


def describe(config: Node) -> dict[str, Any]:
    """Return, in plain values, what rebuilds the network and says where it comes from; a checkpoint carries it."""
    names = config["names"]
    return {
        "name": names["model"],
        "scale": config["scale"],
        "model": dict(config["model"]),
        "loss": names["loss"],
        "data": names["data"],
        "features": {},
    }


def _build_schedule(node: Node) -> Schedule:
    schedule = _instantiate(node, key="scheduler")
    assert isinstance(schedule, Schedule)
    return schedule


def _checked_module(module: Any) -> SuperResolution:
    if not isinstance(module, SuperResolution):
        raise Refusal(f"module._target_: expected a SuperResolution module, got {type(module).__name__}.")
    return module


def _wanted(node: Node, available: Node) -> dict[str, Any]:
    parameters = inspect.signature(_class(node["_target_"], key="_target_")).parameters
    return {name: value for name, value in available.items() if name in parameters}


def _class(path: str, *, key: str) -> type[Any]:
    try:
        found = hydra.utils.get_class(path)
    except Exception as error:
        raise Refusal(f"{key}: cannot import '{path}': {_reason(error)}") from error
    return found


def _instantiate(node: Node, *, key: str, **objects: Any) -> Any:
    # Objects are bound by a partial: Hydra would deep-copy whatever is handed through its configuration.
    try:
        made: Callable[..., Any] = hydra.utils.instantiate(dict(node), _convert_="all", _partial_=True)
        return made(**objects)
    except (HydraException, InstantiationException, TypeError, ValueError, FileNotFoundError) as error:
        raise Refusal(f"{key}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
    return " ".join(str(cause).split()) or type(cause).__name__


def expand(path: str) -> Path:
    """Return a configured path with `~` resolved."""
    return Path(path).expanduser()
