"""The tracker with a server: what arrives there, at once or by `wandb sync`, and what happens where none answers."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wandb.apis.public import Api

from sr_lightning.callbacks.checkpoints import Checkpoints
from sr_lightning.refusal import Refusal
from sr_lightning.report.samples import read_samples
from sr_lightning.tracking.wandb import WandbTracker
from sr_lightning.tracking.wandb_names import SAMPLE_COLUMNS
from tests.tracking.wandb_files import files, read_finished
from tests.tracking.wandb_server import StoredRun, WandbServer

Run = Callable[..., dict[str, Any]]
Sync = Callable[..., str]
ONLINE = ("logger=wandb",)
IMPATIENT = ("logger=wandb", "logger.wandb.init_timeout=2", "logger.wandb.finish_timeout=2")
OFFLINE = ("logger=wandb", "logger.wandb.offline=true")
PSNR = "val/psnr_rgb_to_y"


def steps(run: StoredRun, key: str = "train/loss") -> list[int]:
    """The steps of the rows that have a key, in the order of the file stream."""
    return [row["step"] for row in run.history if key in row]


def warnings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("W&B: ") and not line.startswith("W&B: http")]


def test_what_arrives_at_the_server(
    run_tiny: Run, server: WandbServer, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    results = run_tiny("edsr_baseline", folder, *ONLINE, "names.group=question")
    (run,) = server.runs.values()
    assert (run.id, run.project, run.group, run.job_type, run.exit_code) == (
        (folder / "wandb_id.txt").read_text(), "sr_lightning", "question", "train", 0,
    )  # fmt: skip
    assert set(run.tags) == {"model:edsr_baseline", "loss:l1", "data:folder", "scale:2"}
    assert run.config["names"]["model"] == "edsr_baseline"
    assert steps(run) == [1, 2, 3, 4]
    assert steps(run, PSNR) == [2, 4]
    assert run.summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]
    # What W&B's charts take as horizontal axis: wandb's numbers of glob, name and step metric.
    globs = {entry["2"]: run.metrics[entry["5"] - 1]["1"] for entry in run.metrics if "2" in entry}
    assert globs == {"train/*": "step", "val/*": "step"}
    (model,) = [artifact for artifact in run.artifacts if artifact.type == "model"]
    assert model.committed
    assert model.files["best.ckpt"] == (folder / "checkpoints" / "best.ckpt").read_bytes()
    (settings,) = [artifact for artifact in run.artifacts if artifact.type == "config"]
    assert json.loads(settings.files["results.json"])["status"] == "finished"
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert f"W&B: {server.url}/tester/sr_lightning/runs/{run.id}" in capsys.readouterr().out
    assert server.unanswered == []


def test_the_crops_are_one_table(run_tiny: Run, server: WandbServer, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_tiny("edsr_baseline", folder, *ONLINE, "trainer.max_steps=2")
    (run,) = server.runs.values()
    samples, content = read_samples(folder), run.tables["samples"]
    assert content["columns"] == list(SAMPLE_COLUMNS)
    assert len(content["data"]) == len(samples) > 0
    (pictures,) = [artifact.files for artifact in run.artifacts if artifact.type == "run_table"]
    for sample, cells in zip(samples, content["data"], strict=True):
        row = dict(zip(SAMPLE_COLUMNS, cells, strict=True))
        left, top, width, height = sample.box
        assert (row["set"], row["image"]) == (sample.set, sample.image)
        assert row["box"] == f"{width}x{height}+{left}+{top}"
        assert (row["PSNR"], row["bicubic SSIM"]) == (sample.psnr, sample.bicubic_ssim)
        assert row["gain"] == pytest.approx(sample.psnr - sample.bicubic_psnr)
        for column in ("LR", "bicubic", "SR", "HR", "error map"):
            assert (row[column]["width"], row[column]["height"]) == (width, height)
        assert pictures[row["SR"]["path"]] == sample.files["sr"].read_bytes()
    assert run.summary["samples"]["nrows"] == len(samples)


def test_a_resumed_run_is_gone_on_with(run_tiny: Run, server: WandbServer, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_tiny("edsr_baseline", folder, *ONLINE, "trainer.max_steps=3")
    run_tiny("edsr_baseline", folder, *ONLINE, "trainer.max_steps=5", f"resume={folder}")
    (run,) = server.runs.values()
    assert (run.upserts, run.overwritten) == (2, 0)
    assert steps(run) == [1, 2, 3, 4, 5]
    assert run.config["trainer"]["max_steps"] == 5
    # Each part's weights are a version of the same artifact.
    models = [artifact for artifact in run.artifacts if artifact.type == "model"]
    assert len(models) == 2
    assert len({artifact.name for artifact in models}) == 1


def test_steps_past_the_checkpoint_may_come_again(
    run_tiny: Run, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patch:
        # Steps 3 and 4 have been logged, but `last.ckpt` stands at step 2.
        patch.setattr(Checkpoints, "save", _at_step(4, genuine=Checkpoints.save, act=fail))
        assert run_tiny("edsr_baseline", folder, *ONLINE)["status"] == "failed"
    (run,) = server.runs.values()
    assert (steps(run), run.exit_code) == ([1, 2, 3, 4], 1)
    assert run_tiny("edsr_baseline", folder, *ONLINE, f"resume={folder}")["status"] == "finished"
    assert (steps(run), run.exit_code, run.overwritten) == ([1, 2, 3, 4, 3, 4], 0, 0)


def _at_step(step: int, *, genuine: Callable[..., None], act: Callable[..., None]) -> Callable[..., None]:
    def save(self: Checkpoints, trainer: Any, name: str) -> None:
        (act if trainer.global_step == step else genuine)(self, trainer, name)

    return save


def test_offline_parts_of_one_run_are_joined_by_sync(
    run_tiny: Run, server: WandbServer, sync: Sync, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for max_steps in (2, 4):
        resume = (f"resume={folder}",) if max_steps == 4 else ()
        results = run_tiny("edsr_baseline", folder, *OFFLINE, f"trainer.max_steps={max_steps}", *resume)
        for path in files(folder):
            read_finished(path)
    assert server.requests == []
    assert "2 run(s)" in sync(folder / "wandb")
    (run,) = server.runs.values()
    assert (steps(run), steps(run, PSNR), run.overwritten) == ([1, 2, 3, 4], [2, 4], 0)
    assert run.summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]
    assert [artifact.type for artifact in run.artifacts if artifact.committed].count("model") == 2
    assert [row[0] for row in run.tables["samples"]["data"]] == [sample.set for sample in read_samples(folder)]
    assert "No runs to sync" in sync(folder / "wandb")


def test_a_server_that_never_answers(
    run_tiny: Run, server: WandbServer, sync: Sync, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stop_answering()
    folder = tmp_path / "run"
    results = run_tiny("edsr_baseline", folder, *IMPATIENT)
    assert (results["status"], results["exit_code"]) == ("finished", 0)
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + 4
    # Told once, with what to do about it.
    (line,) = warnings(capsys.readouterr().out)
    assert "recorded offline" in line
    assert f"`wandb sync --include-online {folder / 'wandb'}`" in line
    read = read_finished(files(folder)[0])
    assert read.exit_code == 0
    server.answer_again()
    sync("--include-online", folder / "wandb")
    (run,) = server.runs.values()
    assert (steps(run), run.summary["validation/psnr_rgb_to_y"]) == ([1, 2, 3, 4], results["validation"]["psnr"])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb waits 19 seconds for the answer to a question about an artifact."""
    monkeypatch.setattr(Api, "_HTTP_TIMEOUT", 1)


def _fall_silent_at_validation(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = WandbTracker.log_image

    def log_image(self: WandbTracker, *arguments: Any, **named: Any) -> None:
        server.stop_answering()
        genuine(self, *arguments, **named)

    monkeypatch.setattr(WandbTracker, "log_image", log_image)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_falls_silent_during_training(
    run_tiny: Run,
    server: WandbServer,
    sync: Sync,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _fall_silent_at_validation(server, monkeypatch)
    folder = tmp_path / "run"
    results = run_tiny("edsr_baseline", folder, *IMPATIENT)
    assert (results["status"], results["exit_code"]) == ("finished", 0)
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + 4
    (line,) = warnings(capsys.readouterr().out)
    assert "recorded offline" in line
    server.answer_again()
    sync("--include-online", folder / "wandb")
    (run,) = server.runs.values()
    # The curves are in the part that began online, the rest in the offline one.
    assert sorted(set(steps(run))) == [1, 2, 3, 4]
    assert run.summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]
    assert run.summary[PSNR] == [row[PSNR] for row in run.history if PSNR in row][-1]
    assert {artifact.type for artifact in run.artifacts if artifact.committed} == {"model", "config", "run_table"}


def test_a_server_that_falls_silent_where_nothing_is_asked_of_it(
    run_tiny: Run, server: WandbServer, sync: Sync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _fall_silent_at_validation(server, monkeypatch)
    folder = tmp_path / "run"
    results = run_tiny("edsr_baseline", folder, *IMPATIENT, "logger.wandb.artifacts=false", "samples.per_set=0")
    assert (results["status"], results["exit_code"]) == ("finished", 0)
    (line,) = warnings(capsys.readouterr().out)
    assert line.startswith("W&B: not everything has been uploaded (Timed out finishing run.); `wandb sync --include-on")
    server.answer_again()
    sync("--include-online", folder / "wandb")
    (run,) = server.runs.values()
    assert sorted(set(steps(run))) == [1, 2, 3, 4]
    assert run.summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]


def test_wandbs_own_process_is_killed(
    run_tiny: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    genuine = WandbTracker.log_image
    killed: list[int] = []

    def log_image(self: WandbTracker, *arguments: Any, **named: Any) -> None:
        if not killed:
            killed.extend(_wandb_processes())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
        genuine(self, *arguments, **named)

    monkeypatch.setattr(WandbTracker, "log_image", log_image)
    folder = tmp_path / "run"
    results = run_tiny("edsr_baseline", folder, *OFFLINE)
    assert killed
    assert (results["status"], results["exit_code"]) == ("finished", 0)
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + 4
    (line,) = warnings(capsys.readouterr().out)
    assert "goes on" in line
    assert read_finished(files(folder)[-1]).summary["validation/psnr_rgb_to_y"] == results["validation"]["psnr"]


def _wandb_processes() -> list[int]:
    """Processes of wandb that this one has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and name == "wandb-core":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize(("key", "reason"), [(None, "No API key configured"), ("short", "40")])
def test_no_account_is_refused(
    run_tiny: Run, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, reason: str
) -> None:
    if key is None:
        monkeypatch.delenv("WANDB_API_KEY")
    else:
        monkeypatch.setenv("WANDB_API_KEY", key)
    with pytest.raises(Refusal, match=f"{reason}.*logger.wandb.offline=true"):
        run_tiny("edsr_baseline", tmp_path / "run", *ONLINE)
    assert server.requests == []
    assert json.loads((tmp_path / "run" / "results.json").read_text())["status"] == "failed"
    assert "WANDB_DATA_DIR" not in os.environ
