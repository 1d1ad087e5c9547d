"""What became of a cell, and what a search is given of it."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.resolve import on_its_own
from sr_lightning.refusal import Refusal
from sr_lightning.report.identity import config_hash
from sr_lightning.sweeps.cells import objectives, refuse_another, state_of

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


def test_the_run_of_another_configuration_is_refused(tmp_path: Path):
    """It is known by its results, and where those cannot be read by its configuration."""
    # Numbers that YAML may write in several ways.
    composer, numbers = Composer("train"), ("optimizer.lr=1e-05", "names.group=1e-3", "optimizer.eps=1e-12")
    first, second = (on_its_own(composer.compose([f"seed={seed}", *numbers]).tree) for seed in (1, 2))
    refuse_another(tmp_path / "nowhere", first)
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(first)))
    refuse_another(tmp_path, first)
    (tmp_path / "results.json").write_text("{")
    refuse_another(tmp_path, first)
    with pytest.raises(Refusal, match=rf"^{tmp_path} holds a run of another configuration"):
        refuse_another(tmp_path, second)
    (tmp_path / "results.json").write_text(json.dumps({"config_hash": config_hash(second)}))
    refuse_another(tmp_path, second)
    with pytest.raises(Refusal, match=r"give the sweep another hydra\.sweep\.dir"):
        refuse_another(tmp_path, first)


@pytest.mark.parametrize("content", ["", "[1]", "seed: 1", "a: [", "loss: 3"])
def test_what_is_no_configuration_is_nobodys(tmp_path: Path, content: str):
    (tmp_path / "config.yaml").write_text(content)
    refuse_another(tmp_path, on_its_own(Composer("train").compose([]).tree))
