"""`hydra/sweeper=cells`. Hydra imports this file at every start: nothing heavy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from sr_lightning.sweeps.manifest import read_manifest


class CellsSweeper(Sweeper):
    """Hands a launcher, whichever it is, the cells of a manifest.

    They have been expanded, composed and checked before: those that cannot be trained, and those that are there twice,
    are not among them.

    Args:
        manifest: the file that lists them.
        params: further swept keys, for yamls; `cli.sweep` has read them.
    """

    def __init__(self, *, manifest: str, params: Mapping[str, Any]) -> None:
        self.manifest = Path(manifest)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher that Hydra says."""
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the cells of the manifest, in its order; the arguments are those that it was made of."""
        cells = read_manifest(self.manifest).cells
        returned = self.launcher.launch([cell.overrides for cell in cells], initial_job_idx=0)
        for job in returned:
            # Raises the error of a job that failed.
            _ = job.return_value
        return [returned]
