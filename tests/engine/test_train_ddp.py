"""Two processes on the CPU, by the real command line."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Arguments = Callable[..., list[str]]
TWO = ("trainer.devices=2", "data.batch_size=4")


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def children_of(session: int) -> list[int]:
    """Processes that are left of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


@pytest.fixture
def start(repository: Path, tiny_arguments: Arguments, tmp_path: Path) -> Any:
    """Start `train.py` on two processes, in a session of its own; what it leaves is killed after the test."""
    processes: list[subprocess.Popen[str]] = []

    def begin(model: str, *overrides: str, extra: dict[str, str] | None = None) -> subprocess.Popen[str]:
        arguments = tiny_arguments(model, *TWO, f"hydra.run.dir={tmp_path / 'run'}", *overrides)
        processes.append(
            subprocess.Popen(
                [sys.executable, str(repository / "train.py"), *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", **(extra or {})},
            )
        )  # fmt: skip
        return processes[-1]

    yield begin
    for process in processes:
        for pid in children_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


# Notes each rank's weights at the end; imported by every process that has its folder on the path.
NOTE_WEIGHTS = """
import hashlib, os, pathlib
import lightning.pytorch as pl
class Note(pl.Callback):
    def on_fit_end(self, trainer, module):
        digest = hashlib.sha256()
        for _, value in sorted(module.named_parameters()):
            digest.update(value.detach().numpy().tobytes())
        pathlib.Path(os.environ["NOTES"], f"rank{trainer.global_rank}").write_text(digest.hexdigest())
"""


# Without batch norm, but with the vectors of spectral norms and mixtures that are drawn.
UNET_GAN = (
    "module=gan", "module/discriminator=unet", "module.discriminator.width=4", "module.pretrain_steps=1",
    "module.adversarial.penalty=gradient", "loss=[l1,ldl,lr_consistency]", "+loss@loss.late=ssim", "loss.late.start=1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "overrides"),
    [("edsr_baseline", ()), pytest.param("edsr_baseline", UNET_GAN, marks=pytest.mark.slow), ("srgan", ())],
)
def test_two_processes_train_one_network(
    start: Callable[..., subprocess.Popen[str]], run_tiny: Any, tmp_path: Path, model: str, overrides: tuple[str, ...]
) -> None:
    (tmp_path / "note_weights.py").write_text(NOTE_WEIGHTS)
    process = start(
        model, *overrides, "callbacks=ema", "+callbacks.note._target_=note_weights.Note",
        extra={"PYTHONPATH": str(tmp_path), "NOTES": str(tmp_path)},
    )  # fmt: skip
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert children_of(process.pid) == []
    results = read(tmp_path / "run")
    assert (results["status"], results["exit_code"], results["steps"]) == ("finished", 0, 4)
    assert results["hr_pixels"] == 4 * 4 * 32 * 32
    assert (tmp_path / "rank0").read_text() == (tmp_path / "rank1").read_text()
    # Said once, not by each process; one line per validation.
    assert output.count("run folder") == 1
    assert [line.split()[1] for line in output.splitlines() if line.startswith("step ")] == ["2/4", "4/4"]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Three images on two ranks: the mean is that of one process on the saved weights (batch norm's averages too).
    scored = {int(row["step"]): row for row in rows if row["val/psnr"]}[results["best_step"]]
    assert results["validation"]["images"] == 3
    assert results["validation"]["psnr"] == pytest.approx(float(scored["val/psnr"]), abs=1e-4)
    assert results["validation"]["ssim"] == pytest.approx(float(scored["val/ssim"]), abs=1e-6)
    if model == "edsr_baseline":
        # The same samples, the mean of the losses, the same weights: without batch norm the number of devices changes
        # nothing.
        run_tiny(model, tmp_path / "one", *overrides, "data.batch_size=4", "callbacks=ema")
        with (tmp_path / "one" / "metrics.csv").open() as file:
            for mine, theirs in zip(rows, csv.DictReader(file), strict=True):
                assert {k: float(v or 0) for k, v in mine.items()} == pytest.approx(
                    {k: float(v or 0) for k, v in theirs.items()}, rel=1e-4
                )


def test_sigterm_to_the_first_process_ends_both(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = start("edsr_baseline", "trainer.max_steps=100000")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step 4/"):
            break
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    results = read(tmp_path / "run")
    assert (results["status"], results["exit_code"]) == ("interrupted", 143)
    step = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["sr_lightning"]["step"]
    assert step == results["steps"] >= 4
    assert output.count("goes on") == 1
    assert children_of(process.pid) == []


FAIL_ON_RANK_1 = """
import lightning.pytorch as pl
class Fail(pl.Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_rank == 1 and module.step == 1:
            raise RuntimeError("only here")
"""


def test_a_failure_of_one_process_ends_the_run(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "fail_on_rank_1.py").write_text(FAIL_ON_RANK_1)
    process = start(
        "edsr_baseline", "+callbacks.fail._target_=fail_on_rank_1.Fail", extra={"PYTHONPATH": str(tmp_path)}
    )
    output, _ = process.communicate(timeout=90)
    assert process.returncode not in (0, None), output
    results = read(tmp_path / "run")
    assert (results["status"], results["exit_code"]) == ("failed", 1)
    assert results["error"] == "rank 1: RuntimeError: only here"
    until = time.monotonic() + 20
    while children_of(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert children_of(process.pid) == []


@pytest.mark.slow
def test_a_sweep_of_distributed_runs_in_one_process(
    repository: Path, tiny_arguments: Arguments, tmp_path: Path
) -> None:
    """The second run of a process starts its own partners, though Lightning has left the first's environment."""
    arguments = tiny_arguments(
        "edsr_baseline", *TWO, "seed=1,2", f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${seed}",
        "hydra/launcher=basic",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(repository / "train.py"), "-m", *arguments],
        capture_output=True, text=True, timeout=240, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [read(tmp_path / seed)["status"] for seed in ("1", "2")] == ["finished", "finished"]


@pytest.mark.slow
def test_two_processes_train_a_network_for_several_scales(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "note_weights.py").write_text(NOTE_WEIGHTS)
    extra = {"PYTHONPATH": str(tmp_path), "NOTES": str(tmp_path)}
    process = start("mdsr", "+callbacks.note._target_=note_weights.Note", extra=extra)

    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    assert read(tmp_path / "run")["status"] == "finished"
    assert (tmp_path / "rank0").read_text() == (tmp_path / "rank1").read_text()
