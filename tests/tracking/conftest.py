"""wandb away from the home directory and from any account; a server of our own to talk to."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tracking.wandb_server import WandbServer


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep wandb out of the home directory, and any account out of the test."""
    folder = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A W&B server that runs of this process and of its children talk to."""
    import wandb

    with WandbServer() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        # wandb reads its environment once.
        wandb.teardown()
        yield running
        wandb.teardown()


@pytest.fixture
def sync(server: WandbServer, home: Path) -> Callable[..., str]:
    """`sync(folder)` is the command `wandb sync FOLDER`; returns what it said."""

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("wandb"), "sync", *arguments],
            capture_output=True, text=True, timeout=60, check=True, cwd=home,
        )  # fmt: skip
        return done.stderr

    return run
