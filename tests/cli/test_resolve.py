"""The configuration of one training on its own, and the folder that it gives its cell."""

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.resolve import resolve
from sr_lightning.report.identity import config_hash


def composed(*overrides: str) -> DictConfig:
    """A job's configuration as a launcher has it, with Hydra's own part."""
    composer = Composer("train")
    cfg = composer._loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
    with open_dict(cfg.hydra):
        cfg.hydra.job.num = 3
    HydraConfig.instance().set_config(cfg)
    return cfg


@pytest.fixture(autouse=True)
def no_hydra_left():
    yield
    HydraConfig.instance().cfg = None


def folder(cfg: DictConfig) -> Path:
    return Path(cfg.hydra.sweep.dir) / cfg.hydra.sweep.subdir


def task(cfg: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])


def test_a_cells_folder_ends_with_the_hash_of_what_is_trained():
    cfg = composed("model=espcn", "scale=3", "paths.runs=out")
    expected = config_hash(OmegaConf.to_container(resolve(task(cfg))))
    assert folder(cfg) == Path(f"out/sweep/espcn_x3_sample_mse_{expected[:8]}")


def test_a_named_sweep_has_a_folder_of_its_own_and_the_same_cells():
    plain, named = folder(composed("paths.runs=out")), folder(composed("paths.runs=out", "sweep.name=mine"))
    assert plain.parent == Path("out/sweep")
    assert named.parent == Path("out/sweep/mine")
    assert named.name == plain.name


def test_looking_at_the_folder_leaves_the_configuration_as_it_is():
    cfg = composed("data.root=here")
    first = folder(cfg)
    assert cfg.data.root == "here"
    assert folder(cfg) == first


def test_relative_and_absolute_paths_are_the_same_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert folder(composed("data.lr_dir=here")) == folder(composed(f"data.lr_dir={tmp_path}/here"))
    assert folder(composed("data.lr_dir=here")) != folder(composed("data.lr_dir=there"))


def test_a_checkout_that_was_moved_meets_the_same_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    here = folder(composed("model=espcn"))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert folder(composed("model=espcn", f"paths.data={tmp_path}", "paths.cache=c")) == here
