"""The pool with jobs that are small programs."""

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
from filelock import FileLock

from sr_lightning.report.lock import NAME
from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.machine import visible_gpus
from sr_lightning.sweeps.pool import Pool
from sr_lightning.sweeps.slots import Need, Slots

MakeCell = Callable[..., Cell]


def pool_of(cells: list[Cell], recorder: Any, *, jobs: int = 2, gpus: tuple[str, ...] = (), retries: int = 0) -> Pool:
    slots = Slots(gpus=gpus, cells=len(cells), most=jobs, cores=2, memory=2**40)
    return Pool(cells, slots=slots, retries=retries, poll=0.02, display=recorder)


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_jobs_that_fail_leave_the_rest_alone(make_cell: MakeCell, recorder: Any) -> None:
    pool = pool_of(
        [
            make_cell("raises", "raise RuntimeError('no such thing')"),
            make_cell("knows_why", "finish(status='failed', exit_code=1, error='DataError: no\\nimages'); sys.exit(1)"),
            make_cell("exits", "sys.exit(3)"),
            make_cell("killed", "os.kill(os.getpid(), signal.SIGKILL)"),
            make_cell("nothing", ""),
            make_cell("good"),
        ],
        recorder,
    )
    standings = {one.cell.name: one for one in pool.run()}
    assert {name: (one.state, one.exit_code, one.reason) for name, one in standings.items()} == {
        "raises": ("failed", 1, "RuntimeError: no such thing"),
        "knows_why": ("failed", 1, "DataError: no images"),
        "exits": ("failed", 3, "exit code 3"),
        "killed": ("failed", -9, "killed by SIGKILL (out of memory?)"),
        "nothing": ("failed", 0, "it ended without results"),
        "good": ("done", 0, None),
    }
    good = standings["good"]
    assert (good.progress.psnr, good.progress.gain, good.progress.step) == (30.0, 1.0, 4)
    assert good.results["steps"] == 4
    assert good.seconds > 0
    assert (good.cell.folder / "config.yaml").read_text() == "scale: 2\n"
    assert pool.signal is None
    assert recorder.said == ["end"]


def test_no_more_at_a_time_than_there_are_slots(make_cell: MakeCell, recorder: Any, tmp_path: Path) -> None:
    program = "start = time.time(); time.sleep(0.3); (folder / 'times').write_text(f'{start} {time.time()}'); finish()"
    pool_of([make_cell(str(index), program) for index in range(5)], recorder).run()
    times = [tuple(map(float, path.read_text().split())) for path in tmp_path.glob("*/times")]
    at_start = [sum(begin <= start < end for begin, end in times) for start, _ in times]
    assert max(at_start) == 2


def test_a_retry_goes_on_in_the_same_folder(make_cell: MakeCell, recorder: Any) -> None:
    program = """
if (folder / "once").exists():
    finish()
else:
    (folder / "once").touch()
    sys.exit("the first time")
"""
    pool = pool_of([make_cell("a", program), make_cell("b", "sys.exit(2)")], recorder, retries=1)
    a, b = pool.run()
    assert (a.state, a.attempts, a.reason) == ("done", 2, None)
    assert (b.state, b.attempts, b.reason) == ("failed", 2, "exit code 2")
    assert ("a", "retry") in recorder.told
    log = (a.cell.folder / "job.log").read_text()
    assert log.count("--- ") == 2
    assert "attempt 2 on CPU x1" in log
    assert "the first time\n" in log


def test_a_finished_cell_starts_no_process(
    make_cell: MakeCell, recorder: Any, finish: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [make_cell(name) for name in "ab"]
    for cell in cells:
        finish(cell.folder)
    monkeypatch.setattr("sr_lightning.sweeps.pool.Process", None)
    standings = pool_of(cells, recorder).run()
    assert [(one.state, one.progress.psnr) for one in standings] == [("skipped", 30.0)] * 2
    assert not (cells[0].folder / "job.log").exists()


def test_a_folder_held_by_another_process_is_waited_for(
    make_cell: MakeCell, recorder: Any, finish: Callable[[Path], None]
) -> None:
    cells = [make_cell(name) for name in ("held", "finished_meanwhile", "free")]
    locks = [FileLock(cell.folder / NAME) for cell in cells[:2]]
    for lock, cell in zip(locks, cells, strict=False):
        cell.folder.mkdir()
        lock.acquire()

    def release() -> None:
        cells[1].folder.joinpath("results.json").write_text((cells[2].folder / "results.json").read_text())
        for lock in locks:
            lock.release()

    recorder.on["free", "done"] = release
    held, finished, free = pool_of(cells, recorder).run()
    assert [one.state for one in (held, finished, free)] == ["done", "skipped", "done"]
    assert (held.attempts, finished.attempts) == (1, 0)
    names = [event for event in recorder.told if event[1] in ("locked", "done", "skipped")]
    assert names[:3] == [("held", "locked"), ("finished_meanwhile", "locked"), ("free", "done")]


@pytest.mark.parametrize("after", ["", "step 600/1000, 21.70 dB, 26 it/s"], ids=["alone", "its_log_goes_on"])
def test_a_folder_that_another_process_took_a_moment_before(make_cell: MakeCell, recorder: Any, after: str) -> None:
    program = f"""
if (folder / "once").exists():
    finish()
else:
    (folder / "once").touch()
    print("error: another process trains in this folder right now")
    print({after!r})
    sys.exit(1)
"""
    (standing,) = pool_of([make_cell("a", program)], recorder).run()
    assert (standing.state, standing.attempts) == ("done", 1)
    assert ("a", "locked") in recorder.told


SAVES = """
def save(*_):
    (folder / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
(folder / "ready").touch()
time.sleep(60)
"""


def test_a_signal_is_handed_on_and_nothing_else_starts(make_cell: MakeCell, recorder: Any, tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_until((tmp_path / "first" / "ready").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    former = signal.getsignal(signal.SIGTERM)
    recorder.on["first", "running"] = interrupt
    pool = pool_of([make_cell("first", SAVES), make_cell("second")], recorder, jobs=1)
    first, second = pool.run()
    assert pool.signal == signal.SIGTERM
    assert (first.state, first.exit_code, second.state) == ("interrupted", 143, "waiting")
    assert (first.cell.folder / "saved").exists()
    assert not second.cell.folder.exists()
    assert recorder.said == ["SIGTERM: 1 jobs save a checkpoint and leave; a second one kills them", "end"]
    assert signal.getsignal(signal.SIGTERM) == former


def test_a_second_signal_kills(make_cell: MakeCell, recorder: Any, tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_until((tmp_path / "a" / "ready").exists)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    recorder.on["a", "running"] = interrupt
    pool = pool_of(
        [make_cell("a", "signal.signal(signal.SIGINT, signal.SIG_IGN); (folder / 'ready').touch(); time.sleep(60)")],
        recorder,
    )
    (standing,) = pool.run()
    assert pool.signal == signal.SIGINT
    assert (standing.state, standing.exit_code, standing.reason) == ("interrupted", -9, "killed by SIGKILL")


def test_what_a_failed_job_leaves_behind_is_ended(make_cell: MakeCell, recorder: Any) -> None:
    program = """
import subprocess
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
(folder / "left").write_text(str(left.pid))
os._exit(1)
"""
    (standing,) = pool_of([make_cell("a", program)], recorder).run()
    left = int((standing.cell.folder / "left").read_text())
    wait_until(lambda: not is_alive(left))


def test_an_error_of_the_pool_itself_leaves_no_job(make_cell: MakeCell, recorder: Any) -> None:
    def fail() -> None:
        raise OSError("disk full")

    recorder.on["a", "running"] = fail
    pool = pool_of([make_cell("a", "time.sleep(60)")], recorder)
    with pytest.raises(OSError, match="disk full"):
        pool.run()
    (standing,) = pool.standings
    assert standing.process is not None
    wait_until(lambda: standing.process is not None and standing.process.poll() is not None)


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose nvidia-smi knows two GPUs."""
    fake = tmp_path / "bin" / "nvidia-smi"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'GPU 0: H100 (UUID: GPU-a)'\necho 'GPU 1: H100 (UUID: GPU-b)'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)  # a distributed test of this process may have left one


@pytest.mark.usefixtures("two_gpus")
def test_each_job_has_gpus_of_its_own(make_cell: MakeCell, recorder: Any, tmp_path: Path) -> None:
    gpus = tuple(visible_gpus(os.environ))
    assert gpus == ("0", "1")
    program = """
start = time.time()
time.sleep(0.3)
keys = ("CUDA_VISIBLE_DEVICES", "MASTER_PORT")
(folder / "seen").write_text(json.dumps([start, time.time(), *map(os.environ.get, keys)]))
finish()
"""
    cells = [make_cell(str(index), program, need=Need("gpu", 1)) for index in range(4)]
    cells.append(make_cell("both", program, need=Need("gpu", 2)))
    cells.append(make_cell("last", program, need=Need("gpu", 1, positions=(1,))))
    pool_of(cells, recorder, jobs=9, gpus=gpus).run()
    seen = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/seen")}
    assert seen["both"][2] == "0,1"
    assert seen["both"][3].isdigit()
    assert (seen["last"][2], seen["last"][3]) == ("1", None)
    assert sorted(seen[str(index)][2] for index in range(4)) == ["0", "0", "1", "1"]
    for name, (start, _, used, _) in seen.items():
        others = [gpus for other, (begin, end, gpus, _) in seen.items() if other != name and begin <= start < end]
        assert not any(set(used.split(",")) & set(gpus.split(",")) for gpus in others)


SWEEP = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import rich
from sr_lightning.sweeps.jobs import Cell
from sr_lightning.sweeps.live_table import display
from sr_lightning.sweeps.pool import Pool
from sr_lightning.sweeps.slots import Need, Slots
program, folder = sys.argv[3], sys.argv[1]
cell = Cell(name="a", folder=Path(folder), config="", need=Need("cpu", 1), max_steps=1,
            command=(sys.executable, "-c", program, folder))
slots = Slots(gpus=(), cells=1, most=None, cores=1, memory=2**40)
Pool([cell], slots=slots, retries=0, poll=0.02, display=display(rich.get_console(), at_once=1)).run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_jobs_leave_in_good_order_when_the_sweep_is_killed(
    make_cell: MakeCell, tmp_path: Path, repository: Path
) -> None:
    program = make_cell("a", "(folder / 'pid').write_text(str(os.getpid()))" + SAVES).command[2]
    sweep = subprocess.Popen([sys.executable, "-c", SWEEP, str(tmp_path / "a"), str(repository), program])
    wait_until((tmp_path / "a" / "ready").exists)
    sweep.kill()
    sweep.wait()
    wait_until((tmp_path / "a" / "saved").exists)
    pid = int((tmp_path / "a" / "pid").read_text())
    wait_until(lambda: not is_alive(pid))
