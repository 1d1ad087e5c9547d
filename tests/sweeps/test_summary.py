import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.progress import Progress
from sr_lightning.sweeps.standing import Standing
from sr_lightning.sweeps.summary import print_failures, print_interruption, print_summary


@pytest.fixture
def standings(make_cell: Callable[..., Cell]) -> list[Standing]:
    long = make_cell("edsr_baseline_x4_div2k_charbonnier+perceptual_0123456789ab")
    done = Standing(long, "done", progress=Progress("ended", 4, 30.0, 1.5), seconds=7230.0, results={"seconds": 7200.0})
    return [done, Standing(make_cell("b"), "failed", reason="killed by SIGKILL (out of memory?)", seconds=42.0)]


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console(file=io.StringIO(), width=30)


def text_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_row_for_each_cell_and_how_to_compare(standings: list[Standing], console: Console, tmp_path: Path) -> None:
    print_summary(standings, console=console, compare=tmp_path / "my runs", at_once=1)
    assert text_of(console) == [
        "cell state steps PSNR on bicubic trained in",
        "edsr_baseline_x4_div2k_charbonnier+perceptual_0123456789ab done 4/4 30.00 +1.50 2 h 0 min",
        "b failed",
        "1/2 cells done, 1 failed",
        "compare them: python compare.py 'my runs' output=page.html",
    ]


def test_a_round_of_a_search(standings: list[Standing], console: Console) -> None:
    print_summary(standings, console=console, compare=None, at_once=1)
    assert text_of(console)[-1] == "1/2 cells done, 1 failed"


def test_thousands_are_not_listed(make_cell: Callable[..., Cell], console: Console) -> None:
    print_summary(
        [Standing(make_cell(str(index))) for index in range(1000)], console=console, compare=Path("/x"), at_once=1
    )
    lines = text_of(console)
    assert len(lines) == 63
    assert lines[-2:] == ["... and 940 more", "0/1000 cells done, 1000 waiting"]


def test_failures_with_their_reason_and_log(standings: list[Standing], console: Console) -> None:
    print_failures(standings, console=console)
    assert text_of(console) == [
        "error: 1 of 2 cells failed; the same command tries them again:",
        "b: killed by SIGKILL (out of memory?); log b/job.log",
    ]


def test_how_an_interrupted_sweep_goes_on(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", "train.py", "-m", "loss=[l1,mse]"])
    print_interruption(signal.SIGTERM, console=console)
    assert text_of(console) == ["interrupted by SIGTERM; the same command goes on: python3 train.py -m 'loss=[l1,mse]'"]
