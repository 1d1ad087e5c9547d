"""`upscale`: an image or a folder through a trained network."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, launch, refuse
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.refuse import check_given_network
from sr_lightning.data.scan import EXTENSIONS, list_images
from sr_lightning.refusal import Refusal
from sr_lightning.weights.files import check_there

EXAMPLES = (
    (
        "python upscale.py checkpoint=runs/.../checkpoints/best.ckpt input=small.png output=large.png",
        "one image",
    ),
    ("python upscale.py checkpoint=PATH input=photos/ output=photos_x4/", "a folder, with its sub-folders"),
    (
        "python upscale.py model=rrdb model.pretrained=RealESRGAN_x4plus.pth scale=4 input=photos/ output=photos_x4/",
        "by weights that others have published",
    ),
    ("python upscale.py checkpoint=PATH input=photos/ output=photos_x4/ overwrite=true", "once more"),
    (
        "python upscale.py checkpoint=PATH input=a.png output=b.png self_ensemble=true",
        "a little better, 8 times slower",
    ),
)


def main() -> None:
    """Upscale with the arguments of this process."""
    launch(
        Command(
            name="upscale",
            summary="upscale an image or a folder of images with a trained network, or by published weights.",
            examples=EXAMPLES,
            task=run,
            check=refuse_upscaling,
            borrows_model=True,
        )
    )


def refuse_upscaling(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what is not there and what would be overwritten; what the files are is seen by the engine."""
    model = tree["names"]["model"]
    if bool(model) == bool(tree["checkpoint"]):
        got = "both" if model else "none of them"
        raise Refusal(f"expected exactly one of checkpoint=PATH and model=NAME, got {got}.")
    if model:
        check_given_network(tree)
    else:
        check_there(Path(tree["checkpoint"]).expanduser(), key="checkpoint")
    plan(Path(tree["input"]).expanduser(), Path(tree["output"]).expanduser(), overwrite=tree["overwrite"])


def plan(source: Path, target: Path, *, overwrite: bool) -> list[tuple[Path, Path]]:
    """Return which file becomes which: a file for a file, the same relative names as `.png` for a folder.

    Raises:
        Refusal: the input is missing or holds no image, a target exists, or two inputs have one target.
    """
    if source.is_dir():
        files = list_images(source)
        if not files:
            raise Refusal(f"input: {source} holds no image ({', '.join(sorted(EXTENSIONS))}).")
        if target.is_file():
            raise Refusal(f"output: {source} is a folder, so expected a folder, got the file {target}.")
        pairs = [(path, (target / path.relative_to(source)).with_suffix(".png")) for path in files]
    elif source.is_file():
        if target.is_dir():
            raise Refusal(f"output: {source} is a file, so expected a file, got the folder {target}.")
        if target.suffix.lower() not in EXTENSIONS:
            raise Refusal(f"output: expected a name that ends in {', '.join(sorted(EXTENSIONS))}, got {target.name}.")
        pairs = [(source, target)]
    else:
        raise Refusal(f"input: expected an image or a folder, got {source}, which is not there.")
    seen: dict[Path, Path] = {}
    for path, result in pairs:
        if result in seen:
            raise Refusal(f"output: {seen[result]} and {path} would both become {result}; rename one.")
        seen[result] = path
        if result.exists() and not overwrite:
            raise Refusal(f"output: {result} is already there; overwrite=true replaces it.")
    return pairs


def run(cfg: DictConfig) -> None:
    """Hydra's task: upscale with a progress bar, leave with 1 where a file failed."""
    pairs = plan(Path(cfg.input).expanduser(), Path(cfg.output).expanduser(), overwrite=cfg.overwrite)
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    from sr_lightning.engine.upscale import run_with_progress, upscaler_of

    try:
        run_with_progress(upscaler_of({str(key): value for key, value in config.items()}), pairs)
    except Refusal as refusal:
        refuse(refusal)
