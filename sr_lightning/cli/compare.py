"""`compare`: runs side by side, as a page to look at, or as tables and crop figures for a paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.app import Command, Rewritten, launch, refuse
from sr_lightning.cli.compose import Tree, parse_overrides, quoted
from sr_lightning.comparison.runs import find_runs
from sr_lightning.refusal import Refusal
from sr_lightning.report.ownership import COMPARE, check_target
from sr_lightning.sweeps.manifest import read_manifest

EXAMPLES = (
    ("python compare.py runs/", "every run below runs/ as one page: page.html"),
    ("python compare.py runs/sweep/first runs/sweep/second output=both.html title='Two sweeps'", "two sweeps"),
    ("python compare.py runs/sweep/model+loss_1a2b3c.json", "the cells of one sweep, by the list that it has left"),
    ("python compare.py runs/ output=table.tex", "tables for a paper, with crop figures as PNG beside"),
    (
        "python compare.py runs/ format=md 'figure.images=[Set5/butterfly]' figure.runs=4",
        "as Markdown, with the crop of one image",
    ),
    ("python compare.py runs/ output=scores.csv", "one row per run and set, with all that is known"),
    ("python compare.py 'ab=[runs/A,runs/B]'", "which of two looks better? A blind test in the browser"),
)
# The suffix of each format, and the words by which a file is known to be one of ours.
Kind = Literal["html", "csv", "md", "latex"]
SUFFIXES: dict[Kind, str] = {"html": ".html", "csv": ".csv", "md": ".md", "latex": ".tex"}
MARKS: dict[Kind, str] = {**dict.fromkeys(SUFFIXES, COMPARE), "csv": "label,experiment,board,"}


def main() -> None:
    """Compare runs with the arguments of this process."""
    launch(
        Command(
            name="compare",
            summary="compare runs: a page with leaderboards, curves and an image viewer, or tables for a paper.",
            examples=EXAMPLES,
            task=run,
            check=refuse_comparison,
            rewrite=rewrite,
        )
    )


def rewrite(overrides: list[str]) -> Rewritten:
    """Turn arguments without a key into `runs=[...]`; a folder may have an equals sign in its name."""
    folders = [text for text in overrides if _is_folder(text)]
    others = [text for text in overrides if text not in folders]
    if not folders:
        return Rewritten(others)
    given = [text for text in others if text.partition("=")[0].lstrip("+") == "runs"]
    folders += [str(path) for text in given for path in listed(parse_overrides([text])[0].value())]
    others = [text for text in others if text not in given]
    return Rewritten([*others, f"runs=[{','.join(map(quoted, folders))}]"])


def refuse_comparison(tree: Tree, choices: dict[str, Any]) -> None:
    """Refuse folders that hold no runs, and a file that cannot be written."""
    if tree["ab"] is not None:
        _check_blind(tree)
        return
    if not tree["runs"]:
        raise Refusal("runs: expected folders of runs, got none; say python compare.py runs/")
    for path in tree["runs"]:
        _check_folder("runs", path)
    images = tree["figure"]["images"]
    if images is None or (isinstance(images, int) and images < 0):
        raise Refusal(f"figure.images: expected a number from 0 on, or names of images, got {_shown([images])}.")
    target(tree["output"], tree["format"])


def target(output: str | None, kind: str | None) -> tuple[Path, Kind]:
    """Return the file to write and its format, each of which follows from the other.

    Raises:
        Refusal: they do not fit, or the file cannot be written or is not one of ours.
    """
    wanted = cast(Kind | None, kind)
    path = Path(output or f"page{SUFFIXES[wanted or 'html']}").expanduser()
    found = next((name for name, suffix in SUFFIXES.items() if path.suffix.lower() == suffix), None)
    if found is None or wanted not in (None, found):
        suffixes = f"{SUFFIXES[wanted]} (format={kind})" if wanted else ", ".join(SUFFIXES.values())
        raise Refusal(f"output: expected a name that ends in {suffixes}, got {path}.")
    check_target("output", path, mark=MARKS[found], command="compare")
    return path, found


def listed(value: Any) -> list[Any]:
    """Return a list; one value becomes a list of it."""
    return value if isinstance(value, list) else [value]


def run(cfg: DictConfig) -> None:
    """Hydra's task: write the page or the tables, or serve the blind test."""
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    try:
        if config["ab"] is not None:
            from sr_lightning.engine.blind_test import serve

            serve(*(Path(path).expanduser() for path in config["ab"]), config=config["blind"])
            return
        from sr_lightning.engine.compare import compare_runs

        output, kind = target(config["output"], config["format"])
        given = [Path(path).expanduser() for path in config["runs"]]
        names = [path.stem if path.is_file() else path.resolve().name for path in given]
        config["title"] = config["title"] or ", ".join(names)
        config["runs"] = [str(folder) for path in given for folder in folders_of(path)]
        compare_runs({str(key): value for key, value in config.items()}, output=output, kind=kind)
    except Refusal as refusal:
        refuse(refusal)


def _is_folder(text: str) -> bool:
    """Whether an argument is no `key=value` and no `~key`."""
    deletes = text.startswith("~") and not text.startswith("~/")
    return Path(text).expanduser().is_dir() if "=" in text else not deletes


def folders_of(path: Path) -> list[Path]:
    """Return the folders to search: those of a sweep's cells, where its list is given instead of a folder.

    Raises:
        Refusal: the file is no such list.
    """
    return [cell.folder for cell in read_manifest(path).cells] if path.is_file() else [path]


def _check_folder(key: str, path: Any) -> None:
    given = Path(str(path)).expanduser()
    if not given.exists():
        raise Refusal(f"{key}: expected the folder of a run or of many, got {path}, which is not there.")
    if next(find_runs(folders_of(given)), None) is None:
        raise Refusal(f"{key}: expected runs (folders with a results.json) at or below {path}, found none.")


def _check_blind(tree: Tree) -> None:
    if tree["runs"]:
        raise Refusal("ab=[A,B] compares two runs by eye; leave the folders beside it out.")
    if len(tree["ab"]) != 2:
        raise Refusal(f"ab: expected the folders of two runs, as 'ab=[runs/A,runs/B]', got {_shown(tree['ab'])}.")
    for path in tree["ab"]:
        if not (Path(str(path)).expanduser() / "results.json").is_file():
            raise Refusal(f"ab: expected the folder of a run, got {path}, which holds no results.json.")


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values)) or "none"
