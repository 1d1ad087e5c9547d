"""What a sweep's launcher or search needs besides the project itself, asked for before anything starts."""

from collections.abc import Mapping
from importlib.util import find_spec
from shutil import which
from typing import Any

from sr_lightning.cli.compose import Tree
from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.trainer_devices import read_devices

# Choices of Hydra's groups that need packages of an extra: the extra, and the packages.
EXTRAS = {
    ("hydra/launcher", "ray"): ("ray", ("ray", "hydra_plugins.hydra_ray_launcher")),
    ("hydra/launcher", "submitit_slurm"): ("slurm", ("submitit", "hydra_plugins.hydra_submitit_launcher")),
    ("hydra/sweeper", "search"): ("search", ("optuna", "hydra_plugins.hydra_optuna_sweeper")),
}


def check_launcher(tree: Tree, choices: Mapping[str, Any]) -> None:
    """Refuse a launcher or a search whose packages are missing, and a cell that a cluster cannot place.

    Args:
        tree: a composed training.
        choices: of its groups.
    """
    for (group, choice), (extra, packages) in EXTRAS.items():
        if choices.get(group) == choice and any(find_spec(package) is None for package in packages):
            raise Refusal(f"{group}={choice} needs packages that are not installed: pip install '.[{extra}]'.")
    launcher = choices.get("hydra/launcher")
    if launcher not in ("ray", "submitit_slurm"):
        return
    if tree["trainer"]["num_nodes"] > 1:
        raise Refusal(
            f"hydra/launcher={launcher} trains each cell on one machine: expected trainer.num_nodes=1, got "
            f"{tree['trainer']['num_nodes']}."
        )
    devices = read_devices(tree["trainer"]["devices"])
    if devices.indices or devices.all_there_are:
        number = f"; trainer.devices={devices.count} asks for as many" if devices.count else ""
        raise Refusal(
            f"hydra/launcher={launcher} chooses each cell's GPUs itself: expected a number in trainer.devices, got "
            f"{tree['trainer']['devices']}{number}."
        )


def check_cluster(choices: Mapping[str, Any]) -> None:
    """Refuse a sweep by SLURM where there is no SLURM.

    Args:
        choices: of the sweep's groups.
    """
    if choices.get("hydra/launcher") == "submitit_slurm" and which("srun") is None:
        raise Refusal(
            "hydra/launcher=submitit_slurm: this machine has no srun; start the sweep on a login node of the cluster, "
            "or leave the launcher out to train on this machine."
        )
