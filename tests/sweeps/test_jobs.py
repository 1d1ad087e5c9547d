import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sr_lightning.sweeps.jobs import Cell, environment, python_path
from sr_lightning.sweeps.slots import Need, Share

CPU = Share(Need("cpu", 1), (), 3, None)


def cell(need: Need, folder: Path, **variables: str) -> Cell:
    return Cell(name="a", folder=folder, config="", need=need, max_steps=1, environment=variables)


def test_a_cell_is_a_plain_single_run(tmp_path: Path) -> None:
    whole = [sys.executable, "-m", "sr_lightning", "train", f"resume={tmp_path}"]
    assert cell(Need("gpu", 2), tmp_path).command_line == whole
    # What meant GPUs of the machine means those of the job.
    assert cell(Need("gpu", 2, (1, 3), translated=True), tmp_path).command_line == [*whole, "trainer.devices=2"]


def test_the_environment_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MASTER_PORT", "1")
    share = Share(Need("gpu", 2), ("4", "MIG-1111"), 3, 20_001)
    found = environment(cell(Need("gpu", 2), tmp_path, MINE="yes"), share)
    assert {key: found[key] for key in ("CUDA_VISIBLE_DEVICES", "MASTER_PORT", "OMP_NUM_THREADS", "MINE")} == {
        "CUDA_VISIBLE_DEVICES": "4,MIG-1111", "MASTER_PORT": "20001", "OMP_NUM_THREADS": "3", "MINE": "yes",
    }  # fmt: skip
    assert found["PATH"] == os.environ["PATH"]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment(cell(Need("cpu", 1), tmp_path), CPU)["OMP_NUM_THREADS"] == "7"


def test_a_job_finds_the_packages_that_the_sweep_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(sys, "path", ["", *sys.path, str(tmp_path), "no/such/folder"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "theirs"))
    entries = python_path().split(os.pathsep)
    assert str(tmp_path) in entries
    assert str(tmp_path / "theirs") in entries
    # Its own it has anyway.
    assert not [entry for entry in entries if entry.startswith(str(Path(sys.prefix, "lib")))]
    subprocess.run(
        [sys.executable, "-c", "import mine"], check=True, cwd="/", env={**os.environ, "PYTHONPATH": python_path()}
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_job_whose_sweep_is_gone_already_does_not_begin(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sr_lightning.sweeps.job",
        "1",
        sys.executable,
        "-c",
        f"open({str(tmp_path / 'x')!r}, 'w')",
    ]
    assert subprocess.run(command, check=False).returncode == -15
    assert not (tmp_path / "x").exists()
    command[3] = str(os.getpid())
    assert subprocess.run(command, check=False).returncode == 0
    assert (tmp_path / "x").exists()


def test_the_last_line_of_a_long_log_tells(make_cell: Callable[..., Cell]) -> None:
    from sr_lightning.sweeps.jobs import Process

    made = make_cell("a", "print('x' * 100_000); print('error: scale 9 is too much'); print(); sys.exit(1)")
    process = Process(made, CPU, 1)
    while (code := process.poll()) is None:
        pass
    assert process.reason(code) == "scale 9 is too much"
    # An earlier attempt's results and log do not.
    (made.folder / "results.json").write_text('{"status": "failed", "exit_code": 1, "error": "of long ago"}')
    os.utime(made.folder / "results.json", (0, 0))
    silent = Process(make_cell("a", "sys.exit(1)"), CPU, 2)
    while (code := silent.poll()) is None:
        pass
    assert silent.reason(code) == "exit code 1"
