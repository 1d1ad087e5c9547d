"""`upscale`: an image or a folder through a trained network."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_lightning.cli.app import Command, launch, refuse
from sr_lightning.cli.compose import Tree
from sr_lightning.refusal import Refusal

EXAMPLES = (
    (
        "python upscale.py checkpoint=runs/.../checkpoints/best.ckpt input=small.png output=large.png",
        "one image",
    ),
    ("python upscale.py checkpoint=PATH input=photos/ output=photos_x4/", "a folder, with its sub-folders"),
    ("python upscale.py checkpoint=PATH input=photos/ output=photos_x4/ overwrite=true", "once more"),
)


def main() -> None:
    """Upscale with the arguments of this process."""
    launch(
        Command(
            name="upscale",
            summary="upscale an image or a folder of images with a trained network.",
            examples=EXAMPLES,
            task=run,
            check=refuse_upscaling,
        )
    )


def refuse_upscaling(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what is not there; what the files are is looked at by the engine, before the first is written."""
    for key in ("checkpoint", "input"):
        if not Path(tree[key]).expanduser().exists():
            raise Refusal(f"{key}: expected a path that is there, got {tree[key]}.")


def run(cfg: DictConfig) -> None:
    """Hydra's task: plan, upscale with a progress bar, leave with 1 where a file failed."""
    source, target = Path(cfg.input).expanduser(), Path(cfg.output).expanduser()
    from sr_lightning.engine.upscale import plan, run_with_progress

    try:
        pairs = plan(source, target, overwrite=cfg.overwrite)
        run_with_progress(Path(cfg.checkpoint).expanduser(), pairs, device=cfg.device)
    except Refusal as refusal:
        refuse(refusal)
