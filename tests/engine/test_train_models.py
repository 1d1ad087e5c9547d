"""Real models: several by the real command line, and the largest that a machine without a GPU can test."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.train import train

Arguments = Callable[..., list[str]]


def test_three_models_by_the_real_command_line(repository: Path, tiny_arguments: Arguments, tmp_path: Path) -> None:
    """In one sweep, each in a process of its own, their output in a pipe: one line per validation."""
    arguments = tiny_arguments(
        "edsr_baseline", "loss=l1", "trainer.max_steps=3", f"hydra.sweep.dir={tmp_path}",
        "hydra.sweep.subdir=${names.model}",
    )  # fmt: skip
    arguments = [text for text in arguments if not text.startswith("model")]
    done = subprocess.run(
        [sys.executable, str(repository / "train.py"), "-m", "model=espcn,srcnn_915,srgan", *arguments],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    for model in ("espcn", "srcnn_915", "srgan"):
        assert re.search(rf"^done +{model}  val PSNR \d+\.\d\d dB \([+-]\d+\.\d\d on bicubic\)", done.stdout, re.M)
        log = (tmp_path / model / "job.log").read_text()
        lines = re.findall(r"^step (\d)/3  val PSNR \d+\.\d\d dB \([+-]\d+\.\d\d on bicubic\)", log, re.M)
        assert lines == ["2", "3"]
        assert "\x1b" not in log
        results = json.loads((tmp_path / model / "results.json").read_text())
        assert (results["model"], results["status"], results["steps"]) == (model, "finished", 3)
        assert (tmp_path / model / "checkpoints" / "best.ckpt").is_file()


def srgan_on_the_sample(folder: Path, cache: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    # No weights on the machine, and no waiting for a network that is not there.
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    arguments = [
        "model=srgan", "data.batch_size=4", f"trainer.max_steps={steps}", f"trainer.val_every_steps={steps}",
        "trainer.log_every_steps=1", "trainer.accelerator=cpu", "data.root=no/benchmarks", f"paths.cache={cache}",
        "loss.perceptual.weights=random",
    ]  # fmt: skip
    results = train(OmegaConf.create(Composer("train").compose(arguments).tree), folder / "run")
    assert (results["status"], results["steps"]) == ("finished", steps)
    assert results["features"] == {"perceptual": "random"}
    assert math.isfinite(results["validation"]["psnr"])
    with (folder / "run" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("steps", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_srgan_as_in_the_paper_stays_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    rows = srgan_on_the_sample(tmp_path, tmp_path / "cache", steps, monkeypatch)
    assert len(rows) == steps
    pretrain, adversarial = rows[: steps // 2], rows[steps // 2 :]
    assert all(math.isfinite(float(row["train/loss"])) for row in rows)
    assert all(row["train/mse"] and not row["train/discriminator"] for row in pretrain)
    for row in adversarial:
        assert all(
            math.isfinite(float(row[f"train/{name}"])) for name in ("perceptual", "adversarial", "discriminator")
        )
    # The first phase learns.
    assert float(pretrain[-1]["train/mse"]) < 0.5 * float(pretrain[0]["train/mse"])
