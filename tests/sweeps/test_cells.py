"""A cell's folder follows from what its run gives, and from nothing else."""

import copy
import json
from pathlib import Path

import pytest

from sr_lightning.cli.compose import Composer
from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.cells import IRRELEVANT, config_hash, objectives, state_of

RESULTS = {"validation": {"psnr": 30.5}, "multiply_adds": 114, "metrics": {"Set5": {"psnr": 32.0}}, "model": "edsr"}


@pytest.fixture(scope="module")
def config() -> dict:
    return Composer("train").compose(["model=espcn"]).tree


def changed(config: dict, path: str, value: object) -> dict:
    tree = copy.deepcopy(config)
    *parents, last = path.split(".")
    node = tree
    for part in parents:
        node = node[part]
    node[last] = value
    return tree


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("resume", "somewhere"), ("compile", True), ("logger.csv._target_", "other"), ("paths.cache", "/elsewhere"),
        ("names.group", "mine"), ("names.experiment", "e"), ("trainer.devices", 2), ("trainer.accelerator", "cuda"),
        ("data.num_workers", 3), ("data.store", "ram"), ("callbacks.progress.refresh", 1.0), ("sweep.name", "s"),
    ],
)  # fmt: skip
def test_what_a_run_does_not_depend_on_leaves_its_folder(config, path, value):
    assert config_hash(changed(config, path, value)) == config_hash(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1), ("scale", 3), ("trainer.max_steps", 7), ("trainer.precision", "32-true"), ("optimizer.lr", 0.5),
        ("data.batch_size", 3), ("names.data", "t91"), ("data.root", "/elsewhere"), ("eval", ["set5"]),
        ("protocol", "rgb"), ("loss.mse.weight", 2.0), ("model.channels", 1 + 2),
    ],
)  # fmt: skip
def test_what_a_run_depends_on_makes_it_another(config, path, value):
    assert config_hash(changed(config, path, value)) != config_hash(config)


def test_every_irrelevant_key_is_one_of_the_configuration(config):
    for path in IRRELEVANT:
        node = config
        for part in path.split("."):
            assert part in node, path
            node = node[part]


def test_the_order_of_keys_does_not_count_nor_does_what_an_experiment_left_of_a_loss(config):
    turned = dict(reversed(config.items()))
    turned["loss"] = {**config["loss"], "perceptual": {"weight": 0.1}}
    assert config_hash(turned) == config_hash(config)
    assert len(config_hash(config)) == 12
    assert config["loss"].keys() == {"mse"}  # what is given stays as it is


def test_the_state_of_a_folder(tmp_path: Path):
    assert state_of(tmp_path / "nowhere").status == "new"
    (tmp_path / "config.yaml").write_text("seed: 1")
    assert state_of(tmp_path).status == "unfinished"
    for status, expected in (("running", "unfinished"), ("failed", "unfinished"), ("finished", "finished")):
        (tmp_path / "results.json").write_text(json.dumps({"status": status, "validation": None}))
        assert state_of(tmp_path).status == expected
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
