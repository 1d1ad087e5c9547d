import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from sr_lightning.callbacks.checkpoints import Checkpoints
from sr_lightning.metrics.lpips import lpips_backbone_path
from sr_lightning.modules.base import SuperResolution

Run = Callable[..., dict[str, Any]]


def step_of(folder: Path, name: str) -> int:
    step: int = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["sr_lightning"]["step"]
    return step


def planned_psnr(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Let the validations report these, one after the other."""
    remaining = iter(values)

    def planned(self: SuperResolution) -> None:
        self.scores.reset()
        self.log_dict({"val/psnr": next(remaining), "val/ssim": 0.5}, logger=False)

    monkeypatch.setattr(SuperResolution, "on_validation_epoch_end", planned)


def test_best_is_chosen_by_psnr(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned_psnr(monkeypatch, 20.0, 25.0, 24.0)
    results = run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=6")
    assert results["best_step"] == step_of(tmp_path / "run", "best") == 4
    assert step_of(tmp_path / "run", "last") == 6


def test_a_score_that_is_no_number_is_never_the_best(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned_psnr(monkeypatch, float("nan"), 25.0, float("nan"))
    results = run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=6")
    assert results["best_step"] == step_of(tmp_path / "run", "best") == 4


def test_a_resumed_run_remembers_the_best(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned_psnr(monkeypatch, 25.0, 24.0)
    run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=2")
    results = run_tiny("edsr_baseline", tmp_path / "run", "trainer.max_steps=4", f"resume={tmp_path / 'run'}")
    assert results["best_step"] == step_of(tmp_path / "run", "best") == 2


def test_gan_without_lpips_the_best_is_the_last_of_the_second_phase(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    saved: list[tuple[int, list[str]]] = []
    save = Checkpoints.on_validation_end

    def watched(self: Checkpoints, trainer: Trainer, module: Any) -> None:
        save(self, trainer, module)
        saved.append((module.step, sorted(path.stem for path in self.folder.iterdir())))

    monkeypatch.setattr(Checkpoints, "on_validation_end", watched)
    results = run_tiny("srgan", tmp_path / "run", "trainer.max_steps=6", "module.pretrain_steps=3")
    assert saved == [
        (2, ["last"]),
        (4, ["best", "last", "pretrain_end"]),
        (6, ["best", "last", "pretrain_end"]),
    ]
    assert results["best_step"] == step_of(tmp_path / "run", "best") == 6
    assert step_of(tmp_path / "run", "pretrain_end") == 3


@pytest.fixture
def alexnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LPIPS' backbone with random weights, where torch hub looks for it."""
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), folder / "alexnet-owt-7be5be79.pth")
    assert lpips_backbone_path() is not None


@pytest.mark.usefixtures("alexnet")
def test_gan_with_lpips_the_best_has_the_lowest(run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import csv

    results = run_tiny(
        "srgan", tmp_path / "run", "trainer.max_steps=6", "module.pretrain_steps=2", "trainer.val_every_steps=1",
        "optimizer.lr=0.003",
    )  # fmt: skip
    with (tmp_path / "run" / "metrics.csv").open() as file:
        distances = {int(row["step"]): float(row["val/lpips"]) for row in csv.DictReader(file)}
    assert set(distances) == {1, 2, 3, 4, 5, 6}
    assert len(set(distances.values())) == 6
    candidates = {step: value for step, value in distances.items() if step > 2}
    best = min(candidates, key=lambda step: candidates[step])
    assert results["best_step"] == step_of(tmp_path / "run", "best") == best
    # The backbone is in no checkpoint.
    keys = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {key.split(".")[0] for key in keys} == {"network", "discriminator"}


def test_last_is_written_every_so_many_steps_but_never_just_before_a_validation(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, int]] = []
    save = Checkpoints.save

    def watched(self: Checkpoints, trainer: Trainer, name: str) -> None:
        written.append((name, trainer.global_step))
        save(self, trainer, name)

    monkeypatch.setattr(Checkpoints, "save", watched)
    run_tiny(
        "srgan", tmp_path / "run", "trainer.max_steps=7", "trainer.val_every_steps=4", "module.accumulate=2",
        "callbacks.checkpoints.every_steps=2", "module.pretrain_steps=3",
    )  # fmt: skip
    assert written == [("last", 2), ("pretrain_end", 3), ("last", 4), ("last", 6), ("last", 7)]


def test_a_save_that_dies_half_way_leaves_the_old_file(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Trainer.save_checkpoint

    def dying(self: Trainer, filepath: Path, *arguments: Any, **keywords: Any) -> None:
        if self.global_step == 4:
            Path(filepath).write_bytes(b"half of it")
            raise OSError("No space left on device")
        saved(self, filepath, *arguments, **keywords)

    monkeypatch.setattr(Trainer, "save_checkpoint", dying)
    results = run_tiny("edsr_baseline", tmp_path / "run")
    assert (results["status"], results["error"]) == ("failed", "OSError: No space left on device")
    assert step_of(tmp_path / "run", "last") == step_of(tmp_path / "run", "best") == 2
    monkeypatch.undo()
    results = run_tiny("edsr_baseline", tmp_path / "run", f"resume={tmp_path / 'run'}")
    assert (results["status"], results["steps"]) == ("finished", 4)
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_new_name_stands_only_for_what_the_disk_has(
    run_tiny: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power a renamed file may else be empty."""
    on_disk: set[int] = set()
    replaced: dict[str, bool] = {}
    fsync, replace = os.fsync, os.replace

    def noted(descriptor: int) -> None:
        on_disk.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def checked(source: Path, target: Path) -> None:
        replaced[Path(target).name] = Path(source).stat().st_ino in on_disk
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", checked)
    run_tiny("srgan", tmp_path / "run")
    for name in ("last.ckpt", "best.ckpt", "pretrain_end.ckpt", "results.json", "config.yaml"):
        assert replaced[name], name
    assert not replaced["progress.json"], "once a second: the disk has other things to do"
    assert (tmp_path / "run").stat().st_ino in on_disk
    assert (tmp_path / "run" / "checkpoints").stat().st_ino in on_disk


def test_a_checkpoint_alone_rebuilds_the_network(run_tiny: Run, tmp_path: Path) -> None:
    from sr_lightning.engine.checkpoint import load_network

    run_tiny("srgan", tmp_path / "run")
    loaded = load_network(tmp_path / "run" / "checkpoints" / "pretrain_end.ckpt")
    assert (loaded.name, loaded.scale, loaded.step, loaded.ema) == ("srgan", 2, 2, False)
    assert loaded.network(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)
