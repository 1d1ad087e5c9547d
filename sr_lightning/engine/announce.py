"""What a run tells a person at its beginning and its end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sr_lightning.callbacks.stopping import Interrupted
from sr_lightning.data.preflight import Preflight
from sr_lightning.engine.checkpoint import Loaded, Resumable
from sr_lightning.report.places import from_here
from sr_lightning.report.preflight_table import advice_lines, preflight_table
from sr_lightning.report.tables import mismatch_line, missing_lines, score_table


def beginning(title: str, results: Mapping[str, Any], *, images: tuple[int, int], run_dir: Path) -> None:
    """Say what begins, with how many training and validation images, and where it is kept."""
    rich.get_console().print(
        f"[bold]{title}[/]  {results['parameters']:,} parameters, {images[0]} training and {images[1]} validation "
        f"images, {results['device']}, {results['precision']}\nrun folder {from_here(run_dir)}",
        highlight=False,
        soft_wrap=True,
    )


def pretrained(lines: Sequence[str]) -> None:
    """Say which weights a network begins with."""
    for line in lines:
        rich.get_console().print(line, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def packing() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far the decoding of images is: bars on a terminal, a line for each finished store in a pipe.

    Yields:
        What is to be told a description, the number of images done and of all.
    """
    console = rich.get_console()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    tasks: dict[str, Any] = {}

    def tell(description: str, done: int, total: int) -> None:
        if not console.is_terminal:
            if done == total:
                console.print(f"packed {description}", highlight=False, soft_wrap=True)
            return
        if description not in tasks:
            bar.start()
            tasks[description] = bar.add_task(description, total=total)
        bar.update(tasks[description], completed=done)

    try:
        yield tell
    finally:
        if tasks:
            bar.stop()


def preflight(found: Preflight, *, whole: bool = False) -> None:
    """Print what was found before training: all of it, or what is more than well."""
    rows = [row for row in found.rows if whole or row.verdict != "ok"]
    if rows:
        rich.get_console().print(preflight_table(rows))
    for line in advice_lines(rows):
        rich.get_console().print(line, highlight=False, soft_wrap=True)


def demonstration() -> None:
    """Say that the sample photographs are no training set, and how to get one."""
    rich.get_console().print(
        "[yellow]data=sample is a demonstration set of a few photographs.[/] For numbers to report, train on "
        "a published set (prepare.py data=t91 fetches one; div2k, bsds300, ...) or on your own: data=folder "
        "data.train_dir=DIR data.val_dir=DIR",
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
    rich.get_console().print(f"[yellow]{interrupted}[/]; resume={from_here(run_dir)} goes on.", soft_wrap=True)


def damage(begun: Resumable) -> None:
    """Say that the last checkpoint is lost, and from which the run goes on."""
    assert begun.damaged is not None
    rich.get_console().print(
        f"[bold red]{escape(str(from_here(begun.damaged)))} is damaged[/]; the run goes on from {begun.path.name}, "
        f"at step {begun.step}.",
        soft_wrap=True,
    )


def results(
    results: Mapping[str, Any], *, loaded: Loaded, trained_on: str | None, checkpoint: Path, run_dir: Path
) -> None:
    """Print what was reached against bicubic, and where things lie; `trained_on` is None for MATLAB's bicubic."""
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
            trained_on=trained_on,
        )
    )
    for line in missing_lines(results["missing"]):
        console.print(line, highlight=False, soft_wrap=True, markup=False, style="dim")
    # A set of one's own is scored on LR by the run's degradation.
    published_lr = any("degradation" not in (each.get("protocol") or {}) for each in results["metrics"].values())
    mismatch = mismatch_line(trained_on=trained_on, scored_on=None) if published_lr else None
    if mismatch:
        console.print(mismatch, soft_wrap=True)
    if not results["metrics"]:
        console.print("These images chose best.ckpt, so this is no result; data.root=DIR reports Set5, Set14, ...")
    random_features(results["features"])
    places = {"weights": checkpoint, "results": run_dir / "results.json", "panels": run_dir / "panels"}
    for what, where in places.items():
        console.print(f"{what:<8} {from_here(where)}", highlight=False, soft_wrap=True)
