import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.refusal import Refusal

ray = pytest.importorskip("ray")
from sr_lightning.sweeps import on_ray  # noqa: E402
from sr_lightning.sweeps.on_ray import resources  # noqa: E402

pytest_plugins = ("tests.sweeps.stub_sweep",)
# Hushed by the command line, whose filters pytest takes away.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/\w+' is validated against ConfigStore")

OPEN = {"num_gpus": None, "num_cpus": None, "max_retries": 0}
FOUR_GPUS, NO_GPU = {"CPU": 32.0, "GPU": 4.0}, {"CPU": 8.0}


@pytest.mark.parametrize(
    ("nodes", "devices", "cells", "expected"),
    [
        ([FOUR_GPUS], 1, 12, (1, 8)),
        ([FOUR_GPUS], 2, 12, (2, 16)),
        # A cell of the GPUs' machine has their cores, however few the other has.
        ([FOUR_GPUS, NO_GPU], 1, 12, (1, 8)),
        ([NO_GPU], 1, 2, (0, 4)),
        ([NO_GPU], 1, 100, (0, 1)),
        ([NO_GPU, NO_GPU], 1, 4, (0, 4)),
        # trainer.accelerator=cpu where there are GPUs.
        ([FOUR_GPUS], 0, 4, (0, 8)),
    ],
)
def test_a_cell_gets_its_gpus_and_its_share_of_the_cores(
    nodes: list[dict[str, float]], devices: int, cells: int, expected: tuple[int, int]
):
    options = resources(OPEN, nodes, devices=devices, cells=cells)
    assert (options["num_gpus"], options["num_cpus"]) == expected
    assert options["max_retries"] == 0


def test_what_a_person_asks_for_stands():
    given = {"num_gpus": 0.5, "num_cpus": 3, "max_retries": 2}
    assert resources(given, [FOUR_GPUS], devices=1, cells=9) == given


def test_more_gpus_than_a_machine_has_are_refused_rather_than_waited_for():
    with pytest.raises(Refusal, match=r"trainer\.devices=8: .* Ray has at most 4 on one"):
        resources(OPEN, [FOUR_GPUS, FOUR_GPUS], devices=8, cells=2)


def test_a_cluster_that_is_not_there_is_told_in_a_line(
    sweep: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def start(init: Any) -> None:
        raise ConnectionError(f"nobody at {init.address}")

    monkeypatch.setattr(on_ray, "start_ray", start)
    with pytest.raises(SystemExit, match="1"):
        sweep("hydra/launcher=ray", "hydra.launcher.ray.init.address=there:6379", "seed=1")
    assert capsys.readouterr().err == (
        "error: hydra/launcher=ray: Ray could not be started or joined: nobody at there:6379 "
        "(a cluster with a token wants RAY_AUTH_MODE=token)\n"
    )


def processes(text: str) -> list[int]:
    """The processes whose command line holds a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in command and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_cells_that_fail_and_are_killed_leave_the_others(
    sweep: Callable[..., Any], cell: Callable[[int], Path], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def kill() -> None:
        while not list(Path.cwd().glob("runs/**/attempts")) or len(running := started()) == 0:
            time.sleep(0.05)
        os.kill(running[0], signal.SIGKILL)

    def started() -> list[int]:
        return [int((folder / "attempts").read_text()) for folder in [*_folders(99)] if (folder / "attempts").exists()]

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    arguments = (
        "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.remote.num_cpus=2",
        "seed=13,99,1",
    )  # fmt: skip
    try:
        with pytest.raises(SystemExit, match="1"):
            sweep(*arguments)
    finally:
        ray.shutdown()
    told = capsys.readouterr()
    assert "3 of 3 cells have ended" in told.out
    assert "2 of 3 cells failed" in told.err
    assert f"{cell(13)}: thirteen has bad luck" in told.err
    assert f"{cell(99)}: " in told.err
    results = json.loads((cell(1) / "results.json").read_text())
    assert (results["status"], results["threads"]) == ("finished", "2")


def _folders(seed: int) -> list[Path]:
    return [
        path.parents[1]
        for path in Path.cwd().glob("runs/**/.hydra/overrides.yaml")
        if f"seed={seed}" in path.read_text()
    ]


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """A folder for Ray, with a name short enough for its sockets."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_real_sweep_and_the_same_again(tiny_arguments: Callable[..., list[str]], tmp_path: Path, ray_folder: Path):
    arguments = [sys.executable, "-m", "sr_lightning", "train", "-m", "hydra/launcher=ray", "seed=1,2"]
    arguments += tiny_arguments("edsr_baseline")
    # By this name its processes are found afterwards; a socket's path must be short.
    own = {**os.environ, "RAY_TMPDIR": str(ray_folder)}
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False, env=own)
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/sweep/*/results.json"))]
    assert [(run["status"], run["steps"]) for run in results] == [("finished", 4)] * 2
    assert sorted(run["seed"] for run in results) == [1, 2]
    assert processes(str(ray_folder)) == [], "Ray is gone with the sweep"

    begun = time.monotonic()
    again = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False, env=own)
    assert again.returncode == 0, again.stderr
    assert "2 of 2 cells are finished already" in again.stdout
    assert "on Ray" not in again.stdout
    assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_ctrl_c_lets_the_cells_save_a_checkpoint(
    tiny_arguments: Callable[..., list[str]], tmp_path: Path, ray_folder: Path
):
    arguments = [sys.executable, "-m", "sr_lightning", "train", "-m", "hydra/launcher=ray", "seed=1,2"]
    arguments += tiny_arguments("edsr_baseline", "trainer.max_steps=90000", "trainer.val_every_steps=90000")
    # In the background of a script the signal is ignored by all that is started; not by a person's shell.
    sweep = subprocess.Popen(
        arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, "RAY_TMPDIR": str(ray_folder)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while len(list(tmp_path.glob("runs/**/metrics.csv"))) < 1:
        assert sweep.poll() is None
        time.sleep(0.2)
    sweep.send_signal(signal.SIGINT)
    _, error = sweep.communicate(timeout=120)
    assert sweep.returncode == 130
    assert error.count("\n") == 1, error
    assert "the same command goes on" in error
    assert list(tmp_path.glob("runs/**/last.ckpt"))
    statuses = {json.loads(path.read_text())["status"] for path in tmp_path.glob("runs/**/results.json")}
    assert statuses == {"interrupted"}
    assert processes(str(ray_folder)) == []
