"""What became of a cell, and what a search is given of it."""

import json
from pathlib import Path

import pytest

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.cells import objectives, state_of

RESULTS = {"validation": {"psnr": 30.5}, "multiply_adds": 114, "metrics": {"Set5": {"psnr": 32.0}}, "model": "edsr"}


def test_the_state_of_a_folder(tmp_path: Path):
    assert state_of(tmp_path / "nowhere").status == "new"
    (tmp_path / "config.yaml").write_text("seed: 1")
    assert state_of(tmp_path).status == "unfinished"
    for status, expected in (("running", "unfinished"), ("failed", "unfinished"), ("finished", "finished")):
        (tmp_path / "results.json").write_text(json.dumps({"status": status, "validation": None}))
        assert state_of(tmp_path).status == expected
        assert state_of(tmp_path).psnr is None
    for broken in ("", "{", "[]", "{}"):
        (tmp_path / "results.json").write_text(broken)
        assert state_of(tmp_path).status == "unfinished"
        assert state_of(tmp_path).psnr is None
    (tmp_path / "results.json").write_text(json.dumps({"status": "finished", **RESULTS}))
    assert state_of(tmp_path).psnr == 30.5


def test_what_a_search_is_given():
    assert objectives(RESULTS, ["validation.psnr"]) == 30.5
    assert objectives(RESULTS, ["metrics.Set5.psnr", "multiply_adds"]) == (32.0, 114.0)


@pytest.mark.parametrize("path", ["validation.lpips", "validation", "model", "metrics.Set5.psnr.mean"])
def test_a_path_without_a_number_is_refused(path: str):
    with pytest.raises(Refusal, match=rf"sweep\.objectives: expected the path of a number.*got {path}"):
        objectives(RESULTS, [path])
