"""The tracker in real runs of a few steps, offline; online in `test_wandb_online.py`."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tracking.wandb_files import files, read_finished

Run = Callable[..., dict[str, Any]]
WANDB = ("logger=wandb", "logger.wandb.offline=true")


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
    assert read.run.job_type == "train"
    # Plotted against the generator's steps.
    assert read.metrics == {"step": "", "hr_pixels": "", "train/*": "step", "val/*": "step"}
    losses = {row["step"]: row["train/loss"] for row in read.history if "train/loss" in row}
    assert list(losses) == [1, 2, 3, 4, 5]
    scores = {row["step"]: row["val/psnr_rgb_to_y"] for row in read.history if "val/psnr_rgb_to_y" in row}
    assert list(scores) == [2, 4, 5]
    panels = {row["step"]: row["val/panel"] for row in read.history if "val/panel" in row}
    assert list(panels) == [2, 4, 5]
    # Every row has both axes: 2 patches of 32 x 32 a step.
    assert all(row["hr_pixels"] == row["step"] * 2 * 32 * 32 for row in read.history)
    assert "train/hr_pixels" not in {key for row in read.history for key in row}
    image = next(path.parent.glob("files/media/images/val/panel*.png"))
    assert image.read_bytes() in [panel.read_bytes() for panel in (folder / "panels").iterdir()]
    assert read.summary["protocol"] == "rgb_to_y"
    for key in ("parameters", "multiply_adds", "hr_pixels", "seconds"):
        assert read.summary[key] == results[key]
    assert read.summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]
    assert read.summary["validation/bicubic_ssim_rgb_to_y"] == results["validation"]["bicubic"]["ssim"]
    # The same numbers as metrics.csv, which is written beside: every column under the name that W&B has for it.
    with (folder / "metrics.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["step"] == "4")
    kept = {key: value for line in read.history if line["step"] == 4 for key, value in line.items()}
    for column, text in ((column, text) for column, text in row.items() if text):
        name = {"train/hr_pixels": "hr_pixels"}.get(column, column)
        assert float(text) == pytest.approx(kept[f"{name}_rgb_to_y" if name.startswith("val/") else name], rel=1e-7)
    # Nothing that wandb logs of itself.
    assert "wandb_init" not in (folder / "train.log").read_text()


def test_the_best_weights_and_the_settings_are_artifacts(run_tiny: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    results = run_tiny("edsr_baseline", folder, *WANDB, "trainer.max_steps=2")
    best, run_id = folder / "checkpoints" / "best.ckpt", (folder / "wandb_id.txt").read_text()
    read = read_finished(files(folder)[0])
    model, settings = read.artifacts["model"], read.artifacts["config"]
    assert (model.name, settings.name) == (f"edsr_baseline-x2-{run_id}", f"config-{run_id}")
    assert set(model.aliases) == {"latest", "best", "x2"}
    metadata = json.loads(model.metadata)
    assert (metadata["model"], metadata["scale"], metadata["best_step"]) == ("edsr_baseline", 2, 2)
    assert metadata["protocol"] == results["protocol"]
    assert metadata["scores"]["validation"]["psnr"] == results["validation"]["psnr"]
    (entry,) = model.manifest.contents
    # One copy on the disk, which stays what it is when the run goes on and replaces its file.
    assert entry.path == "best.ckpt"
    assert Path(entry.local_path).samefile(best)
    content = best.read_bytes()
    run_tiny("edsr_baseline", folder, *WANDB, "trainer.max_steps=4", f"resume={folder}")
    assert not Path(entry.local_path).samefile(best)
    assert Path(entry.local_path).read_bytes() == content
    kept = {entry.path: json.loads(Path(entry.local_path).read_text()) if entry.path.endswith("json") else None
            for entry in settings.manifest.contents}  # fmt: skip
    assert set(kept) == {"config.yaml", "results.json"}
    assert (kept["results.json"]["status"], kept["results.json"]["steps"]) == ("finished", 2)


def test_artifacts_can_be_left_out(run_tiny: Run, tmp_path: Path) -> None:
    run_tiny("edsr_baseline", tmp_path / "run", *WANDB, "trainer.max_steps=2", "logger.wandb.artifacts=false")
    read = read_finished(files(tmp_path / "run")[0])
    assert not {"model", "config"} & set(read.artifacts)
    assert read.summary["best_step"] == 2


def test_weights_that_were_never_the_best_are_no_artifact(run_tiny: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_tiny("edsr_baseline", folder, "trainer.max_steps=2")
    # As where each PSNR was NaN.
    (folder / "checkpoints" / "best.ckpt").unlink()
    run_tiny("edsr_baseline", folder, *WANDB, "trainer.max_steps=2", f"resume={folder}")
    assert set(read_finished(files(folder)[0]).artifacts) == {"config", "run_table"}


def test_another_degradation_is_part_of_a_scores_name(run_tiny: Run, tmp_path: Path) -> None:
    results = run_tiny("edsr_baseline", tmp_path / "run", *WANDB, "trainer.max_steps=2", "degradation=noise_down")
    read = read_finished(files(tmp_path / "run")[0])
    name = results["validation"]["protocol"]["degradation"].replace(".", "_")
    assert f"val/psnr_rgb_to_y_on_{name}" in read.summary
    assert read.summary[f"validation/psnr_rgb_to_y_on_{name}"] == results["validation"]["psnr"]
    assert "validation/psnr_rgb_to_y" not in read.summary


def test_a_resumed_run_stays_one_wandb_run(run_tiny: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for max_steps in (2, 4):
        resume = (f"resume={folder}",) if max_steps == 4 else ()
        run_tiny("edsr_baseline", folder, *WANDB, f"trainer.max_steps={max_steps}", *resume)
    first, second = (read_finished(path) for path in files(folder))
    assert first.run.run_id == second.run.run_id
    assert [row["step"] for row in second.history if "val/psnr_rgb_to_y" in row] == [4]


def test_what_was_trained_but_not_scored_is_told_on_resuming(run_tiny: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for resume in ((), (f"resume={folder}",)):
        results = run_tiny("edsr_baseline", folder, *WANDB, "trainer.max_steps=2", *resume)
    first, second = (read_finished(path) for path in files(folder))
    assert first.run.run_id == second.run.run_id
    assert second.summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]
    assert (second.exit_code, "model" in second.artifacts) == (0, True)


def test_two_runs_of_one_process_stay_two(run_tiny: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_tiny("edsr_baseline", tmp_path / name, *WANDB, "trainer.max_steps=2")
    (one,), (two,) = files(tmp_path / "one"), files(tmp_path / "two")
    assert read_finished(one).run.run_id != read_finished(two).run.run_id
    for path in (one, two):
        assert len([row for row in read_finished(path).history if "val/psnr_rgb_to_y" in row]) == 1
    # Nothing is left to the next one in the environment.
    assert not [name for name in os.environ if name.startswith("WANDB_")]


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


def test_the_environment_may_switch_it_off(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    results = run_tiny("edsr_baseline", tmp_path / "run", "logger=wandb", "trainer.max_steps=2")
    assert results["status"] == "finished"
    assert list((tmp_path / "run").rglob("*.wandb")) == []


def test_nothing_is_left_in_the_home_directory(run_tiny: Run, tmp_path: Path, home: Path) -> None:
    run_tiny("edsr_baseline", tmp_path / "run", *WANDB, "trainer.max_steps=2")
    assert [path for path in home.rglob("*") if path.is_file()] == []
