"""Writing a network's tensors as other programs read them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sr_lightning.networks.layout import Layout
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.weights.match import OWN
from sr_lightning.weights.own import CHECKPOINT_KEY

Format = Literal["safetensors", "pth"]
FORMATS: tuple[Format, ...] = ("safetensors", "pth")


def choose_layout(network: nn.Module, name: str) -> Layout:
    """Returns the layout to write.

    Args:
        network: Its class may have `layouts`.
        name: `auto` takes the one that spandrel knows, and our own names where it knows none; `own` our own; or a
            layout's name, in any case of its letters.

    Raises:
        Refusal: The network has no such layout.
    """
    layouts: list[Layout] = [layout for layout in getattr(network, "layouts", ()) if not layout.only_read]
    if name == "auto":
        return next((layout for layout in layouts if layout.spandrel), OWN)
    known = {"own": OWN} | {layout.name.lower(): layout for layout in layouts}
    if name.lower() not in known:
        names = ["auto", "own", *(layout.name for layout in layouts)]
        raise Refusal(f"layout: expected one of {', '.join(names)}, got '{name}'{nearest(name, names)}")
    return known[name.lower()]


def save_weights(
    network: nn.Module, path: Path, *, kind: Format, layout: Layout, description: Mapping[str, Any]
) -> list[str]:
    """Writes a network's tensors to a file, with what rebuilds the network beside them.

    Args:
        network: Any device.
        path: The file, replaced if it is there.
        kind: `safetensors`, or `pth` for torch.save's format with the tensors below `params`, as BasicSR has them.
        layout: By whose names.
        description: `name`, `scale`, `model` and whatever else, in plain values.

    Returns:
        The names written.
    """
    tensors = {name: _plain(tensor) for name, tensor in layout.to_file(network.state_dict()).items()}
    if kind == "safetensors":
        save_file(tensors, path, metadata={"format": "pt", "layout": layout.name, **as_metadata(description)})
    else:
        torch.save({"params": tensors, CHECKPOINT_KEY: dict(description)}, path)
    return list(tensors)


def as_metadata(description: Mapping[str, Any]) -> dict[str, str]:
    """What rebuilds a network, as the texts that a safetensors file holds."""
    rest = {key: value for key, value in description.items() if key not in ("name", "scale", "model")}
    return {
        "name": description["name"],
        "scale": str(description["scale"]),
        "model": json.dumps(description["model"]),
        CHECKPOINT_KEY: json.dumps(rest),
    }


def _plain(tensor: Tensor) -> Tensor:
    """Returns a copy in the ordinary order of memory, since networks may lie channels-last, on the CPU."""
    return tensor.detach().to("cpu", copy=True).contiguous()
