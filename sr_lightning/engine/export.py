"""The `export` command: the weights of a checkpoint as a file that other programs load."""

from dataclasses import dataclass
from pathlib import Path

from sr_lightning.engine.checkpoint import load_network
from sr_lightning.report.files import replacing
from sr_lightning.weights.write import Format, choose_layout, save_weights


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
        ema: Whether the weights are averaged ones.
    """

    path: Path
    model: str
    scale: int
    layout: str
    tensors: int
    spandrel: bool
    ema: bool

    def lines(self) -> list[str]:
        """What a person is told."""
        averaged = ", averaged weights" if self.ema else ""
        known = "which spandrel (chaiNNer and its relatives) knows" if self.spandrel else "which spandrel does not know"
        return [
            f"weights  {self.path}",
            f"{self.model} x{self.scale}, {self.tensors} tensors{averaged}, by {self.layout} names, {known}",
        ]


def export_weights(checkpoint: Path, output: Path, *, kind: Format, layout: str) -> Exported:
    """Write the weights of a checkpoint, averaged ones where it has them; a file that is there is replaced.

    Args:
        checkpoint: of a run, or a file written here before.
        output: the file to write; it takes its name when it is whole.
        kind: `safetensors` or `pth`.
        layout: `auto`, `own`, or a layout's name.

    Raises:
        Refusal: the checkpoint cannot be read, or its network has no such layout.
    """
    loaded = load_network(checkpoint)
    chosen = choose_layout(loaded.network, layout)
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
    )
