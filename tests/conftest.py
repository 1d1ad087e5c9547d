"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest
import torch

# Tests run in several processes on few cores: one thread each is faster than many that fight.
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real benchmark images, oracles and published weights that lie beside the checkout on some machines."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder with benchmark images and oracles (../shared) is not on this machine")
    return folder
