"""What a run tells a person at its beginning and its end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rich

from sr_lightning.callbacks.stopping import Interrupted
from sr_lightning.engine.checkpoint import Loaded
from sr_lightning.report.tables import score_table


def beginning(title: str, results: Mapping[str, Any], *, images: tuple[int, int], run_dir: Path) -> None:
    """Say what begins, with how many training and validation images, and where it is kept."""
    rich.get_console().print(
        f"[bold]{title}[/]  {results['parameters']:,} parameters, {images[0]} training and {images[1]} validation "
        f"images, {results['device']}, {results['precision']}\nrun folder {run_dir}",
        highlight=False,
        soft_wrap=True,
    )


def left_out(skipped: Sequence[tuple[Any, str]]) -> None:
    """Say that images were left out, and why the first was; `train.log` names all."""
    if skipped:
        path, reason = skipped[0]
        rich.get_console().print(
            f"[yellow]{len(skipped)} images left out[/], such as {path}: {reason} (train.log names all)", soft_wrap=True
        )


def demonstration() -> None:
    """Say that the sample photographs are no training set, and how to get one."""
    rich.get_console().print(
        "[yellow]data=sample is a demonstration set of a few photographs.[/] For numbers to report, train on "
        "real sets: data=folder data.train_dir=DIR data.val_dir=DIR (BSDS300, T91, DIV2K, ...)",
        soft_wrap=True,
    )


def random_features(features: Mapping[str, str]) -> None:
    """Say, where it is so, that a perceptual loss has nothing learnt to compare by."""
    for name, source in features.items():
        if source == "random":
            rich.get_console().print(
                f"[bold red]The loss term {name} compares RANDOM features[/]: the ImageNet weights are not on this "
                "machine and could not be fetched. Enough to try the program, not to judge a result.",
                soft_wrap=True,
            )


def interruption(interrupted: Interrupted, run_dir: Path) -> None:
    """Say that the run was interrupted and how it goes on."""
    rich.get_console().print(f"[yellow]{interrupted}[/]; resume={run_dir} goes on.", soft_wrap=True)


def results(results: Mapping[str, Any], *, loaded: Loaded, checkpoint: Path, run_dir: Path) -> None:
    """Print what was reached against bicubic, and where things lie."""
    console = rich.get_console()
    published = {loaded.name: (loaded.model.get("spec") or {}).get("published") or {}}
    console.print()
    console.print(
        score_table(
            results["metrics"] or {"validation": results["validation"]},
            label=loaded.name,
            scale=loaded.scale,
            protocol=results["protocol"],
            published=published,
        )
    )
    if not results["metrics"]:
        console.print("These images chose best.ckpt, so this is no result; data.root=DIR reports Set5, Set14, ...")
    random_features(results["features"])
    places = {"weights": checkpoint, "results": run_dir / "results.json", "panels": run_dir / "panels"}
    for what, where in places.items():
        console.print(f"{what:<8} {where}", highlight=False, soft_wrap=True)
