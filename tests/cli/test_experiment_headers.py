"""Every command and other choice that the header of an experiment names composes; the commands fit the real images."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.left_over import left_over
from sr_lightning.cli.refuse import refuse_training
from sr_lightning.cli.train import rewrite
from sr_lightning.data.catalogue import catalogue
from sr_lightning.data.sets import locate

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "experiment"
EXPERIMENTS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# `key=value`, `'key={a: 1}'`; an ellipsis stands for the rest.
NAME = r"(?<![\w'=])[A-Za-z_][\w.]*"
ARGUMENT = re.compile(rf"'[A-Za-z_.]+=[^']*'|{NAME}=\[[^\]]*\]|{NAME}=[^\s;,()']+")


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


def header(experiment: str) -> list[str]:
    lines = (FOLDER / f"{experiment}.yaml").read_text(encoding="utf-8").splitlines()
    end = next(place for place, line in enumerate(lines) if not line.startswith("#"))
    text = "\n".join(line.removeprefix("#").strip() for line in lines[:end])
    return text.replace("\\\n", " ").splitlines()


def commands(experiment: str) -> list[list[str]]:
    lines = [line.partition("      (")[0] for line in header(experiment) if line.startswith("python ")]
    return [[part for part in shlex.split(line)[1:] if part != "..."] for line in lines]


def others(experiment: str) -> list[list[str]]:
    """Return each argument outside the commands, with the choice of its group that stands before it, if one does."""
    text = " ".join(line for line in header(experiment) if not line.startswith("python "))
    found = [found.strip("'").rstrip(".:") for found in ARGUMENT.findall(text) if "=..." not in found]
    found = [text for text in found if not text.startswith("checkpoint=")]
    choices: dict[str, str] = {}
    sets = []
    for text in found:
        group, dot, _ = text.partition("=")[0].partition(".")
        if not dot:
            choices[group] = text
        before = [choices[group]] if dot and group in choices else []
        sets.append([text] if group == "experiment" else [f"experiment={experiment}", *before, text])
    return sets


def check(composer: Composer, texts: list[str]) -> Composed:
    overrides = rewrite(texts).overrides
    return compose_checked(composer, overrides, left_over(composer, overrides).overrides)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_commands_of_a_header_compose(experiment: str, composer: Composer):
    found = commands(experiment)
    assert any(program == "train.py" and f"experiment={experiment}" in texts for program, *texts in found)
    for program, *texts in found:
        assert program in ("train.py", "prepare.py"), "another program's arguments need a composer of its own"
        texts = [text for text in texts if not text.startswith("-")]
        check(composer, texts)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_other_choices_of_a_header_compose_one_by_one(experiment: str, composer: Composer):
    for texts in others(experiment):
        check(composer, texts)


@pytest.mark.parametrize(
    ("experiment", "held_out", "left"),
    [("srcnn", "tt20", 90), ("espcn", "tt20", 90), ("fsrcnn", "tt20", 90), ("vdsr", "161062", 289),
     ("lapsrn", "161062", 289)],
)  # fmt: skip
def test_the_commands_of_a_header_are_accepted_on_the_real_images(
    experiment: str, held_out: str, left: int, composer: Composer, shared: Path, tmp_path: Path
):
    root = shared / "data" / "train"
    if not ((root / "T91").is_dir() and (root / "BSDS300").is_dir()):
        pytest.skip(f"T91 and BSDS300 are not below {root}")
    weights = tmp_path / "X3.ckpt"
    torch.save({"a": torch.zeros(1)}, weights)
    looked_at = 0
    for program, *texts in commands(experiment):
        # General-100 is not there.
        if program != "train.py" or any("general100" in text for text in texts):
            continue
        filled = [text.replace("root=DIR", f"root={root}").replace("=X3.ckpt", f"={weights}") for text in texts]
        composed = check(composer, filled)
        refuse_training(composed.tree, composed.choices)
        data = composed.tree["data"]
        found = locate(data, name=composed.choices["data"], scale=composed.tree["scale"], entries=catalogue([]))
        assert [path.stem for path in found.val] == [held_out]
        assert sum(len(part.files) for part in found.train) == left
        looked_at += 1
    assert looked_at
    # What the header says of it.
    assert held_out in " ".join(header(experiment))


@pytest.mark.parametrize("experiment", ["srcnn", "espcn", "tutorial_espcn"])
def test_images_of_ones_own_are_named_with_those_that_choose_the_weights(
    experiment: str, command: Callable[..., Any], photos: Callable[..., Path]
):
    folder = photos("own", *(f"{number}.png" for number in range(11)))
    found = re.search(r"data=folder data\.train_dir=DIR\S* (\S+=[^\s.;,)]+)", " ".join(header(experiment)))
    assert found is not None
    given = shlex.split(found[0].replace("train_dir=DIR", f"train_dir={folder}"))
    assert not command("train", f"experiment={experiment}", *given).error


def test_the_page_of_recipes_names_them_too(repository: Path):
    text = (repository / "docs" / "recipes.md").read_text()
    assert "data=folder data.train_dir=DIR data.holdout=10" in text
