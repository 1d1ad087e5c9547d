"""`preview`: the pairs of LR and HR that a training would begin with, as pictures."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.refuse import refuse_training
from sr_lightning.cli.resolve import resolve
from sr_lightning.cli.train import rewrite as rewrite_training
from sr_lightning.data.scan import DataError
from sr_lightning.refusal import Refusal

EXAMPLES = (
    ("python preview.py", "the first 64 pairs of the sample photographs: preview.png and preview.html"),
    (
        "python preview.py degradation=second_order scale=4 data=folder data.train_dir=DIR data.val_dir=DIR",
        "what a degradation makes of your own photographs",
    ),
    ("python preview.py experiment=srgan n=16 output=srgan.png", "what an experiment trains on"),
    ("python preview.py n=5000 pairs=DIR", "5000 pairs as PNG files, for other programs"),
)


def main() -> None:
    """Show pairs with the arguments of this process."""
    launch(
        Command(
            name="preview",
            summary="show the pairs of LR and HR that a training with the same arguments would begin with.",
            examples=EXAMPLES,
            task=run,
            check=refuse_preview,
            rewrite=rewrite,
            config_name="train",
        )
    )


def rewrite(overrides: list[str]) -> Rewritten:
    """Add what arguments imply, as `train` does; a run's folder cannot be shown."""
    for text in overrides:
        key, _, value = text.partition("=")
        if key.lstrip("+") == "resume" and value != "null":
            raise Refusal("resume goes on with a training; preview takes the arguments with which one begins.")
    return rewrite_training(overrides)


def refuse_preview(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what cannot be trained, and where the pictures cannot go."""
    if tree["n"] is None or tree["n"] < 1:
        raise Refusal(f"n: expected at least one sample, got {tree['n']}.")
    output = Path(tree["output"] or "").expanduser()
    if output.suffix.lower() != ".png":
        raise Refusal(f"output: expected a name that ends in .png, got {tree['output']}.")
    for path in (output, output.with_suffix(".html")):
        if path.is_dir():
            raise Refusal(f"output: expected a file, got {path}, which is a folder.")
    if not output.parent.is_dir():
        raise Refusal(f"output: expected a folder that exists, got {output.parent}, which does not.")
    if tree["pairs"]:
        _check_pairs(Path(tree["pairs"]).expanduser())
    refuse_training(tree, choices)


def run(cfg: DictConfig) -> None:
    """Hydra's task: write the pictures and say where they are."""
    config = OmegaConf.to_container(resolve(cfg))
    assert isinstance(config, dict)
    from sr_lightning.engine.preview import preview

    try:
        page = preview({str(key): value for key, value in config.items()})
    except (Refusal, DataError) as refusal:
        refuse(refusal)
    print(f"sheet    {cfg.output}\npage     {page}")
    if cfg.pairs:
        print(f"pairs    {cfg.pairs}")


def _check_pairs(folder: Path) -> None:
    if folder.is_file():
        raise Refusal(f"pairs: expected a folder, got {folder}, which is a file.")
    # Pairs of another degradation that were left among the new ones would be trained on.
    if folder.is_dir() and any(folder.iterdir()):
        raise Refusal(f"pairs: expected a new or an empty folder, got {folder}, which holds files.")
