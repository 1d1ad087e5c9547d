"""`train`: one run, a sweep (`-m`), or an earlier run continued (`resume=`)."""

import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.check import FREE
from sr_lightning.cli.compose import Tree, parse_overrides, quoted
from sr_lightning.cli.launchers import check_launcher
from sr_lightning.cli.refuse import refuse_other_run, refuse_training
from sr_lightning.cli.resolve import resolve
from sr_lightning.data.scan import DataError
from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.cells import Objectives, objectives, refuse_another, state_of

EXAMPLES = (
    ("python train.py experiment=quickstart", "two minutes on two cores to a network that beats bicubic"),
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
    (
        "python train.py -m hparams_search=width_depth scale=2 trainer.max_steps=5000",
        "a search: which networks are worth their size",
    ),
    ("python train.py data=div2k model=edsr preflight=only", "look at images, speed and memory, without training"),
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
    `loss.perceptual.layers={relu3_4:1}` takes the place of the yaml's layers, with which Hydra would merge it.
    `resume=FOLDER` composes from that folder's `config.yaml`, into that folder.
    """
    keys = {text.partition("=")[0].lstrip("+"): text.partition("=")[2] for text in overrides}
    for key, other in (("data.hr_patch", "data.lr_patch"), ("data.lr_patch", "data.hr_patch")):
        if keys.get(key, "null") != "null" and other not in keys:
            overrides = [*overrides, f"{other}=null"]
    overrides = [part for text in overrides for part in _replacing(text)]
    if keys.get("preflight") == "only":
        # No folder of a run is left.
        overrides = [*overrides, "hydra.run.dir=.", "hydra.output_subdir=null"]
    resume = next((text for text in overrides if text.partition("=")[0] == "resume"), "resume=null")
    value = parse_overrides([resume])[0].value()
    if value is None:
        return Rewritten(overrides)
    folder = Path(str(value)).expanduser().resolve()
    if not (folder / "config.yaml").is_file():
        raise Refusal(f"resume: expected the folder of a run, got {value}, which holds no config.yaml.")
    kept = _without_same_choices([text for text in overrides if text != resume], folder)
    return Rewritten(
        [
            *kept,
            f"resume={quoted(str(folder))}",
            f"hydra.run.dir={quoted(str(folder))}",
            "hydra.job.name=train",
            "hydra.output_subdir=null",
            "hydra/job_logging=none",
            "hydra/hydra_logging=none",
        ],
        config_path=folder,
        config_name="config",
    )


def _replacing(text: str) -> list[str]:
    key, equals, _ = text.partition("=")
    return [f"~{key}", f"+{text}"] if equals and FREE.fullmatch(key) else [text]


def refuse_training_or_resume(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse what cannot be trained; of a continued run the choices stand in its own configuration."""
    check_launcher(tree, choices)
    names = tree["names"]
    if tree["resume"]:
        refuse_other_run(_config_of(Path(tree["resume"])), tree)
    refuse_training(tree, {**choices, "model": names["model"], "data": names["data"], "module": names["module"]})


def _without_same_choices(overrides: list[str], folder: Path) -> list[str]:
    """Leave out `model=srgan` from the arguments of a continued run of srgan; another model is refused."""
    config = _config_of(folder)
    kept = []
    for override in parse_overrides(overrides):
        group, text = override.key_or_group, str(override.input_line)
        chosen = config["names"].get(group)
        if not isinstance(config.get(group), dict) and group != "experiment":
            kept.append(text)
            continue
        value = override.value()
        if chosen is None or chosen != ("+".join(value) if isinstance(value, list) else value):
            was = f"{group}={chosen}" if chosen else f"what {folder / 'config.yaml'} says"
            raise Refusal(
                f"resume goes on with {was}, got {text}; single keys may change (trainer.max_steps=..., "
                "see --help), a group's choice may not."
            )
    return kept


def _config_of(folder: Path) -> Tree:
    return _plain(OmegaConf.load(folder / "config.yaml"))


def _plain(cfg: DictConfig | ListConfig) -> Tree:
    config = OmegaConf.to_container(cfg)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def run(cfg: DictConfig) -> Objectives:
    """Hydra's task: train in the folder that Hydra made; leaves the process with the run's exit code.

    Returns:
        What `sweep.objectives` names in the results: one value, or a tuple of several.
    """
    hydra_cfg = HydraConfig.get()
    run_dir = Path(hydra_cfg.runtime.output_dir)
    resolved = resolve(cfg)
    if cfg.preflight == "only":
        look(resolved)
        return None
    if hydra_cfg.mode == RunMode.MULTIRUN:
        return run_cell(resolved, run_dir)
    from sr_lightning.engine.train import train

    try:
        results = train(resolved, run_dir)
    except Refusal as refusal:
        refuse(refusal)
    if results["exit_code"]:
        sys.exit(results["exit_code"])
    return objectives(results, cfg.sweep.objectives)


def run_cell(cfg: DictConfig, folder: Path) -> Objectives:
    """Train a cell of a sweep in this process, for launchers that start no `train` of their own.

    A finished cell is left alone, one that was begun goes on.

    Raises:
        Refusal: the folder holds a run of another configuration; of a search, whose cells nobody knew before.
        RuntimeError: it failed.
    """
    refuse_another(folder, _plain(cfg))
    state = state_of(folder)
    results = state.results
    if state.status != "finished":
        from sr_lightning.engine.train import train

        if state.status == "unfinished":
            cfg.resume = str(folder)
        results = train(cfg, folder)
    if results["status"] == "interrupted":
        # Hydra goes on with the next job after an error, and whoever sent the signal wants the whole sweep to end.
        sys.exit(results["exit_code"])
    if results["exit_code"]:
        raise RuntimeError(f"{folder}: {results['status']}: {results['error']}")
    return objectives(results, cfg.sweep.objectives)


def look(cfg: DictConfig) -> None:
    """Look at the run and leave; exits with 1 where it would not be trained."""
    from sr_lightning.engine.preflight import only_preflight

    try:
        only_preflight(_plain(cfg))
    except (Refusal, DataError) as refusal:
        refuse(refusal)
