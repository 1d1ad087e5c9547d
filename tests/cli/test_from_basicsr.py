"""What the page for people who come from BasicSR says can be typed, can."""

import re
import shlex
from pathlib import Path

import pytest

from sr_lightning.cli.borrow_model import borrow_model
from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composer
from sr_lightning.cli.train import rewrite

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from-basicsr.md"
COMMANDS = re.compile(r"`((?:evaluate|upscale)\.py [^`]+)`")


def cells() -> list[str]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(lines) > 20
    return [line.strip("|").split(" | ")[1] for line in lines]


def typed(cell: str) -> list[list[str]]:
    spans = [span for span in re.findall(r"`([^`]+)`", cell) if "=" in span and ".py " not in span]
    return [[text for text in shlex.split(span) if "=" in text] for span in spans]


@pytest.mark.parametrize("cell", [cell for cell in cells() if typed(cell)])
def test_its_keys_compose(cell: str):
    composer = Composer("train")
    for texts in typed(cell):
        texts = [text for text in texts if text != "degradation="]
        if texts and not texts[0].startswith("resume="):
            compose_checked(composer, rewrite(texts).overrides)


@pytest.mark.parametrize("command", [found for cell in cells() for found in COMMANDS.findall(cell)])
def test_its_commands_compose(command: str):
    program, *texts = shlex.split(command)
    others, model = borrow_model(texts)
    compose_checked(Composer(program.removesuffix(".py")), others, model)
