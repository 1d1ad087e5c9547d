"""A small image through a network before any other work, which shows whether its arguments go together."""

from copy import deepcopy
from typing import cast

import torch
from torch import nn

from sr_lightning.engine.build import Node, reason_of
from sr_lightning.extras import KNOWN_CODE
from sr_lightning.networks.luma import Network
from sr_lightning.refusal import Refusal

# Sides of the image in pixels, at least.
_SIDE = 8


def try_network(network: nn.Module, model: Node) -> None:
    """Refuse a network whose arguments make none that upscales.

    Of libraries' networks and ours alone: other people's may want a device, and their authors a traceback.

    Args:
        network: On the CPU; it stays as it is, as do the random numbers.
        model: What it was built from, with its `spec`.

    Raises:
        Refusal: It raises an error, or gives an image of another size or without finite values.
    """
    spec = model.get("spec") or {}
    if not model["_target_"].startswith(KNOWN_CODE) or "min_size" not in spec:
        return
    name, scale = model["_target_"].rpartition(".")[2], model["scale"]
    multiple = spec.get("multiple", 1)
    side = -(-max(_SIDE, spec["min_size"]) // multiple) * multiple
    # A copy: some remember what they were evaluated with.
    copied = cast(Network, deepcopy(network).eval())
    lr = torch.linspace(0, 1, copied.channels * side * side).view(1, copied.channels, side, side)
    try:
        with torch.no_grad():
            sr = copied(lr)
    except Exception as error:  # of whatever kind a library's network runs into
        raise Refusal(f"model: {name} of these arguments cannot take an image: {reason_of(error)}") from error
    wanted = (scale * side, scale * side)
    if sr.shape[1] != copied.channels or sr.shape[-2:] != wanted:
        raise Refusal(
            f"model: {name} of these arguments makes {_size(*sr.shape[1:])} of {_size(copied.channels, side, side)} at "
            f"scale={scale}, expected {_size(copied.channels, *wanted)}."
        )
    if not sr.isfinite().all():
        raise Refusal(f"model: {name} of these arguments gives NaN or infinity for an image.")


def _size(channels: int, height: int, width: int) -> str:
    return f"{channels}x{height}x{width}"
