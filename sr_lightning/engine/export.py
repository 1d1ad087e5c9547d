"""The `export` command: the weights of a checkpoint as a file that other programs load."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch

from sr_lightning.engine.checkpoint import Loaded, load_network
from sr_lightning.networks.layout import Layout
from sr_lightning.networks.luma import Network
from sr_lightning.networks.padded import OF_TRAINING, UNTOLD
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import replacing
from sr_lightning.weights.write import Format, choose_layout, save_weights

# Of the image by which spandrel's network is compared with ours: no multiple of anything, so that borders show.
_WIDTH, _HEIGHT = 27, 25
# What spandrel takes from the size of the network, right for the authors' own.
_GUESSED = ("category_size",)
# Of the largest value: well above float32 in another order of sums, well below another constant.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        model: The network's name.
        scale: HR pixels per LR pixel.
        layout: By whose names.
        tensors: How many.
        spandrel: Whether spandrel knows the layout.
        checked: Whether spandrel, where it knows the layout, was there to be compared with.
        otherwise: What spandrel makes of the tensors, where that is not this network; else nothing.
        ema: Whether the weights are averaged ones.
    """

    path: Path
    model: str
    scale: int
    layout: str
    tensors: int
    spandrel: bool
    ema: bool
    checked: bool = False
    otherwise: str = ""

    def lines(self) -> list[str]:
        """What a person is told."""
        averaged = ", averaged weights" if self.ema else ""
        return [
            f"weights  {self.path}",
            f"{self.model} x{self.scale}, {self.tensors} tensors{averaged}, by {self.layout} names, {self._known()}",
        ]

    def _known(self) -> str:
        if not self.spandrel:
            return "which spandrel does not know"
        if self.otherwise:
            return f"by which spandrel (chaiNNer and its relatives) computes something else: {self.otherwise}"
        unchecked = "" if self.checked else "; it is not installed, so that its output was not compared"
        return f"which spandrel (chaiNNer and its relatives) knows{unchecked}"


def export_weights(checkpoint: Path, output: Path, *, kind: Format, layout: str) -> Exported:
    """Write the weights of a checkpoint, averaged ones where it has them; a file that is there is replaced.

    Args:
        checkpoint: of a run, or a file written here before.
        output: the file to write; it takes its name when it is whole.
        kind: `safetensors` or `pth`.
        layout: `auto`, `own`, or a layout's name.

    Raises:
        Refusal: the checkpoint cannot be read, its network has no such layout, or spandrel, for which the file is
            meant, would compute something else with it.
    """
    loaded = load_network(checkpoint)
    chosen = choose_layout(loaded.network, layout)
    checked = chosen.spandrel and find_spec("spandrel") is not None
    otherwise = _otherwise(loaded, chosen) if checked else ""
    # Who names a layout of another program wants the file for that.
    if otherwise and layout.lower() in ("auto", "spandrel"):
        raise Refusal(
            f"layout: spandrel (chaiNNer and its relatives) would compute something else with this file: {otherwise}; "
            "layout=own writes our names, which it does not know."
        )
    description = {**loaded.description, "ema": loaded.ema}
    with replacing(output) as partial:
        names = save_weights(loaded.network, partial, kind=kind, layout=chosen, description=description)
    return Exported(
        path=output,
        model=loaded.name,
        scale=loaded.scale,
        layout=chosen.name,
        tensors=len(names),
        spandrel=chosen.spandrel,
        ema=loaded.ema,
        checked=checked,
        otherwise=otherwise,
    )


def _otherwise(loaded: Loaded, layout: Layout) -> str:
    """Return in what spandrel's network of a layout's tensors is not the one they are of; nothing where it is."""
    from spandrel import ModelLoader

    # A copy: SPAN, for one, writes its merged kernels where others stood.
    network = cast(Network, deepcopy(loaded.network))
    try:
        theirs = ModelLoader(device="cpu").load_from_state_dict(layout.to_file(loaded.network.state_dict()))
    except Exception as error:  # tensors that it does not expect raise whatever they run into
        return f"it cannot load it ({type(error).__name__})"
    channels = network.channels
    if (theirs.scale, theirs.input_channels, theirs.output_channels) != (loaded.scale, channels, channels):
        return f"it takes it for x{theirs.scale} of {theirs.input_channels} channels"
    # What it asks of images, its callers make so, each in its own way.
    right, below = theirs.size_requirements.get_padding(_WIDTH, _HEIGHT)
    lr = torch.rand(1, channels, _HEIGHT + below, _WIDTH + right, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # Some change their input in place.
        sr, expected = theirs.model.eval()(lr.clone()), network(lr)
    difference, largest = float((sr - expected).abs().max()), float(expected.abs().max())
    if difference <= _TOLERANCE * largest:
        return ""
    return _unlike(loaded.model, theirs.model.hyperparameters) or (
        f"its {theirs.architecture.name} x{loaded.scale} of {channels} channels is off by {difference:.1g}, "
        f"where the largest value is {largest:.1g}"
    )


def _unlike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Return the arguments that spandrel took for granted, or guessed, and that are otherwise here."""
    unlike = [key for key in (*UNTOLD, *_GUESSED) if key in theirs and ours.get(key, theirs[key]) != theirs[key]]
    return ", ".join(f"{key} is {theirs[key]} there and {ours[key]} here" for key in unlike if key not in OF_TRAINING)
