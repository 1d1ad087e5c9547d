"""The real command line, killed in every way."""

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


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def last_step(folder: Path) -> int:
    step: int = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["sr_lightning"]["step"]
    return step


class Command:
    """`python train.py ...` in a session of its own, its output in a pipe."""

    def __init__(self, repository: Path, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(repository / "train.py"), *arguments, f"hydra.run.dir={folder}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def wait_for_step(self, step: int) -> None:
        """Return when the validation of this step has been printed."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if line.startswith(f"step {step}/"):
                return
        raise AssertionError("".join(seen))

    def end(self, timeout: float = 60) -> tuple[int, str]:
        """Return exit code and what was printed since."""
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output


@pytest.fixture
def start(repository: Path, tiny_arguments: Arguments, tmp_path: Path) -> Any:
    """Start a run too long to end by itself; what it leaves is killed after the test."""
    commands = []

    def begin(model: str, *overrides: str, folder: Path | None = None) -> Command:
        arguments = tiny_arguments(model, "trainer.max_steps=100000", *overrides)
        commands.append(Command(repository, folder or tmp_path / "run", arguments))
        return commands[-1]

    yield begin
    for command in commands:
        try:
            os.killpg(command.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        command.process.wait()


def test_sigterm_saves_where_it_is_and_resume_finishes(start: Callable[..., Command], repository: Path) -> None:
    command = start("srgan", "module.pretrain_steps=1", "trainer.val_every_steps=20")
    command.wait_for_step(20)
    command.process.terminate()
    code, output = command.end()
    assert code == 143, output
    results = read(command.folder)
    assert (results["status"], results["exit_code"], results["error"]) == (
        "interrupted", 143, "interrupted by SIGTERM",
    )  # fmt: skip
    steps = results["steps"]
    assert last_step(command.folder) == steps >= 20
    assert "goes on" in output
    # From the folder alone, a little further, by the module's own command.
    done = subprocess.run(
        [
            sys.executable, "-m", "sr_lightning", "train", f"resume={command.folder}",
            f"trainer.max_steps={steps + 5}", "trainer.val_every_steps=1000",
        ],
        cwd=command.folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results = read(command.folder)
    assert (results["status"], results["exit_code"], results["steps"]) == ("finished", 0, steps + 5)
    # In a pipe: one line for the one validation, at the last step.
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("step ")] == [
        f"{steps + 5}/{steps + 5}"
    ]


def test_sigint_to_all_processes_with_loader_workers(start: Callable[..., Command]) -> None:
    command = start("edsr_baseline", "data.num_workers=1")
    command.wait_for_step(4)
    # As Ctrl-C on a terminal: the loader's workers get it too.
    os.killpg(command.process.pid, signal.SIGINT)
    code, output = command.end()
    assert code == 130, output
    assert (read(command.folder)["status"], read(command.folder)["exit_code"]) == ("interrupted", 130)
    assert last_step(command.folder) == read(command.folder)["steps"] >= 4
    assert "Traceback" not in output


def test_sigkill_leaves_something_to_go_on_from(start: Callable[..., Command], repository: Path, run_tiny: Any) -> None:
    command = start("edsr_baseline", "callbacks.checkpoints.every_steps=3", "trainer.val_every_steps=50")
    command.wait_for_step(50)
    time.sleep(0.3)
    command.process.kill()
    assert command.end()[0] == -signal.SIGKILL
    assert read(command.folder)["status"] == "running"
    step = last_step(command.folder)
    assert step >= 50
    overrides = ("callbacks.checkpoints.every_steps=3", "trainer.val_every_steps=50")
    whole = (*overrides, f"trainer.max_steps={step + 4}")
    results = run_tiny("edsr_baseline", command.folder, *whole, f"resume={command.folder}")
    assert (results["status"], results["steps"]) == ("finished", step + 4)
    # No row is lost or there twice.
    rows = (command.folder / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(number) for number in range(1, step + 5)]


def test_a_second_signal_does_not_wait(run_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_lightning.modules.base import SuperResolution

    forward = SuperResolution.train_forward

    def slow(self: SuperResolution, lr: torch.Tensor, **scale: Any) -> torch.Tensor:
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not reached")
        return forward(self, lr, **scale)

    monkeypatch.setattr(SuperResolution, "train_forward", slow)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    results = run_tiny("edsr_baseline", tmp_path / "run")
    assert (results["status"], results["exit_code"]) == ("interrupted", 130)
    # What the last validation saved is there.
    assert last_step(tmp_path / "run") == 2
    assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_a_signal_before_training_begins(run_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("sr_lightning.engine.train.build_module", interrupted)
    results = run_tiny("edsr_baseline", tmp_path / "run")
    assert (results["status"], results["exit_code"]) == ("interrupted", 143)


def test_a_signal_at_a_validated_step_waits_for_the_validation(
    run_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_lightning.modules.base import SuperResolution

    step = SuperResolution.validation_step

    def interrupted(self: SuperResolution, batch: Any, batch_idx: int) -> Any:
        if self.step == 4 and batch_idx == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SuperResolution, "validation_step", interrupted)
    results = run_tiny("edsr_baseline", tmp_path / "run")
    assert (results["status"], results["steps"]) == ("interrupted", 4)
    # It was the last: what is left is the final table.
    results = run_tiny("edsr_baseline", tmp_path / "run", f"resume={tmp_path / 'run'}")
    assert (results["status"], results["steps"], results["validation"]["images"]) == ("finished", 4, 3)


def test_a_signal_ends_the_whole_sweep_in_one_process(
    repository: Path, tiny_arguments: Arguments, tmp_path: Path
) -> None:
    """Hydra goes on with the next job after an error; whoever sent the signal wants the sweep to end."""
    arguments = tiny_arguments(
        "edsr_baseline", "trainer.max_steps=100000", "seed=1,2", f"hydra.sweep.dir={tmp_path}", "hydra/launcher=basic"
    )
    command = Command(repository, tmp_path, ["-m", *arguments, "hydra.sweep.subdir=job_${seed}"])
    try:
        command.wait_for_step(2)
        command.process.terminate()
        code, _ = command.end()
    finally:
        command.process.kill()
    assert code == 143
    assert read(tmp_path / "job_1")["status"] == "interrupted"
    assert not (tmp_path / "job_2").exists()
