"""Offline runs, read back from the file that wandb writes."""

import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record

Run = Callable[..., dict[str, Any]]
WANDB = ("logger=wandb", "logger.wandb.offline=true")


def records(path: Path) -> Iterator[Record]:
    """Parse a `.wandb` file: a header of 7 bytes, then LevelDB's log format, each entry a protobuf `Record`.

    A log is made of blocks of 32 KiB; a piece has a checksum (4 bytes), a length (2) and a type (1: whole, 2: first,
    3: middle, 4: last). Fewer than 7 bytes at a block's end are padding.
    """
    content, block = path.read_bytes(), 32768
    assert content[:4] == b":W&B"
    position, entry = 7, b""
    while position + 7 <= len(content):
        if block - position % block < 7:
            position += block - position % block
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        if position + 7 + length > len(content):
            # Still being written.
            return
        entry = (b"" if kind in (1, 2) else entry) + content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield Record.FromString(entry)


class Read:
    """What one offline file holds."""

    def __init__(self, path: Path) -> None:
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.metrics: dict[str, str] = {}
        self.exit_code: int | None = None
        for record in records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self.config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "history":
                self.history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
            elif kind == "summary":
                for item in record.summary.update:
                    self.summary[_key(item)] = json.loads(item.value_json)
            elif kind == "metric":
                self.metrics[record.metric.glob_name or record.metric.name] = record.metric.step_metric
            elif kind == "exit":
                self.exit_code = record.exit.exit_code


def _key(item: Any) -> str:
    return str(item.key or item.nested_key[0])


def read_finished(path: Path) -> Read:
    """Read a file that wandb's own process may still be writing the end of."""
    until = time.monotonic() + 20
    while (read := Read(path)).exit_code is None and time.monotonic() < until:
        time.sleep(0.05)
    return read


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep wandb out of the home directory, and any account out of the test."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder


def test_an_offline_run_reads_back(run_tiny: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    results = run_tiny("srgan", folder, *WANDB, "names.group=question", "module.accumulate=2", "trainer.max_steps=5")
    (path,) = files(folder)
    read = read_finished(path)
    assert read.exit_code == 0
    assert read.run.run_id == (folder / "wandb_id.txt").read_text()
    assert read.run.display_name == "srgan x2 folder l1"
    assert read.run.run_group == "question"
    assert set(read.run.tags) == {"model:srgan", "loss:l1", "data:folder", "scale:2"}
    assert read.config["scale"] == 2
    assert read.config["model"]["width"] == 8
    assert read.config["trainer"]["max_steps"] == 5
    # Plotted against the generator's steps.
    assert read.metrics["train/*"] == read.metrics["val/*"] == "step"
    losses = {row["step"]: row["train/loss"] for row in read.history if "train/loss" in row}
    assert list(losses) == [1, 2, 3, 4, 5]
    scores = {row["step"]: row["val/psnr"] for row in read.history if "val/psnr" in row}
    assert list(scores) == [2, 4, 5]
    panels = {row["step"]: row["val/panel"] for row in read.history if "val/panel" in row}
    assert list(panels) == [2, 4, 5]
    image = next(path.parent.glob("files/media/images/val/panel*.png"))
    assert image.read_bytes() in [panel.read_bytes() for panel in (folder / "panels").iterdir()]
    assert read.summary["protocol"] == "rgb_to_y"
    assert read.summary["parameters"] == results["parameters"]
    assert read.summary["hr_pixels"] == results["hr_pixels"]
    assert read.summary["validation/psnr"] == results["validation"]["psnr"]
    assert read.summary["validation/bicubic_ssim"] == results["validation"]["bicubic"]["ssim"]
    # The same numbers as metrics.csv, which is written beside.
    assert f"{losses[3]:.8g}" in (folder / "metrics.csv").read_text()


def test_a_resumed_run_stays_one_wandb_run(run_tiny: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for max_steps in (2, 4):
        resume = (f"resume={folder}",) if max_steps == 4 else ()
        run_tiny("edsr_baseline", folder, *WANDB, f"trainer.max_steps={max_steps}", *resume)
    first, second = (read_finished(path) for path in files(folder))
    assert first.run.run_id == second.run.run_id
    assert [row["step"] for row in second.history if "val/psnr" in row] == [4]


def test_two_runs_of_one_process_stay_two(run_tiny: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_tiny("edsr_baseline", tmp_path / name, *WANDB, "trainer.max_steps=2")
    (one,), (two,) = files(tmp_path / "one"), files(tmp_path / "two")
    assert read_finished(one).run.run_id != read_finished(two).run.run_id
    for path in (one, two):
        assert len([row for row in read_finished(path).history if "val/psnr" in row]) == 1
    assert "WANDB_DATA_DIR" not in os.environ


def test_a_failed_run_is_closed_as_failed(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_lightning.modules.pixel import PixelModule

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(PixelModule, "training_step", fail)
    run_tiny("edsr_baseline", tmp_path / "run", *WANDB)
    (path,) = files(tmp_path / "run")
    assert read_finished(path).exit_code == 1


def test_the_environment_may_say_offline(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run_tiny("edsr_baseline", tmp_path / "run", "logger=wandb", "trainer.max_steps=2")
    assert len(files(tmp_path / "run")) == 1


def test_nothing_is_left_in_the_home_directory_but_wandbs_own_logs(run_tiny: Run, tmp_path: Path, home: Path) -> None:
    run_tiny("edsr_baseline", tmp_path / "run", *WANDB, "trainer.max_steps=2")
    assert all("logs" in path.parts for path in home.rglob("*") if path.is_file())
