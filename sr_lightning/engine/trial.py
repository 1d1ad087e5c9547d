"""A small image through a network before any other work, which shows whether its arguments go together."""

from copy import deepcopy
from typing import cast

import torch
from torch import nn

from sr_lightning.engine.build import Node, reason_of
from sr_lightning.extras import KNOWN_CODE
from sr_lightning.networks.luma import Network
from sr_lightning.refusal import Refusal

# Sides of the image in pixels, at least; what takes the larger alone is a network too.
_SIDES = (8, 64)


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
    multiple = spec.get("multiple", 1)
    sides = [-(-max(side, spec["min_size"]) // multiple) * multiple for side in _SIDES]
    # A copy: some remember what they were evaluated with.
    copied = cast(Network, deepcopy(network).eval())
    try:
        _try(copied, scale=model["scale"], side=sides[0])
    except Exception:  # of whatever kind a library's network runs into
        name = f"model: {model['_target_'].rpartition('.')[2]} of these arguments"
        try:
            _try(copied, scale=model["scale"], side=sides[1])
        except _UnfitError as unfit:
            raise Refusal(f"{name} {unfit}") from unfit
        except Exception as error:
            channels = _size(copied.channels, sides[1], sides[1])
            raise Refusal(f"{name} cannot take an image of {channels}: {reason_of(error)}") from error


class _UnfitError(Exception):
    """What a network gives is no SR of the image."""


def _try(network: Network, *, scale: int, side: int) -> None:
    lr = torch.linspace(0, 1, network.channels * side * side).view(1, network.channels, side, side)
    with torch.no_grad():
        sr = network(lr)
    wanted = (network.channels, scale * side, scale * side)
    if sr.shape[1:] != wanted:
        raise _UnfitError(
            f"makes {_size(*sr.shape[1:])} of {_size(*lr.shape[1:])} at scale={scale}, expected {_size(*wanted)}."
        )
    if not sr.isfinite().all():
        raise _UnfitError("gives NaN or infinity for an image.")


def _size(channels: int, height: int, width: int) -> str:
    return f"{channels}x{height}x{width}"
