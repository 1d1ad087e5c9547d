"""`prepare`: fetch, check and decode what a training needs, from the arguments of that training."""

import shlex
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.check import get
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.refuse import check_scale
from sr_lightning.cli.train import resolve
from sr_lightning.cli.train import rewrite as rewrite_training
from sr_lightning.data.catalogue import catalogue
from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import image_channels, wanted_sets
from sr_lightning.refusal import Refusal

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
    """Refuse sets that nobody knows or the network cannot take, and a scale that it does not have."""
    check_scale(str(choices.get("model")), get(tree, "model.spec") or {}, tree["scale"])
    try:
        wanted_sets(
            tree["data"],
            name=str(choices["data"]),
            evaluated=tree["eval"],
            entries=catalogue([Path(folder).expanduser() for folder in tree["paths"]["catalogue"]]),
            channels=image_channels(tree["model"]),
        )
    except DataError as error:
        raise Refusal(str(error)) from error


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
    print(f"next: python {shlex.join(line)}")
