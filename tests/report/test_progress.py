import time
from pathlib import Path

import pytest

from sr_lightning.report.progress import read_progress, write_progress


def test_what_is_written_is_read(tmp_path: Path) -> None:
    before = time.time()
    write_progress(tmp_path, state="training", step=20, max_steps=100, psnr=30.5, steps_per_second=4.0)
    found = read_progress(tmp_path)
    assert found is not None
    assert (found.state, found.step, found.max_steps, found.psnr) == ("training", 20, 100, 30.5)
    assert (found.steps_per_second, found.eta_seconds) == (4.0, 20.0)
    assert before <= found.updated <= time.time()


@pytest.mark.parametrize(("state", "rate"), [("training", None), ("scoring", 4.0)])
def test_no_end_is_promised_before_a_step_was_timed_or_after_all_are_done(
    tmp_path: Path, state: str, rate: float | None
) -> None:
    write_progress(tmp_path, state=state, step=0, max_steps=100, psnr=None, steps_per_second=rate)  # type: ignore[arg-type]
    found = read_progress(tmp_path)
    assert found is not None
    assert (found.eta_seconds, found.psnr) == (None, None)


def test_a_run_that_has_not_begun_has_none(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None
