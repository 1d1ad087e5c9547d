import json
import time
from pathlib import Path

import pytest

from sr_lightning.report.progress import write_progress
from sr_lightning.sweeps.progress import Progress, progress_of_results, progress_of_run


def test_what_a_run_says_of_itself(tmp_path: Path) -> None:
    assert progress_of_run(tmp_path, since=0) == Progress()
    started = time.time()
    write_progress(tmp_path, state="training", step=50, max_steps=100, psnr=28.5, steps_per_second=10.0)
    assert progress_of_run(tmp_path, since=started) == Progress("training", 50, 28.5, None, 5.0)
    # An earlier attempt's: where it goes on from, but not when it will be done.
    assert progress_of_run(tmp_path, since=time.time() + 1) == Progress("starting", 50, 28.5)


@pytest.mark.parametrize("text", ["", "{", '{"step": 3}', json.dumps({"new": 1})])
def test_a_file_of_another_version(tmp_path: Path, text: str) -> None:
    (tmp_path / "progress.json").write_text(text)
    assert progress_of_run(tmp_path, since=0) == Progress()


def test_what_results_say() -> None:
    validation = {"psnr": 30.5, "bicubic": {"psnr": 29.0}}
    assert progress_of_results({"steps": 9, "validation": validation}) == Progress("ended", 9, 30.5, 1.5)
    assert progress_of_results({"validation": None}) == Progress("ended")
