"""What fails in W&B, or in what is done to it, never reaches the training."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb

from sr_lightning.tracking.wandb_session import Session
from tests.tracking.wandb_files import Read, files, read_finished

Begin = Callable[[], Session]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))

    def offline() -> Session:
        return Session(
            folder=tmp_path, mode="offline", timeouts=(5, 5), id="abcd", project="p",
            prepare=lambda run: run.summary.update({"prepared": 1}),
        )  # fmt: skip

    return offline


def test_what_fails_once_is_done_again_to_a_second_part(
    begin: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, tried = begin(), []

    def act(run: wandb.Run) -> None:
        tried.append(run)
        if len(tried) == 1:
            raise ConnectionResetError("Connection lost\nand more")
        run.log({"value": 1})

    session.do(act)
    session.do(lambda run: run.log({"value": 2}))
    session.end(0)
    assert len(set(map(id, tried))) == 2
    read = read_finished(files(tmp_path)[-1])
    assert [row["value"] for row in read.history] == [1, 2]
    assert (read.run.run_id, read.summary["prepared"]) == ("abcd", 1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("W&B: failed (Connection lost); the run goes on and is recorded offline: `wandb sync ")


def test_what_fails_twice_ends_the_recording(begin: Begin, capsys: pytest.CaptureFixture[str]) -> None:
    session, tried = begin(), []

    def act(run: wandb.Run) -> None:
        tried.append(run)
        raise ValueError("no")

    session.do(act)
    session.do(act)
    session.end(0)
    assert len(tried) == 2
    assert capsys.readouterr().out.splitlines()[1:] == [
        "W&B: failed again (no); nothing more of this run is recorded there."
    ]


def test_a_run_that_cannot_begin_at_all(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> wandb.Run:
        raise OSError

    monkeypatch.setattr(wandb, "init", fail)
    session = begin()
    session.do(lambda run: run.log({}))
    session.end(0)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("W&B: failed (OSError);")
    assert second.startswith("W&B: failed again (OSError);")


def test_what_is_recorded_is_soon_on_the_disk(begin: Begin, tmp_path: Path) -> None:
    session = begin()
    session.do(lambda run: run.log({"value": 1}))
    (path,) = files(tmp_path)
    # wandb's own pace is 15 seconds.
    until = time.monotonic() + 7
    while not Read(path).history and time.monotonic() < until:
        time.sleep(0.05)
    assert [row["value"] for row in Read(path).history] == [1]
    session.end(0)


def test_parts_in_which_nothing_was_recorded_do_not_stay(begin: Begin, tmp_path: Path) -> None:
    empty, kept = (tmp_path / "wandb" / f"offline-run-2026010{day}_000000-abcd" for day in (1, 2))
    for folder, content in ((empty, b":W&Bxyz"), (kept, b":W&Bxyz and more")):
        folder.mkdir(parents=True)
        (folder / "run-abcd.wandb").write_bytes(content)
    begin().end(0)
    assert (empty.exists(), kept.exists()) == (False, True)
