import json
import time
from pathlib import Path

import pytest

from sr_lightning.report.progress import write_progress
from sr_lightning.sweeps.progress import Progress, progress_of_results, progress_of_run


def test_what_a_run_says_of_itself(tmp_path: Path) -> None:
    assert progress_of_run(tmp_path, since=0) == Progress()
    started = time.time()
    write_progress(
        tmp_path, state="training", step=50, max_steps=100, psnr=28.5, bicubic_psnr=27.0, steps_per_second=10.0
    )
    assert progress_of_run(tmp_path, since=started) == Progress("training", 50, 28.5, 1.5, 5.0)
    # An earlier attempt's: where it goes on from, but not when it will be done.
    assert progress_of_run(tmp_path, since=time.time() + 1) == Progress("starting", 50, 28.5, 1.5)


def test_a_file_of_before_bicubic_was_written(tmp_path: Path) -> None:
    write_progress(tmp_path, state="training", step=50, max_steps=100, psnr=28.5)
    path = tmp_path / "progress.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if "bic" not in key}))
    assert progress_of_run(tmp_path, since=0) == Progress("training", 50, 28.5)


@pytest.mark.parametrize("text", ["", "{", '{"step": 3}', json.dumps({"new": 1})])
def test_a_file_of_another_version(tmp_path: Path, text: str) -> None:
    (tmp_path / "progress.json").write_text(text)
    assert progress_of_run(tmp_path, since=0) == Progress()


def test_what_results_say() -> None:
    validation = {"psnr": 30.5, "bicubic": {"psnr": 29.0}}
    assert progress_of_results({"steps": 9, "validation": validation}) == Progress("ended", 9, 30.5, 1.5)
    assert progress_of_results({"validation": None}) == Progress("ended")
