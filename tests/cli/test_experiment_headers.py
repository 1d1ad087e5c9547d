"""Every command and every other choice that the header of an experiment names composes."""

import re
import shlex
from pathlib import Path

import pytest

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composer
from sr_lightning.cli.left_over import left_over
from sr_lightning.cli.train import rewrite

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


def check(composer: Composer, texts: list[str]) -> None:
    overrides = rewrite(texts).overrides
    compose_checked(composer, overrides, left_over(composer, overrides).overrides)


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
