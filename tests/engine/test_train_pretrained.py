"""Runs that begin with the weights of a file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.comparison.runs import read_run
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.refusal import Refusal

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def first(run_tiny: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished x2 run."""
    folder = tmp_path_factory.mktemp("first") / "run"
    assert run_tiny("edsr_baseline", folder)["status"] == "finished"
    return folder


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_network(path).network.state_dict())


def test_a_run_begins_with_the_files_weights_and_says_so(
    run_tiny: Run, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = first / "checkpoints" / "last.ckpt"
    # A rate of nothing: what is saved is what it began with.
    results = run_tiny(
        "edsr_baseline", tmp_path / "run", f"model.pretrained={path}", "optimizer.lr=1e-30", "trainer.max_steps=2"
    )

    assert results["status"] == "finished"
    facts = results["warm_start"]
    assert (facts["file"], facts["layout"], facts["wrapper"]) == ("last.ckpt", "sr_lightning", "state_dict, network.")
    assert (facts["matched"], facts["missing"], facts["unexpected"], facts["reshaped"]) == (12, 0, 0, 0)
    assert len(facts["sha256"]) == 8
    assert "weights  12 of 12 tensors from last.ckpt (sr_lightning names, " in capsys.readouterr().out
    ours, theirs = weights_of(tmp_path / "run" / "checkpoints" / "last.ckpt"), weights_of(path)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    # What rebuilds the network knows nothing of where its weights came from.
    content = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert not {"pretrained", "pretrained_strict"} & set(content["sr_lightning"]["model"])
    assert read_run(tmp_path / "run").warm_start == f"last.ckpt ({facts['sha256']})"
    assert read_run(first).warm_start is None


def test_a_continued_run_keeps_its_own_weights_though_the_file_is_gone(
    run_tiny: Run, first: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(first / "checkpoints" / "last.ckpt", tmp_path / "start.ckpt"))
    folder, arguments = tmp_path / "run", ("edsr_baseline", tmp_path / "run", f"model.pretrained={path}")
    before = run_tiny(*arguments, "trainer.max_steps=2")
    whole = run_tiny("edsr_baseline", tmp_path / "whole", f"model.pretrained={path}")
    path.unlink()

    after = run_tiny(*arguments, "trainer.max_steps=4", f"resume={folder}")

    assert (after["status"], after["steps"]) == ("finished", 4)
    assert after["warm_start"] == before["warm_start"] == whole["warm_start"]
    resumed, uninterrupted = (weights_of(each / "checkpoints" / "last.ckpt") for each in (folder, tmp_path / "whole"))
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in resumed)


def test_a_run_without_a_checkpoint_begins_with_the_file_again(run_tiny: Run, first: Path, tmp_path: Path) -> None:
    path, folder = first / "checkpoints" / "last.ckpt", tmp_path / "run"
    run_tiny("edsr_baseline", folder, f"model.pretrained={path}", "trainer.max_steps=2")
    shutil.rmtree(folder / "checkpoints")
    again = run_tiny("edsr_baseline", folder, f"model.pretrained={path}", "trainer.max_steps=2", f"resume={folder}")
    assert (again["status"], again["warm_start"]["matched"]) == ("finished", 12)


def test_a_file_that_does_not_fit_ends_the_run_before_images_are_decoded(
    run_tiny: Run, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sr_lightning.engine.train.build_datamodule", lambda *_, **__: pytest.fail("images were decoded")
    )
    path = first / "checkpoints" / "last.ckpt"
    with pytest.raises(Refusal, match=r"holds weights for x2: at scale=4, .* model\.pretrained_strict=false starts"):
        run_tiny("edsr_baseline", tmp_path / "run", f"model.pretrained={path}", "scale=4")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (results["status"], results["exit_code"], results["warm_start"]) == ("failed", 1, None)
    assert "holds weights for x2" in results["error"]


def test_x2_starts_x4_and_what_stays_random_is_told(
    run_tiny: Run, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run_tiny(
        "edsr_baseline", tmp_path / "run", f"model.pretrained={first / 'checkpoints' / 'last.ckpt'}", "scale=4",
        "model.pretrained_strict=false",
    )  # fmt: skip
    assert results["status"] == "finished"
    assert results["warm_start"]["random"] == ["upsample.2.weight", "upsample.2.bias"]
    assert "random:  upsample.2.weight, upsample.2.bias" in capsys.readouterr().out


@pytest.mark.parametrize("pretrain_steps", [0, 2])
def test_a_gans_generator_begins_with_the_weights_of_a_psnr_run(
    run_tiny: Run, tmp_path: Path, pretrain_steps: int
) -> None:
    run_tiny("srresnet", tmp_path / "psnr", "trainer.max_steps=2")
    path = tmp_path / "psnr" / "checkpoints" / "last.ckpt"
    results = run_tiny(
        "srgan", tmp_path / "gan", f"model.pretrained={path}", f"module.pretrain_steps={pretrain_steps}",
        "trainer.max_steps=3", "optimizer.lr=1e-30", "module.pretrain_lr=1e-30",
    )  # fmt: skip
    assert results["status"] == "finished"
    ours, theirs = weights_of(tmp_path / "gan" / "checkpoints" / "last.ckpt"), weights_of(path)
    # Batch norm's averages go on.
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if "running" not in name and "num" not in name)
