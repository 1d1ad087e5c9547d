"""Whole runs in this process, on tiny images."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rich
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.report_scores import report_scores
from sr_lightning.engine.train import train
from sr_lightning.refusal import Refusal
from sr_lightning.report.identity import config_hash
from sr_lightning.report.progress import read_progress
from sr_lightning.report.results import Results
from sr_lightning.report.samples import read_samples

Run = Callable[..., dict[str, Any]]

FIELDS = {
    "status", "error", "exit_code", "model", "scale", "data", "loss", "parameters", "steps", "hr_pixels", "seconds",
    "samples_per_second", "seed", "git", "versions", "device", "precision", "ema", "warm_start", "protocol", "metrics",
    "features", "images", "multiply_adds", "max_steps", "config_hash",
}  # fmt: skip


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def config_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    return content


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return content


def assert_equal(first: Any, second: Any, path: str = "") -> None:
    """Bit for bit, all the way down."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_equal(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_equal(one, other, f"{path}[{index}]")
    else:
        assert first == second, path


def assert_same_run(first: Path, second: Path) -> None:
    assert (first / "metrics.csv").read_text() == (second / "metrics.csv").read_text()
    names = {path.name for path in (first / "checkpoints").iterdir()}
    assert names == {path.name for path in (second / "checkpoints").iterdir()}
    for name in names:
        one, other = checkpoint(first, Path(name).stem), checkpoint(second, Path(name).stem)
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "ema", "global_step", "sr_lightning"):
            assert_equal(one.get(key), other.get(key), f"{name}:{key}")
    assert sorted(path.name for path in (first / "panels").iterdir()) == sorted(
        path.name for path in (second / "panels").iterdir()
    )


@pytest.fixture(scope="module")
def finished(run_tiny: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 5 steps with a validation every 2."""
    folder = tmp_path_factory.mktemp("runs") / "edsr"
    run_tiny("edsr_baseline", folder, "trainer.max_steps=5", "callbacks=ema", "callbacks.ema.decay=0.5")
    return folder


def test_results_of_a_finished_run(finished: Path) -> None:
    results = read(finished)
    assert results.keys() >= FIELDS
    assert (results["status"], results["exit_code"], results["error"]) == ("finished", 0, None)
    assert (results["model"], results["scale"], results["data"], results["loss"]) == (
        "edsr_baseline",
        2,
        "folder",
        "l1",
    )
    assert (results["steps"], results["hr_pixels"]) == (5, 5 * 2 * 32 * 32)
    assert results["seconds"] > 0
    assert results["samples_per_second"] == pytest.approx(5 * 2 / results["seconds"], rel=0.01)
    assert results["protocol"] == {
        "name": "rgb_to_y", "color": "y", "border": 2, "rounding": "uint8", "grey": "replicate", "ema": True,
        "self_ensemble": False, "tile": None,
    }  # fmt: skip
    assert results["ema"] == 0.5
    assert (results["precision"], results["device"].split()[0]) == ("32-true", "cpu")
    assert results["parameters"] == sum(
        value.numel() for name, value in checkpoint(finished)["state_dict"].items() if name.startswith("network.")
    )
    assert results["versions"]["torch"] == torch.__version__.split("+")[0] or results["versions"]["torch"]
    # At 640x360: a head and two convolutions of a block, one behind the body, a shuffle's; the last at 1280x720.
    assert results["multiply_adds"] == 640 * 360 * 9 * (3 * 8 + 3 * 8 * 8 + 8 * 32) + 1280 * 720 * 9 * 8 * 3
    assert results["max_steps"] == 5
    assert results["config_hash"] == config_hash(config_of(finished))
    assert results["features"] == {}
    assert results["images"] == {"folder": {"found": 3, "expected": None}}
    assert results["validation"]["images"] == 3
    assert results["best_step"] in (2, 4, 5)


def test_files_of_a_finished_run(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        "config.yaml", "results.json", "progress.json", "metrics.csv", "train.log", "panels", "samples", "checkpoints",
        ".running",
    }  # fmt: skip
    assert {path.name for path in (finished / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    # The last step is validated though it is no multiple of the interval.
    assert sorted(path.name for path in (finished / "panels").iterdir()) == [
        "step_000002.png", "step_000004.png", "step_000005.png",
    ]  # fmt: skip
    assert [row["step"] for row in rows(finished)] == ["1", "2", "3", "4", "5"]
    assert [row["step"] for row in rows(finished) if row["val/psnr"]] == ["2", "4", "5"]
    assert "finished" in (finished / "train.log").read_text()


def test_best_is_the_best_by_validation_psnr(finished: Path) -> None:
    scores = {int(row["step"]): float(row["val/psnr"]) for row in rows(finished) if row["val/psnr"]}
    best = max(scores, key=lambda step: scores[step])
    assert read(finished)["best_step"] == best
    assert checkpoint(finished, "best")["sr_lightning"]["step"] == best
    # Evaluated again from the file alone, with the averaged weights that validation used.
    assert read(finished)["validation"]["psnr"] == pytest.approx(scores[best], abs=1e-4)


def test_what_each_step_records(finished: Path) -> None:
    for row in rows(finished):
        assert float(row["train/hr_pixels"]) == int(row["step"]) * 2 * 32 * 32
        assert float(row["train/gradient_norm"]) > 0
        assert float(row["train/share/l1"]) == 1


def test_samples_of_a_finished_run(finished: Path) -> None:
    """No other set is scored: of the validation images."""
    samples = read_samples(finished)
    assert [(each.set, each.image) for each in samples] == [("validation", str(index)) for index in range(3)]
    assert [each.box[2:] for each in samples] == [(48, 24)] * 2 + [(48, 24)]
    assert [each.size for each in samples] == [(48, 40), (48, 42), (48, 44)]
    assert read(finished)["validation"]["per_image"].keys() == {each.image for each in samples}


def test_progress_of_a_finished_run_is_its_last(finished: Path) -> None:
    found = read_progress(finished)
    assert found is not None
    assert (found.state, found.step, found.max_steps) == ("scoring", 5, 5)
    assert found.psnr == pytest.approx(float(rows(finished)[-1]["val/psnr"]), abs=1e-4)
    assert (found.eta_seconds, found.steps_per_second) == (None, None)


def test_results_say_running_from_the_start(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def look(*_: Any, **__: Any) -> None:
        seen.append(read(tmp_path / "run"))
        raise RuntimeError("enough seen")

    monkeypatch.setattr("sr_lightning.engine.train.fit", look)
    run_tiny("edsr_baseline", tmp_path / "run")
    (results,) = seen
    assert results.keys() >= FIELDS
    assert (results["status"], results["exit_code"], results["steps"]) == ("running", None, 0)


@pytest.mark.parametrize("model", ["edsr_baseline", "srgan"])
def test_the_same_seed_gives_the_same_run(run_tiny: Run, tmp_path: Path, model: str) -> None:
    for name in ("one", "two"):
        run_tiny(model, tmp_path / name)
    assert_same_run(tmp_path / "one", tmp_path / "two")
    run_tiny(model, tmp_path / "other", "seed=7")
    assert rows(tmp_path / "other") != rows(tmp_path / "one")


EMA = ("callbacks=ema", "callbacks.ema.decay=0.9")
LATE_TERMS = ("loss=[l1,ldl,lr_consistency]", "+loss@loss.late=ssim", "loss.late.start=1", "loss.late.ramp=3")
UNET_GAN = (
    "module=gan", "module/discriminator=unet", "module.discriminator.width=4", "module.pretrain_steps=1",
    "module.adversarial.kind=relativistic_average", "module.adversarial.penalty=gradient",
    "module.adversarial.penalty_every=2",
)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "first", "whole", "overrides"),
    [
        ("edsr_baseline", 3, 7, (*EMA, "scheduler=cosine", "scheduler.length=9")),
        # Stopped at a step that is validated.
        ("srresnet", 4, 6, ("module.accumulate=2", "optimizer=sgd")),
        # In the first phase, at its end, in the second.
        ("srgan", 1, 5, ("module.pretrain_steps=3", *EMA)),
        ("srgan", 3, 5, ("module.pretrain_steps=3",)),
        ("srgan", 3, 5, ("module.pretrain_steps=1", "module.accumulate=2", "scheduler=multistep")),
        # In the middle of a ramp, with a term that looks at the average.
        ("edsr_baseline", 3, 6, (*EMA, *LATE_TERMS)),
        ("edsr_baseline", 3, 6, (*EMA, *LATE_TERMS, *UNET_GAN)),
    ],
)
def test_resumed_equals_uninterrupted(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, first: int, whole: int, overrides: Any
) -> None:
    arguments = [*overrides, f"trainer.max_steps={whole}"]
    run_tiny(model, tmp_path / "whole", *arguments)
    interrupt_after(monkeypatch, first)
    results = run_tiny(model, tmp_path / "parts", *arguments)
    assert (results["status"], results["exit_code"], results["steps"]) == ("interrupted", 143, first)
    assert checkpoint(tmp_path / "parts")["sr_lightning"]["step"] == first
    monkeypatch.undo()
    results = run_tiny(model, tmp_path / "parts", *arguments, f"resume={tmp_path / 'parts'}")
    assert (results["status"], results["steps"]) == ("finished", whole)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def interrupt_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Send SIGTERM to this process in the middle of a step."""
    import os
    import signal

    from sr_lightning.modules.base import SuperResolution

    forward = SuperResolution.train_forward

    def interrupting(self: SuperResolution, lr: torch.Tensor, **scale: Any) -> torch.Tensor:
        if self.step == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)
            monkeypatch.undo()
        return forward(self, lr, **scale)

    monkeypatch.setattr(SuperResolution, "train_forward", interrupting)


def test_a_killed_run_has_noted_what_its_checkpoint_holds(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left after SIGKILL: results as last written, and the steps behind the last checkpoint lost."""
    folder = tmp_path / "run"
    written: list[dict[str, Any]] = []
    update = Results.update

    def killed(self: Results, **values: Any) -> None:
        if len(written) < 2 and "status" not in values:
            update(self, **values)
        if "steps" in values:
            assert step_of_last(folder) == values["steps"]
            written.append(read(folder))

    monkeypatch.setattr(Results, "update", killed)
    arguments = "trainer.max_steps=7", "callbacks.checkpoints.every_steps=3", "trainer.val_every_steps=4"
    run_tiny("edsr_baseline", folder, *arguments)
    monkeypatch.undo()
    assert [each["steps"] for each in written[:2]] == [3, 4]
    assert [each["status"] for each in written[:2]] == ["running", "running"]
    assert 0 < written[0]["seconds"] < written[1]["seconds"]
    assert written[1]["hr_pixels"] == 4 * 2 * 32 * 32
    assert written[1]["samples_per_second"] == pytest.approx(4 * 2 / written[1]["seconds"], rel=0.01)
    assert (written[0]["best_step"], written[1]["best_step"]) == (None, 4)
    # The checkpoint of step 7 is there, and the results are those of step 4: the time in between is not made up for.
    assert (read(folder)["steps"], step_of_last(folder)) == (4, 7)
    results = run_tiny("edsr_baseline", folder, *arguments, f"resume={folder}", "trainer.max_steps=8")
    assert (results["status"], results["steps"], results["hr_pixels"]) == ("finished", 8, 8 * 2 * 32 * 32)
    assert written[1]["seconds"] < results["seconds"] < written[1]["seconds"] + 60


def step_of_last(folder: Path) -> int:
    step: int = checkpoint(folder)["sr_lightning"]["step"]
    return step


def test_a_run_that_was_killed_while_it_was_scored_keeps_what_it_reached(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    left: dict[str, Any] = {}

    def killed(*_: Any, **__: Any) -> None:
        left.update(read(folder), progress=read_progress(folder))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sr_lightning.engine.train.evaluate_set", killed)
        with pytest.raises(KeyboardInterrupt):
            run_tiny("edsr_baseline", folder)
    assert (left["status"], left["steps"]) == ("running", 4)
    assert left["best_step"] in (2, 4)
    assert left["progress"].state == "scoring"
    (folder / "progress.json").unlink()
    results = run_tiny("edsr_baseline", folder, f"resume={folder}")
    assert results["status"] == "finished"
    for key in ("steps", "best_step", "hr_pixels", "seconds"):
        assert results[key] == left[key]
    found = read_progress(folder)
    assert found is not None
    # The validations of the earlier part are not known any more.
    assert (found.state, found.psnr) == ("scoring", None)


def test_a_longer_run_goes_on_with_a_finished_one(run_tiny: Run, tmp_path: Path) -> None:
    run_tiny("edsr_baseline", tmp_path / "whole", "trainer.max_steps=6")
    run_tiny("edsr_baseline", tmp_path / "parts", "trainer.max_steps=2")
    seconds = read(tmp_path / "parts")["seconds"]
    run_tiny("edsr_baseline", tmp_path / "parts", "trainer.max_steps=6", f"resume={tmp_path / 'parts'}")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    results = read(tmp_path / "parts")
    assert results["seconds"] > seconds
    assert results["hr_pixels"] == 6 * 2 * 32 * 32


def test_resuming_a_finished_run_only_scores_it_again(run_tiny: Run, tmp_path: Path) -> None:
    before = run_tiny("edsr_baseline", tmp_path / "run")
    changed = (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    after = run_tiny("edsr_baseline", tmp_path / "run", f"resume={tmp_path / 'run'}")
    assert after == before
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == changed


def test_a_run_from_before_there_were_these_keys_goes_on(
    run_tiny: Run, tiny_arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run_tiny("edsr_baseline", folder, "samples.per_set=0", "trainer.max_steps=2")
    assert not (folder / "samples").exists()
    tree = Composer("train").compose(tiny_arguments("edsr_baseline", f"resume={folder}")).tree
    for key in ("samples", "metrics", "regions", "degradations"):
        del tree[key]
    assert train(OmegaConf.create(tree), folder)["status"] == "finished"
    assert not (folder / "samples").exists()


def cut(path: Path) -> None:
    """Leave half of a file, as a full disk or a loss of power does."""
    os.truncate(path, path.stat().st_size // 2)


def test_a_damaged_checkpoint_gives_way_to_the_best(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = "trainer.max_steps=7", "callbacks=ema"
    run_tiny("edsr_baseline", tmp_path / "whole", *arguments)
    folder = tmp_path / "parts"
    interrupt_after(monkeypatch, 5)
    results = run_tiny("edsr_baseline", folder, *arguments)
    monkeypatch.undo()
    best = results["best_step"]
    assert best in (2, 4)
    results["seconds"] = 1000.0
    (folder / "results.json").write_text(json.dumps(results))
    cut(folder / "checkpoints" / "last.ckpt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rich, "_console", None)
    capsys.readouterr()
    results = run_tiny("edsr_baseline", folder, *arguments, f"resume={folder}")
    said = f"parts/checkpoints/last.ckpt is damaged; the run goes on from best.ckpt, at step {best}."
    assert said in capsys.readouterr().out
    assert "last.ckpt is damaged" in (folder / "train.log").read_text()
    assert (results["status"], results["steps"], results["hr_pixels"]) == ("finished", 7, 7 * 2 * 32 * 32)
    assert_same_run(tmp_path / "whole", folder)
    # What the lost steps took is not counted.
    assert results["seconds"] == pytest.approx(1000 * best / 5, rel=0.1)


def test_without_a_whole_checkpoint_the_refusal_says_what_to_do(run_tiny: Run, tmp_path: Path) -> None:
    run_tiny("edsr_baseline", tmp_path, "trainer.max_steps=2")
    last = tmp_path / "checkpoints" / "last.ckpt"
    cut(last)
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes(b"")
    with pytest.raises(Refusal, match=rf"^resume: {last} is damaged, .* or delete it: the same command then trains"):
        run_tiny("edsr_baseline", tmp_path, f"resume={tmp_path}")
    last.unlink()
    assert run_tiny("edsr_baseline", tmp_path, f"resume={tmp_path}")["steps"] == 4


def test_places_are_told_from_the_current_folder_on(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder, told in ((tmp_path / "here" / "runs" / "a", "runs/a"), (tmp_path / "b", str(tmp_path / "b"))):
        monkeypatch.setattr(rich, "_console", None)
        run_tiny("edsr_baseline", folder, "trainer.max_steps=2")
        lines = capsys.readouterr().out.splitlines()
        assert f"run folder {told}" in lines
        assert lines[-3:] == [
            f"weights  {told}/checkpoints/best.ckpt", f"results  {told}/results.json", f"panels   {told}/panels"
        ]  # fmt: skip


def test_resume_without_a_checkpoint_begins_anew(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("sr_lightning.engine.train.fit", fail)
        run_tiny("edsr_baseline", tmp_path / "run")
    results = run_tiny("edsr_baseline", tmp_path / "run", f"resume={tmp_path / 'run'}")
    assert (results["status"], results["steps"]) == ("finished", 4)


def test_a_folder_with_a_run_is_refused(finished: Path, run_tiny: Run) -> None:
    before = read(finished)
    with pytest.raises(Refusal, match="already holds a run"):
        run_tiny("edsr_baseline", finished)
    assert read(finished) == before


def test_a_failing_run_says_so(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sr_lightning.modules.pixel import PixelModule

    def fail(*_: Any, **__: Any) -> None:
        raise FloatingPointError("the loss is no number")

    monkeypatch.setattr(PixelModule, "training_step", fail)
    results = run_tiny("edsr_baseline", tmp_path / "run")
    assert results == read(tmp_path / "run")
    assert (results["status"], results["exit_code"]) == ("failed", 1)
    assert results["error"] == "FloatingPointError: the loss is no number"
    assert "Traceback" in (tmp_path / "run" / "train.log").read_text()


def test_what_cannot_be_built_is_refused_and_noted(run_tiny: Run, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"loss\.perceptual: .*nowhere\.pth"):
        run_tiny("edsr_baseline", tmp_path / "run", "loss=perceptual", "loss.perceptual.weights=nowhere.pth")
    results = read(tmp_path / "run")
    assert (results["status"], results["exit_code"]) == ("failed", 1)
    assert "nowhere.pth" in results["error"]


def test_a_missing_benchmark_is_found_out_before_training(run_tiny: Run, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="set5"):
        run_tiny("edsr_baseline", tmp_path / "run", f"data.root={tmp_path}", "eval=[set5]")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_gan_counts_generator_steps_everywhere(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without LPIPS' backbone `best` is the last.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "run"
    results = run_tiny("srgan", folder, "trainer.max_steps=5", "module.accumulate=2", "module.pretrain_steps=2")
    assert results["steps"] == 5
    assert [row["step"] for row in rows(folder)] == ["1", "2", "3", "4", "5"]
    assert [row["step"] for row in rows(folder) if row["val/psnr"]] == ["2", "4", "5"]
    assert sorted(path.name for path in (folder / "panels").iterdir()) == [
        "step_000002.png", "step_000004.png", "step_000005.png",
    ]  # fmt: skip
    steps = {name: checkpoint(folder, name)["sr_lightning"]["step"] for name in ("last", "best", "pretrain_end")}
    assert steps == {"last": 5, "best": 5, "pretrain_end": 2}
    # The content term of each phase, and no other.
    assert [bool(row["train/mse"]) for row in rows(folder)] == [True, True, False, False, False]
    assert [bool(row["train/adversarial"]) for row in rows(folder)] == [False, False, True, True, True]
    second = [False, False, True, True, True]
    for name in ("share/adversarial", "share/l1", "discriminator_gradient_norm"):
        assert [bool(row[f"train/{name}"]) for row in rows(folder)] == second
    assert all(row["train/gradient_norm"] for row in rows(folder))


def test_sample_photographs_are_the_default(run_tiny: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = run_tiny("edsr_baseline", tmp_path / "run", "data=sample", "trainer.max_steps=2")
    assert set(results["metrics"]) == {"sample"}
    for scores in (results["metrics"]["sample"], results["validation"]):
        assert scores.keys() >= {"psnr", "ssim", "lsd", "images", "bicubic"}
        assert all(
            each.keys() >= {"psnr", "ssim", "lsd"} for each in (scores["bicubic"], *scores["per_image"].values())
        )
    # Of the images that chose the weights only where there are no others.
    assert {each.set for each in read_samples(tmp_path / "run")} == {"sample"}
    printed = capsys.readouterr().out
    assert "data=sample is a demonstration set" in printed
    assert "data=folder data.train_dir=DIR" in printed


def test_random_features_are_said_loudly_and_reported(
    run_tiny: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run_tiny(
        "edsr_baseline", tmp_path / "run", "loss=perceptual", "loss.perceptual.weights=random",
        "~loss.perceptual.layers.conv5_4", "+loss.perceptual.layers.conv1_2=1.0", "trainer.max_steps=2",
    )  # fmt: skip
    assert results["features"] == {"perceptual": "random"}
    assert capsys.readouterr().out.count("RANDOM features") == 2
    assert checkpoint(tmp_path / "run")["sr_lightning"]["features"] == {"perceptual": "random"}
    # The features are no part of a checkpoint.
    assert {name.split(".")[0] for name in checkpoint(tmp_path / "run")["state_dict"]} == {"network"}


def test_patches_too_small_for_the_features_are_refused(run_tiny: Run, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"loss\.perceptual: VGG features at conv5_4 need images of at least 16x16"):
        run_tiny(
            "edsr_baseline", tmp_path / "run", "loss=perceptual", "loss.perceptual.weights=random", "data.hr_patch=8"
        )


def copy_images(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_what_is_worth_knowing_of_the_images_is_told(
    run_tiny: Run, tmp_path: Path, tiny_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = copy_images(tiny_images / "train", tmp_path / "train")
    (train / "damaged.png").write_bytes(b"no image")
    shutil.copy(train / "0.png", train / "again.png")
    run_tiny(
        "edsr_baseline", tmp_path / "run", f"data.train_dir={train}", "data.max_skipped=0.5", "trainer.max_steps=1"
    )
    told = " ".join(capsys.readouterr().out.split())
    assert "left out 1 note" in told
    assert "left out: damaged.png: " in told
    assert "again.png shows what 0.png" in told
    assert "damaged.png" in (tmp_path / "run" / "train.log").read_text()


def test_incomplete_sets_are_told_and_recorded(
    run_tiny: Run, tmp_path: Path, tiny_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hr = tmp_path / "sets" / "Set5" / "HR"
    hr.mkdir(parents=True)
    Image.linear_gradient("L").resize((60, 60)).save(hr / "baby.png")
    copy_images(tiny_images / "val", tmp_path / "sets" / "Set14" / "HR")
    where = f"data.root={tmp_path / 'sets'}"
    results = run_tiny(
        "edsr_baseline", tmp_path / "run", where, "data.val=set14", "data.val_dir=null", "trainer.max_steps=1"
    )
    told = " ".join(capsys.readouterr().out.split())
    assert "incomplete set14 3 of 14 images note" in told
    assert "data.val=set14` completes it" in told
    # Of what is evaluated the results say it for themselves.
    assert "incomplete Set5 1 of 5 images note" in told
    assert results["metrics"]["Set5"]["whole"] == 5
    assert results["images"] == {"set14": {"found": 3, "expected": 14}, "folder": {"found": 3, "expected": None}}
    assert read(tmp_path / "run")["images"] == results["images"]


def test_benchmarks_are_scored_on_named_degradations_too(
    run_tiny: Run, tmp_path: Path, tiny_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_images(tiny_images / "val", tmp_path / "sets" / "Set5" / "HR")
    named = "degradations={noise_down:{sigma:3},pil:resize}"
    arguments = f"data.root={tmp_path / 'sets'}", named, "metrics=[niqe]", "regions=true", "trainer.max_steps=1"
    copy_images(tiny_images / "val", tmp_path / "other")
    for number, path in enumerate(sorted((tmp_path / "other").iterdir())):
        Image.open(path).rotate(180).crop((4, 4, 40, 36)).save(tmp_path / "other" / f"v{number}.png")
        path.unlink()
    results = run_tiny("edsr_baseline", tmp_path / "run", *arguments, f"data.val_dir={tmp_path / 'other'}", "seed=7")
    assert list(results["metrics"]) == ["Set5", "Set5/noise_down", "Set5/pil"]
    assert "protocol" not in results["metrics"]["Set5"]
    assert results["metrics"]["Set5/pil"]["protocol"]["degradation"] == "resize_pil_x2"
    for scores in (*results["metrics"].values(), results["validation"]):
        assert set(scores) >= {"psnr", "ssim", "bicubic", "per_image", "regions", "missing"}
        assert not {"lsd", "niqe"} & set(scores)
    assert results["missing"].keys() == {"niqe"}
    assert "niqe_pris_params.npz" in results["missing"]["niqe"]
    told = " ".join(capsys.readouterr().out.split())
    assert "missing NIQE: " in told
    assert "Set5/pil (3 of 5)" in told
    # The samples are of the sets as they are.
    assert {sample.set for sample in read_samples(tmp_path / "run")} == {"Set5"}

    # `evaluate` scores the same weights on the same LR, whatever the training's seed.
    config = Composer("evaluate").compose(["eval=set5", arguments[0], named, "metrics=[niqe]"]).tree
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    again = report_scores({**config, "checkpoint": str(path)}, published_bicubic={})
    for name, scores in results["metrics"].items():
        assert again["metrics"][name]["per_image"] == scores["per_image"]


def test_training_on_what_is_evaluated_stops_unless_it_is_allowed(
    run_tiny: Run, tmp_path: Path, tiny_images: Path
) -> None:
    train = copy_images(tiny_images / "train", tmp_path / "train")
    hr = tmp_path / "sets" / "Set5" / "HR"
    hr.mkdir(parents=True)
    # The same photograph in another size and format.
    Image.open(train / "1.png").resize((48, 48)).save(hr / "woman.bmp")
    arguments = f"data.train_dir={train}", f"data.root={tmp_path / 'sets'}", "trainer.max_steps=1"
    with pytest.raises(Refusal, match=r"Training image 1 is Set5's woman.*data\.exclude=\[1\]") as refusal:
        run_tiny("edsr_baseline", tmp_path / "stopped", *arguments)
    assert "eval_exclude=[Set5/woman]" in str(refusal.value)
    assert not run_tiny("edsr_baseline", tmp_path / "excluded", *arguments, "data.exclude=[1]")["overlap"]
    (hr / "other.bmp").write_bytes((hr / "woman.bmp").read_bytes())
    Image.open(tiny_images / "val" / "0.png").save(hr / "other.bmp")
    left = run_tiny("edsr_baseline", tmp_path / "left", *arguments, "eval_exclude=[Set5/woman]")
    assert not left["overlap"]
    assert left["metrics"]["Set5"]["excluded"] == ["woman"]
    allowed = run_tiny("edsr_baseline", tmp_path / "allowed", *arguments, "data.allow_overlap=true")
    assert [(each["train"], each["evaluated"]) for each in allowed["overlap"]] == [("1.png", "Set5/woman")]


def test_validating_on_training_images_is_training_on_what_is_evaluated(
    run_tiny: Run, tmp_path: Path, tiny_images: Path
) -> None:
    with pytest.raises(Refusal, match="or take other images to evaluate"):
        run_tiny("edsr_baseline", tmp_path / "run", f"data.val_dir={tiny_images / 'train'}")


def test_only_a_look_leaves_no_run(
    tiny_arguments: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sr_lightning.engine import pace
    from sr_lightning.engine.preflight import only_preflight

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr(pace, "_SECONDS", 0.05)
        patch.setattr(pace, "_STEP_SECONDS", 0.05)
        # Of a training as short as the warm-up, too.
        for model, steps in (("edsr_baseline", 2), ("srgan", 1000)):
            only_preflight(Composer("train").compose(tiny_arguments(model, f"trainer.max_steps={steps}")).tree)
            told = capsys.readouterr().out
            assert ("of both phases" in told) == (model == "srgan")
            for row in ("training images", "overlap", "degradation", "loader", "time to go", "memory at the peak"):
                assert row in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("degradation", ["blur_down", "second_order"])
def test_own_images_are_scored_on_the_lr_they_are_trained_with(
    run_tiny: Run, tmp_path: Path, degradation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run_tiny("edsr_baseline", tmp_path / "run", f"degradation={degradation}", "trainer.max_steps=2")
    assert results["degradation"].startswith(degradation)
    assert results["validation"]["protocol"]["degradation"] == results["degradation"]
    # Validation while training saw the same LR images.
    assert float(rows(tmp_path / "run")[-1]["val/psnr"]) == pytest.approx(results["validation"]["psnr"], abs=1e-3)
    assert checkpoint(tmp_path / "run")["sr_lightning"]["degradation"] == results["degradation"]
