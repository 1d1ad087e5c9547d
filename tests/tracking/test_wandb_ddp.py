"""Two processes on the CPU, by the real command line: one run in W&B."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.tracking.wandb_files import files, read_finished
from tests.tracking.wandb_server import WandbServer


def test_a_job_of_two_processes_is_one_run(
    repository: Path, tiny_arguments: Callable[..., list[str]], server: WandbServer, tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "run"
    arguments = tiny_arguments(
        "edsr_baseline", "trainer.devices=2", "data.batch_size=4", "trainer.max_steps=2", f"hydra.run.dir={folder}",
        "logger=wandb", "logger.wandb.offline=true",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(repository / "train.py"), *arguments],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / "results.json").read_text())["status"] == "finished"
    (path,) = files(folder)
    read = read_finished(path)
    assert [row["step"] for row in read.history if "train/loss" in row] == [1, 2]
    assert read.run.run_id == (folder / "wandb_id.txt").read_text()
    # Nobody asked the server, and none of the two made a folder elsewhere.
    assert server.requests == []
    assert not [*tmp_path.glob("wandb*"), *home.rglob("*.wandb")]
    assert done.stdout.count("W&B:") == 1
