from pathlib import Path

import pytest

from sr_lightning.tracking.csv import CSVLogger


def test_one_row_per_step_and_a_column_per_metric(tmp_path: Path) -> None:
    logger = CSVLogger(path=tmp_path / "metrics.csv", resume_step=0)
    logger.log_metrics({"train/loss": 0.123456789}, step=1)
    logger.log_metrics({"train/loss": 1e-9}, step=2)
    # A validation writes the file, whenever the columns came.
    assert not logger.path.exists()
    logger.log_metrics({"val/psnr": 30.0}, step=2)
    assert logger.path.read_text() == "step,train/loss,val/psnr\n1,0.12345679,\n2,1e-09,30\n"
    logger.log_metrics({"train/loss": 0.5}, step=3)
    logger.finalize("failed")
    assert logger.path.read_text().endswith("2,1e-09,30\n3,0.5,\n")


def test_a_resumed_run_keeps_the_rows_up_to_its_checkpoint(tmp_path: Path) -> None:
    logger = CSVLogger(path=tmp_path / "metrics.csv", resume_step=0)
    for step in (1, 2, 3):
        logger.log_metrics({"train/loss": step / 10}, step=step)
    logger.log_metrics({"val/psnr": 20.0}, step=2)
    logger = CSVLogger(path=tmp_path / "metrics.csv", resume_step=2)
    logger.log_metrics({"val/ssim": 0.5}, step=3)
    assert logger.path.read_text() == "step,train/loss,val/psnr,val/ssim\n1,0.1,,\n2,0.2,20,\n3,,,0.5\n"


@pytest.mark.parametrize("resume_step", [0, 5])
def test_a_new_run_begins_with_nothing(tmp_path: Path, resume_step: int) -> None:
    path = tmp_path / "metrics.csv"
    if not resume_step:
        path.write_text("step,val/psnr\n1,3\n")
    CSVLogger(path=path, resume_step=resume_step).save()
    assert path.read_text() == "step\n"
