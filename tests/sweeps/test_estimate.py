"""How long the cells of a sweep will take."""

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.resolve import on_its_own
from sr_lightning.sweeps import estimate as module
from sr_lightning.sweeps.device import Device
from sr_lightning.sweeps.estimate import STARTING, Outlook, Task, estimate, scored_pixels, time_for_all
from sr_lightning.sweeps.pace import Measured, kind_of

CPU = Device("cpu (2 cores)", threads=1)


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


@pytest.fixture
def config(composer, tmp_path):
    """Configurations with 2 validation images of 30 x 20 pixels and one to be reported of 40 x 50."""
    for name, size in (("val/a.png", (30, 20)), ("val/b.png", (30, 20)), ("root/Set5/HR/baby.png", (40, 50)),
                       ("train/t.png", (200, 200))):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)
    folders = [f"data.{part}_dir={tmp_path / part}" for part in ("train", "val")]
    places = [f"data.root={tmp_path / 'root'}", f"paths.runs={tmp_path / 'runs'}", f"paths.cache={tmp_path / 'cache'}"]
    same = ["data=folder", *folders, *places, "trainer.max_steps=1000", "trainer.val_every_steps=100"]

    def make(*overrides: str) -> dict:
        return on_its_own(composer.compose([*same, *overrides]).tree)

    return make


@pytest.fixture
def measuring(monkeypatch):
    """Stands for the process that measures: every kind takes a second a step and a millisecond a pixel."""
    asked = []

    def run(command, *, env, **_):
        content = json.loads(Path(command[-2]).read_text())
        asked.append((env, content))
        kinds = {kind: {"step": 1.0, "pixel": 0.001} for kind in content["kinds"]}
        impossible = {kind: "no" for kind, each in content["kinds"].items() if not each["model"].get("width", 1)}
        Path(command[-1]).write_text(json.dumps({"starting": 7.0, "kinds": kinds, "impossible": impossible}))

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_pixels_that_are_scored(config):
    assert scored_pixels(config("model=espcn")) == (1200, 1200 + 2000)


def test_nothing_is_scored_of_images_that_are_not_there_yet(config):
    assert scored_pixels(config("model=espcn", "data.val_dir=null", "data.val=div2k_val")) == (0, 0)


def test_a_measured_cell(config, measuring):
    """1000 steps, ten validations and a report, by hand."""
    assert estimate([Task(config("model=espcn"), 1000)], CPU) == [Outlook(7.0 + 1000 + 10 * 1.2 + 3.2)]


def test_what_is_left_of_cells(config, measuring):
    espcn = config("model=espcn")
    half, done = estimate([Task(espcn, 500), Task(espcn, 0)], CPU)
    assert (half.seconds, done.seconds) == (7.0 + 500 + 5 * 1.2 + 3.2, 0.0)
    assert estimate([Task(espcn, 0)], CPU) == [Outlook(0.0)]
    assert len(measuring) == 1


def test_each_kind_is_measured_once_and_for_good(config, measuring):
    tasks = [Task(config(f"model={model}", f"seed={seed}"), 10) for model in ("espcn", "srcnn") for seed in (1, 2)]
    first = estimate(tasks, CPU)
    assert estimate(tasks, CPU) == first
    [(env, content)] = measuring
    assert set(content["kinds"]) == {kind_of(task.config) for task in tasks}
    assert len(content["kinds"]) == 2
    assert (env["OMP_NUM_THREADS"], env["CUDA_VISIBLE_DEVICES"]) == ("1", "")
    gpu = Device("NVIDIA H100", None, "3")
    estimate(tasks, gpu)
    assert len(measuring) == 2, "another device"
    assert measuring[1][0]["CUDA_VISIBLE_DEVICES"] == "3"


def test_a_network_that_cannot_be_built(config, measuring):
    tasks = [Task(config("model=edsr_baseline", f"model.width={width}"), 10) for width in (8, 0)]
    assert [outlook.impossible for outlook in estimate(tasks, CPU)] == [None, "no"]


def test_others_of_the_kind_may_have_fractions_that_their_network_takes(config, measuring):
    scales = [f"model.residual_scale={each}" for each in (0.5, 0.1)]
    tasks = [Task(config("model=edsr_baseline", "model.width=0", scale), 9) for scale in scales]
    assert len({kind_of(task.config) for task in tasks}) == 1
    assert [outlook.impossible for outlook in estimate(tasks, CPU)] == [None, "no"]


def test_an_earlier_run_comes_before_a_measurement(config, measuring, monkeypatch):
    espcn = config("model=espcn")
    monkeypatch.setattr(
        module, "paces_of_runs", lambda runs, kinds, device: {kind_of(espcn): module.Pace(2.0, 0.0, 30.0)}
    )
    assert estimate([Task(espcn, 100)], CPU) == [Outlook(STARTING + 200 + 30)]
    assert not measuring


def test_jobs_elsewhere_are_not_measured_here(config, measuring):
    assert estimate([Task(config("model=espcn"), 10)], None) == [Outlook(None)]
    assert not measuring


@pytest.mark.parametrize("error", [OSError(), subprocess.TimeoutExpired("x", 1), subprocess.CalledProcessError(1, "x")])
def test_a_measurement_that_fails_stops_nothing(config, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert estimate([Task(config("model=espcn"), 10)], CPU) == [Outlook(None)]


@pytest.mark.parametrize(
    ("seconds", "at_once", "expected"),
    [([3.0, 3.0, 3.0], 1, 9.0), ([3.0, 3.0, 3.0], 2, 6.0), ([1.0, 1.0, 5.0], 2, 6.0), ([4.0], 8, 4.0), ([], 2, 0.0)],
)
def test_time_for_all(seconds, at_once, expected):
    assert time_for_all(seconds, at_once=at_once) == expected


@pytest.mark.slow  # two starts of torch
def test_a_real_measurement(config, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 5.0)
    device = Device("cpu (2 cores)", threads=1)
    tiny = ("model.width=8", "data.batch_size=2", "data.hr_patch=24", "data.lr_patch=null", "scale=2")
    small = config("model=edsr_baseline", "model.depth=1", *tiny)
    large = config("model=edsr_baseline", "model.depth=24", *tiny)
    wrong = config("model=edsr_baseline", "model.width=0", *tiny[1:])
    first, second, third = estimate([Task(small, 1000), Task(large, 1000), Task(wrong, 1000)], device)
    assert third.impossible.startswith("model=edsr_baseline cannot be built: ")
    assert (first.impossible, second.impossible, third.seconds) == (None, None, None)
    assert 0 < first.seconds < second.seconds
    kept = Measured(tmp_path / "cache" / "pace.json", device)
    assert kept.starting is not None
    assert kept.starting > 0.5
    assert kept.get(kind_of(large)).step > 2 * kept.get(kind_of(small)).step
