import re
from collections.abc import Callable
from typing import Any

import pytest

from sr_lightning.cli import launchers

# Hushed by the command line, whose filters pytest takes away.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/\w+' is validated against ConfigStore")


@pytest.mark.parametrize(
    ("arguments", "package", "line"),
    [
        (("hydra/launcher=ray",), "ray", "hydra/launcher=ray needs packages .*: pip install '\\.\\[ray\\]'"),
        (("hydra/launcher=submitit_slurm",), "hydra_plugins.hydra_submitit_launcher", "'\\.\\[slurm\\]'"),
        (("hparams_search=learning_rate",), "optuna", "hydra/sweeper=search needs .* '\\.\\[search\\]'"),
    ],
)
def test_a_missing_extra_is_named_before_anything_starts(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], package: str, line: str
):
    monkeypatch.setattr(launchers, "find_spec", lambda name: None if name == package else object())
    assert re.search(line, refusal("-m", "seed=1,2", "sweep.estimate=false", *arguments))


def test_a_cell_on_several_machines_is_refused(refusal: Callable[..., str]):
    line = refusal("-m", "seed=1,2", "sweep.estimate=false", "hydra/launcher=submitit_slurm", "trainer.num_nodes=2")
    assert "trains each cell on one machine: expected trainer.num_nodes=1, got 2" in line


def test_a_run_that_is_no_sweep_needs_no_slurm(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launchers, "which", lambda name: None)
    assert not command("train", "hydra/launcher=submitit_slurm").error


def test_slurm_is_looked_for_before_anything_starts(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launchers, "which", lambda name: None)
    line = refusal("-m", "seed=1,2", "sweep.estimate=false", "hydra/launcher=submitit_slurm")
    assert line.startswith("hydra/launcher=submitit_slurm: this machine has no srun; start the sweep on a login node")


@pytest.mark.parametrize(
    ("devices", "line"),
    [
        ("[1]", r"expected a number in trainer.devices, got \[1\]; trainer.devices=1 asks for as many"),
        ("'0,1'", r"got 0,1; trainer.devices=2 asks for as many"),
        ("-1", r"expected a number in trainer.devices, got -1\.$"),
    ],
)
@pytest.mark.parametrize("launcher", ["ray", "submitit_slurm"])
def test_very_gpus_mean_nothing_where_a_cluster_chooses_them(
    refusal: Callable[..., str], launcher: str, devices: str, line: str
):
    arguments = ("-m", "seed=1,2", "sweep.estimate=false", f"hydra/launcher={launcher}", f"trainer.devices={devices}")
    refused = refusal(*arguments)
    assert refused.startswith(f"hydra/launcher={launcher} chooses each cell's GPUs itself: ")
    assert re.search(line, refused)
