"""`prepare`: fetch, check and decode what a training needs, from the arguments of that training."""

import shlex
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.check import get
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.refuse import check_folder_key, check_patches
from sr_lightning.cli.resolve import resolve
from sr_lightning.cli.train import rewrite as rewrite_training
from sr_lightning.data.benchmarks import SSIM_WINDOW
from sr_lightning.data.catalogue import catalogue, count_images, find_split
from sr_lightning.data.pairs import match_lr
from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import MissingImages, image_channels, locate, own_entry, wanted_sets
from sr_lightning.refusal import Refusal
from sr_lightning.yamls import check_scale

EXAMPLES = (
    ("python prepare.py data=div2k scale=4", "DIV2K below data/, with the images that validate it"),
    ("python prepare.py data=set5 data.root=DIR", "an evaluation set"),
    (
        "python prepare.py model=srgan data=bsds300 scale=4 'eval=[set5,set14]'",
        "the arguments of a training: its images, what it is evaluated on, and VGG's weights",
    ),
    ("python prepare.py data=t91 'data.mirrors=[http://server/archives]'", "from a server of your own, or a folder"),
)


def main() -> None:
    """Prepare with the arguments of this process."""
    arguments = sys.argv[1:]

    def task(cfg: DictConfig) -> None:
        run(cfg, arguments)

    launch(
        Command(
            name="prepare",
            summary="fetch, check and decode the images of a training, and the weights that its losses need.",
            examples=EXAMPLES,
            task=task,
            check=refuse_preparation,
            rewrite=rewrite,
            config_name="train",
        )
    )


def rewrite(overrides: list[str]) -> Rewritten:
    """Add what arguments of a training imply; what a run has begun with is there."""
    if any(text.partition("=")[0] == "resume" for text in overrides):
        raise Refusal(
            "resume goes on with a run, whose images are ready; leave it out, or give data=NAME data.root=DIR."
        )
    return rewrite_training(overrides)


def refuse_preparation(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what needs no download to be known: unknown sets, a scale that is none of the network's, folders."""
    check_scale(str(choices.get("model")), get(tree, "model.spec") or {}, tree["scale"])
    _check_folders(tree)
    data, name, channels = tree["data"], str(choices["data"]), image_channels(tree["model"])
    try:
        entries = catalogue([Path(folder).expanduser() for folder in tree["paths"]["catalogue"]])
        wanted = wanted_sets(data, name=name, evaluated=tree["eval"], entries=entries, channels=channels)
        root = Path(data["root"]).expanduser()
        if any(count_images(find_split(each.split, root)) < (each.split.images or 0) for each in wanted):
            # What is missing is fetched; only then is it known what there is to leave out and to hold out.
            return
        if own_entry(data, name=name).kind != "evaluation":
            images = locate(data, name=name, scale=tree["scale"], entries=entries, channels=channels)
            train = [path for part in images.train for path in part.files]
            for key, files in (("data.lr_dir", train), ("data.val_lr_dir", images.val)):
                if get(tree, key):
                    folder = Path(get(tree, key)).expanduser()
                    match_lr(files, folder, key=key, scale=tree["scale"], channels=channels)
    except MissingImages:
        # They are what is to be fetched.
        return
    except DataError as error:
        raise Refusal(str(error)) from error


def _check_folders(tree: Tree) -> None:
    """Refuse folders of a user's own that a training would refuse."""
    data, scale = tree["data"], tree["scale"]
    patch = data["hr_patch"] or (data["lr_patch"] or 1) * max(data["scales"] or [scale])
    whole_image = SSIM_WINDOW + 2 * scale
    for key, side in (("data.train_dir", patch), ("data.val_dir", whole_image), ("data.test_dir", whole_image)):
        if get(tree, key) or (key == "data.train_dir" and "train_dir" in data):
            check_folder_key(tree, key, min_side=side)


def run(cfg: DictConfig, arguments: list[str]) -> None:
    """Hydra's task: prepare as the training of the same arguments will look for it, and say how to go on."""
    resolved = resolve(cfg)
    config = OmegaConf.to_container(resolved)
    assert isinstance(config, dict)
    from sr_lightning.engine.prepare import prepare

    try:
        prepare({str(key): value for key, value in config.items()})
    except (Refusal, DataError) as refusal:
        refuse(refusal)
    except KeyboardInterrupt:
        print("interrupted; what has arrived stays, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    if resolved.data.spec.kind == "evaluation":
        line = ["evaluate.py", "checkpoint=PATH", f"data.root={resolved.data.root}", f"eval=[{resolved.names.data}]"]
    else:
        line = ["train.py", *arguments]
        try:
            check_patches({str(key): value for key, value in config.items()}, resolved.names.data)
        except Refusal as refusal:
            # The images are there, but that training would be refused.
            print(f"to train on them, change the patch: {refusal}")
            return
    print(f"next: python {shlex.join(line)}")
