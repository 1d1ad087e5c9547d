"""Sweeps of Hydra's, in this process, of a task that takes no time. A plugin of the tests that name it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from sr_lightning.yamls import conf_dir
from tests.sweeps.stub_task import run


@pytest.fixture
def sweep(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`sweep("hydra/launcher=ray", "seed=1,2")` runs a sweep of `stub_task.run` below `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    # Jobs import the task by its name.
    monkeypatch.setenv("PYTHONPATH", str(repository))

    def start(*overrides: str) -> Any:
        GlobalHydra.instance().clear()
        hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(conf_dir())))
        searches = any(text.startswith("hparams_search=") for text in overrides)
        sweeper = [] if searches else ["hydra/sweeper=basic"]
        return hydra.multirun("train", run, [*sweeper, *overrides], with_log_configuration=False)

    yield start
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


@pytest.fixture
def cell(tmp_path: Path) -> Callable[[int], Path]:
    """The folder of the cell of a seed."""

    def find(seed: int) -> Path:
        configs = tmp_path.glob("runs/**/.hydra/config.yaml")
        (found,) = (path.parents[1] for path in configs if OmegaConf.load(path).seed == seed)
        return found

    return find
