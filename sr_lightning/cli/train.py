"""`train`: one run, a sweep (`-m`), or an earlier run continued (`resume=`)."""

import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.compose import Tree
from sr_lightning.cli.refuse import refuse_training
from sr_lightning.refusal import Refusal

EXAMPLES = (
    ("python train.py experiment=quickstart", "three minutes on a laptop to a network that beats bicubic"),
    ("python train.py model=srgan scale=4", "SRGAN with its own loss, patch and optimiser"),
    (
        "python train.py model=edsr_baseline scale=2 data=folder data.train_dir=DIR data.val_dir=DIR",
        "your own photographs",
    ),
    (
        "python train.py 'loss=[l1,perceptual]' loss.perceptual.weight=0.01 logger=wandb",
        "two losses, watched in W&B",
    ),
    (
        "python train.py -m model=edsr_baseline,srgan loss=l1,charbonnier scale=2,4",
        "a sweep over every combination",
    ),
    ("python train.py resume=runs/FOLDER trainer.max_steps=20000", "go on with a run, longer"),
)


def main() -> None:
    """Train with the arguments of this process."""
    launch(
        Command(
            name="train",
            summary="train a super-resolution network.",
            examples=EXAMPLES,
            task=run,
            check=refuse_training_or_resume,
            rewrite=rewrite,
            sweeps=True,
        )
    )


def rewrite(overrides: list[str]) -> Rewritten:
    """Add what two arguments imply.

    `data.hr_patch=N` alone takes the place of a network's own `lr_patch`, and the other way round.
    `resume=FOLDER` composes from that folder's `config.yaml`, into that folder.
    """
    keys = {text.partition("=")[0].lstrip("+"): text.partition("=")[2] for text in overrides}
    for key, other in (("data.hr_patch", "data.lr_patch"), ("data.lr_patch", "data.hr_patch")):
        if keys.get(key, "null") != "null" and other not in keys:
            overrides = [*overrides, f"{other}=null"]
    resume = keys.get("resume", "null").strip("'\"")
    if resume == "null":
        return Rewritten(overrides)
    folder = Path(resume).expanduser().resolve()
    if not (folder / "config.yaml").is_file():
        raise Refusal(f"resume: expected the folder of a run (it holds config.yaml), got {resume}.")
    quoted = "'" + str(folder).replace("'", "\\'") + "'"
    kept = [text for text in overrides if text.partition("=")[0] != "resume"]
    return Rewritten(
        [
            *kept,
            f"resume={quoted}",
            f"hydra.run.dir={quoted}",
            "hydra.job.name=train",
            "hydra.output_subdir=null",
            "hydra/job_logging=none",
            "hydra/hydra_logging=none",
        ],
        config_path=folder,
        config_name="config",
    )


def refuse_training_or_resume(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what cannot be trained; of a continued run the choices stand in its own configuration."""
    names = tree["names"]
    refuse_training(tree, {**choices, "model": names["model"], "data": names["data"], "module": names["module"]})


def run(cfg: DictConfig) -> float | None:
    """Hydra's task: train in the folder that Hydra made; leaves the process with the run's exit code."""
    hydra_cfg = HydraConfig.get()
    run_dir = Path(hydra_cfg.runtime.output_dir)
    multirun = hydra_cfg.mode == RunMode.MULTIRUN
    _drop_fragments(cfg)
    resolved = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    assert isinstance(resolved, DictConfig)
    from sr_lightning.engine.train import train

    try:
        results = train(resolved, run_dir)
    except Refusal as refusal:
        if multirun:
            raise
        refuse(refusal)
    if results["exit_code"] and multirun:
        raise RuntimeError(f"{run_dir}: {results['status']}: {results['error']}")
    if results["exit_code"]:
        sys.exit(results["exit_code"])
    validation = results.get("validation") or {}
    return validation.get("psnr")


def _drop_fragments(cfg: DictConfig) -> None:
    """Drop loss terms without a target, which the check has let pass (see `refuse._drop_fragments`)."""
    with open_dict(cfg):
        for name in list(cfg.loss):
            if "_target_" not in cfg.loss[name]:
                del cfg.loss[name]
