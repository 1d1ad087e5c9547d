import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sr_lightning.report.samples import Sample
from sr_lightning.tracking.wandb_names import SAMPLE_COLUMNS
from sr_lightning.tracking.wandb_results import model_artifact, samples_table

RESULTS: dict[str, Any] = {
    "model": "edsr (mine)", "scale": 3, "best_step": 7, "metrics": {},
    "validation": {"psnr": 30.0, "per_image": {"a": {"psnr": 30.0}}},
}  # fmt: skip


def test_a_crop_without_any_error_has_no_gain(tmp_path: Path) -> None:
    files = {}
    for key, side in (("lr", 4), ("bicubic", 12), ("sr", 12), ("hr", 12)):
        files[key] = tmp_path / f"{key}.png"
        Image.new("RGB", (side, side), (9, 9, 9)).save(files[key])
    sample = Sample(
        set="Set5", image="baby", box=(24, 48, 12, 12), size=(96, 96), psnr=None, ssim=1.0, bicubic_psnr=30.0,
        bicubic_ssim=0.9, files=files,
    )  # fmt: skip
    (row,) = samples_table([sample]).data
    cells = dict(zip(SAMPLE_COLUMNS, row, strict=True))
    assert (cells["PSNR"], cells["gain"], cells["bicubic PSNR"]) == (None, None, 30.0)
    # LR as large as the others, its pixels still square.
    assert cells["LR"].image.size == (12, 12)


def test_weights_are_copied_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    artifact = model_artifact(RESULTS, checkpoint=tmp_path / "best.ckpt", run_id="abcd", folder=tmp_path / "models")
    assert artifact.name == "edsr_mine_-x3-abcd"
    assert (tmp_path / "models" / "best_7.ckpt").read_bytes() == b"weights"
    assert artifact.metadata["scores"] == {"validation": {"psnr": 30.0}}
