"""`export`: the weights of a checkpoint as a file that other programs load."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_lightning.cli.app import Command, launch, refuse
from sr_lightning.cli.compose import Tree
from sr_lightning.refusal import Refusal
from sr_lightning.weights.files import check_file

EXAMPLES = (
    (
        "python export.py checkpoint=runs/.../checkpoints/best.ckpt",
        "best.safetensors beside it, by the names that chaiNNer and its relatives know",
    ),
    ("python export.py checkpoint=PATH format=pth output=edsr_x4.pth layout=EDSR-PyTorch", "for another program"),
    ("python export.py checkpoint=PATH output=mine.safetensors overwrite=true", "once more"),
)


def main() -> None:
    """Export with the arguments of this process."""
    launch(
        Command(
            name="export",
            summary="write the weights of a checkpoint as a file that other programs load.",
            examples=EXAMPLES,
            task=run,
            check=refuse_export,
        )
    )


def refuse_export(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what is not there and what would be overwritten."""
    checkpoint = Path(tree["checkpoint"]).expanduser()
    check_file(checkpoint, key="checkpoint")
    output = target(checkpoint, tree["output"], kind=tree["format"])
    if output.is_dir():
        raise Refusal(f"output: expected a file, got {output}, which is a folder.")
    if output.suffix.lower() != f".{tree['format']}":
        raise Refusal(
            f"output: format={tree['format']} needs a name that ends in .{tree['format']}, got {output.name}."
        )
    if output.exists() and output.samefile(checkpoint):
        raise Refusal(f"output: {output} is the checkpoint itself; give another name.")
    if output.exists() and not tree["overwrite"]:
        raise Refusal(f"output: {output} is already there; overwrite=true replaces it.")


def target(checkpoint: Path, output: str | None, *, kind: str) -> Path:
    """Return the file to write: beside the checkpoint, where none is named."""
    return checkpoint.with_suffix(f".{kind}") if output is None else Path(output).expanduser()


def run(cfg: DictConfig) -> None:
    """Hydra's task: write the file and say what it is."""
    from sr_lightning.engine.export import export_weights

    checkpoint = Path(cfg.checkpoint).expanduser()
    try:
        exported = export_weights(
            checkpoint, target(checkpoint, cfg.output, kind=cfg.format), kind=cfg.format, layout=cfg.layout
        )
    except Refusal as refusal:
        refuse(refusal)
    print("\n".join(exported.lines()))
