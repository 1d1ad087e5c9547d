"""Which runs take the same time, and what is known of them."""

import json
import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composer
from sr_lightning.sweeps.device import Device
from sr_lightning.sweeps.pace import Measured, Pace, kind_of, paces_of_runs

CPU = Device("cpu (2 cores)", threads=1)
RESULTS = {"status": "finished", "device": "cpu (2 cores)", "threads": 1, "steps": 100, "seconds": 50.0}


@pytest.fixture(scope="module")
def config():
    composer = Composer("train")

    def make(*overrides: str) -> dict:
        return composer.compose(["model=espcn", *overrides]).tree

    return make


@pytest.mark.parametrize(
    "override",
    ["optimizer.lr=0.5", "seed=3", "trainer.max_steps=7", "loss.mse.weight=0.5", "trainer.val_every_steps=3",
     "logger=wandb", "paths.runs=x", "data.num_workers=7"],
)  # fmt: skip
def test_what_costs_no_time_makes_no_kind(config, override):
    assert kind_of(config(override)) == kind_of(config())


@pytest.mark.parametrize(
    "override",
    ["model=srcnn", "scale=2", "loss=perceptual", "data.batch_size=3", "data.lr_patch=11", "trainer.precision=32-true",
     "trainer.devices=2", "module=gan", "degradation=second_order", "compile=true", "module.accumulate=2",
     "module.gradient_clip=1.0"],
)  # fmt: skip
def test_what_costs_time_makes_a_kind(config, override):
    assert kind_of(config(override)) != kind_of(config())


def test_the_phases_of_a_gan_depend_on_its_steps(config):
    gan = "module=gan", "module.pretrain_steps=10"
    assert kind_of(config(*gan, "trainer.max_steps=20")) != kind_of(config(*gan, "trainer.max_steps=30"))


@pytest.fixture
def run(tmp_path, config):
    def make(name: str, *overrides: str, written: float = 1e9, begun: float = 0.0, **results: object) -> Path:
        folder = tmp_path / "runs" / "some" / name
        folder.mkdir(parents=True)
        OmegaConf.save(OmegaConf.create(config(*overrides)), folder / "config.yaml")
        (folder / "results.json").write_text(json.dumps({**RESULTS, **results}))
        os.utime(folder / "results.json", (written, written))
        os.utime(folder / "config.yaml", (begun, begun))
        return folder

    return make


def found(tmp_path, config, device: Device | None = CPU) -> Pace | None:
    kind = kind_of(config())
    return paces_of_runs(tmp_path / "runs", [kind], device).get(kind)


def test_the_newest_run_of_the_same_kind_counts(run, tmp_path, config):
    run("old", written=1e9, seconds=10.0)
    run("new", "optimizer.lr=0.5", written=1e9 + 5, seconds=200.0)
    run("another", "model=srcnn", written=1e9 + 9)
    assert found(tmp_path, config) == Pace(step=2.0)


@pytest.mark.parametrize(
    "results", [{"device": "NVIDIA H100"}, {"threads": 2}, {"steps": 0}, {"seconds": None}, {"seconds": 0.0}]
)
def test_runs_that_tell_nothing(run, tmp_path, config, results):
    run("a", **results)
    assert found(tmp_path, config) is None


def test_for_jobs_elsewhere_any_device_tells(run, tmp_path, config):
    run("a", device="NVIDIA H100", threads=8)
    assert found(tmp_path, config, device=None) == Pace(step=0.5)


def test_threads_do_not_matter_beside_a_gpu(run, tmp_path, config):
    run("a", device="NVIDIA H100", threads=8)
    assert found(tmp_path, config, device=Device("NVIDIA H100", None, "0")) == Pace(step=0.5)


@pytest.mark.parametrize(
    ("begun", "status", "besides"),
    [(1e9 - 57, "finished", 7.0), (1e9 - 57, "failed", None), (1e9 - 20, "finished", None), (0, "finished", None)],
)
def test_what_a_run_took_besides_its_steps(run, tmp_path, config, begun, status, besides):
    run("a", begun=begun, status=status)
    assert found(tmp_path, config) == Pace(step=0.5, besides=besides)


@pytest.mark.parametrize("name", ["results.json", "config.yaml"])
@pytest.mark.parametrize("content", ["", "[1]", "{", "a: [", "model: {}"])
def test_files_of_other_versions_and_of_kills_are_passed_over(run, tmp_path, config, name, content):
    (run("a") / name).write_text(content)
    assert found(tmp_path, config) is None


def test_no_runs_at_all(tmp_path, config):
    assert found(tmp_path, config) is None


def test_measurements_are_kept_by_device_and_added_to(tmp_path):
    path = tmp_path / "cache" / "pace.json"
    assert Measured(path, CPU).get("a") is None
    assert Measured(path, CPU).starting is None
    Measured(path, CPU).add(3.0, {"a": {"step": 1.0, "pixel": 2.0}, "b": {"step": 5.0, "pixel": 6.0}})
    Measured(path, CPU).add(4.0, {"b": {"step": 7.0, "pixel": 8.0}})
    measured = Measured(path, CPU)
    assert (measured.starting, measured.get("a"), measured.get("b")) == (4.0, Pace(1.0, 2.0), Pace(7.0, 8.0))
    assert Measured(path, Device(CPU.name, threads=2)).get("a") is None
