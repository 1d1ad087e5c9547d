"""What a job of this machine gets."""

import subprocess

import pytest

from sr_lightning.engine.devices import device_name
from sr_lightning.sweeps import device as module
from sr_lightning.sweeps.device import Device, Place, place_of

CPU = {"devices": 1, "num_nodes": 1, "accelerator": "cpu"}
POOL = {"jobs": None, "gpus": None}


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 8)
    monkeypatch.setattr(module, "memory", lambda: 64 * 2**30)
    monkeypatch.setattr(module, "visible_gpus", lambda environment: [])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def gpus(monkeypatch):
    monkeypatch.setattr(module, "visible_gpus", lambda environment: ["0", "1", "2", "3"])

    def run(command, **_):
        assert command[-1] == "--id=0"
        return subprocess.CompletedProcess(command, 0, stdout="NVIDIA H100 80GB HBM3\n")

    monkeypatch.setattr(subprocess, "run", run)


def test_the_cpu_has_the_name_that_results_have():
    place = place_of("pool", POOL, trainer=CPU, cells=3)
    assert place == Place(Device(device_name("cpu"), threads=2), at_once=3)
    assert place.device.key == f"{device_name('cpu')}, 2 threads"


def test_hydras_own_launcher_takes_all_cores_for_one_after_the_other():
    assert place_of("basic", {}, trainer=CPU, cells=3) == Place(Device(device_name("cpu"), threads=8), at_once=1)


@pytest.mark.parametrize(("told", "threads"), [("3", 3), ("5,2", 5), ("many", 2), ("", 2)])
def test_a_person_may_say_how_many_threads(monkeypatch, told, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert place_of("pool", POOL, trainer=CPU, cells=3).device.threads == threads


@pytest.mark.parametrize(
    ("trainer", "settings", "cells", "at_once"),
    [({"devices": 1}, POOL, 9, 4), ({"devices": 2}, POOL, 9, 2), ({"devices": 1}, POOL, 3, 3),
     ({"devices": 1}, {"jobs": 2, "gpus": None}, 9, 2)],
)  # fmt: skip
def test_gpus(gpus, trainer, settings, cells, at_once):
    trainer = {"num_nodes": 1, "accelerator": "auto", **trainer}
    place = place_of("pool", settings, trainer=trainer, cells=cells)
    assert place == Place(Device("NVIDIA H100 80GB HBM3", None, "0"), at_once)
    assert place.device.key == "NVIDIA H100 80GB HBM3"


def test_a_gpu_whose_name_cannot_be_had(gpus, monkeypatch):
    def fail(*_, **__):
        raise OSError

    monkeypatch.setattr(subprocess, "run", fail)
    assert place_of("pool", POOL, trainer={**CPU, "accelerator": "auto"}, cells=1).device.name == "GPU"


@pytest.mark.parametrize("launcher", ["ray", "submitit_slurm"])
def test_elsewhere(launcher):
    assert place_of(launcher, {}, trainer=CPU, cells=3) is None
