import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import rich
from rich.console import Console

Run = Callable[..., dict[str, Any]]


def run_on(console: Console, monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> str:
    monkeypatch.setattr(rich, "get_console", lambda: console)
    run()
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_in_a_pipe_one_line_per_validation(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=StringIO(), width=60)
    monkeypatch.setattr("sr_lightning.callbacks.progress.FIRST_LINE", 1e9)
    printed = run_on(console, monkeypatch, lambda: run_tiny("srgan", tmp_path / "run", "trainer.max_steps=5"))
    lines = [line for line in printed.splitlines() if line.startswith("step ")]
    pattern = r"step %d/5  val PSNR \d+\.\d\d dB \([+-]\d+\.\d\d on bicubic\)  loss \S+  \d+\.\d steps/s  ETA 0:00:\d\d"
    assert len(lines) == 3
    for line, step in zip(lines, (2, 4, 5), strict=True):
        assert re.fullmatch(pattern % step, line)
    assert "\x1b" not in printed
    assert "━━━" in printed  # the table at the end, no bar
    assert not re.search(r"training\S* ━", printed)


def test_in_a_pipe_an_early_line_says_how_long_it_takes(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=StringIO(), width=60)
    clock = iter(3.0 * tick for tick in range(1000))
    monkeypatch.setattr("sr_lightning.callbacks.progress.time.monotonic", lambda: next(clock))
    overrides = ("trainer.max_steps=9", "trainer.val_every_steps=9")
    printed = run_on(console, monkeypatch, lambda: run_tiny("edsr_baseline", tmp_path / "run", *overrides))
    first, last = [line for line in printed.splitlines() if line.startswith("step ")]
    assert re.fullmatch(r"step [1-8]/9  loss \S+  \d+\.\d steps/s  ETA 0:\d\d:\d\d", first)
    assert last.startswith("step 9/9  val PSNR")


def test_on_a_terminal_a_bar_with_loss_psnr_and_eta(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=StringIO(), width=120, force_terminal=True, color_system=None)
    overrides = ("callbacks.progress.refresh=1e6", "trainer.max_steps=5")
    printed = run_on(console, monkeypatch, lambda: run_tiny("edsr_baseline", tmp_path / "run", *overrides))
    assert re.search(r"training\S* ━+ +\S* ?3/5 +loss \S+  val \d+\.\d\d dB  \d+\.\d steps/s  ETA 0:00:\d\d", printed)
    # It ends full, and the validations stand above it.
    assert re.search(r"training ━+ 5/5", printed)
    assert len(re.findall(r"step \d/5  val PSNR", printed)) == 3
    assert "\x1b[?25h" in printed  # the cursor is back


def test_a_resumed_run_counts_its_own_pace(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=2")
    console = Console(file=StringIO(), width=120, force_terminal=True, color_system=None)
    overrides = ("callbacks.progress.refresh=1e6", "trainer.max_steps=4", f"resume={tmp_path / 'run'}")
    printed = run_on(console, monkeypatch, lambda: run_tiny("edsr_baseline", tmp_path / "run", *overrides))
    assert re.search(r"training ━+ *[━╸╺ ]* 2/4", printed)
    assert "3/4" in printed
    assert "1/4" not in printed


def test_an_error_ends_the_bar(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_lightning.modules.base import SuperResolution

    def fail(*_: Any) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(SuperResolution, "on_validation_epoch_end", fail)
    console = Console(file=StringIO(), width=120, force_terminal=True, color_system=None)
    printed = run_on(console, monkeypatch, lambda: run_tiny("edsr_baseline", tmp_path / "run"))
    assert printed.index("\x1b[?25h") < printed.index("RuntimeError: no memory")


def test_whoever_watches_from_outside_sees_each_validation(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(monkeypatch)
    run_tiny("srgan", tmp_path / "run", "trainer.max_steps=5", "module.accumulate=2")
    first, *validated, scoring = seen
    assert (first["state"], first["step"], first["max_steps"], first["psnr"]) == ("training", 0, 5, None)
    assert first["steps_per_second"] is None
    assert [each["step"] for each in validated] == [2, 4, 5]
    assert all(each["psnr"] > 5 and each["steps_per_second"] > 0 for each in validated)
    assert (scoring["state"], scoring["step"], scoring["psnr"]) == ("scoring", 5, validated[-1]["psnr"])
    bicubic = json.loads((tmp_path / "run" / "results.json").read_text())["validation"]["bicubic"]["psnr"]
    assert {each["bicubic_psnr"] for each in seen} == {first["bicubic_psnr"]}
    assert first["bicubic_psnr"] == pytest.approx(bicubic, abs=0.01)


def test_between_validations_progress_is_written_once_a_second(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watched(monkeypatch)
    clock = iter(0.4 * tick for tick in range(1000))
    monkeypatch.setattr("sr_lightning.callbacks.progress.time.monotonic", lambda: next(clock))
    run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=9", "trainer.val_every_steps=9")
    steps = [each["step"] for each in seen if each["state"] == "training"]
    # Not after each of the nine steps: the clock goes on by 0.4 s when it is asked.
    assert steps[0] == 0
    assert steps[-1] == 9
    assert 2 < len(set(steps)) < 8


def test_a_resumed_run_goes_on_from_its_step(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=2")
    seen = watched(monkeypatch)
    run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=4", f"resume={tmp_path / 'run'}")
    assert [each["step"] for each in seen] == [2, 4, 4]


def watched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect what is written as the progress of runs."""
    from sr_lightning.report.progress import write_progress

    seen: list[dict[str, Any]] = []

    def write(run_dir: Path, **values: Any) -> None:
        seen.append({"steps_per_second": None, **values})
        write_progress(run_dir, **values)

    for room in ("callbacks.progress", "engine.train"):
        monkeypatch.setattr(f"sr_lightning.{room}.write_progress", write)
    return seen
