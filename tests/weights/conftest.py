"""Small networks whose tensors are all different, and files of them as other programs leave them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.networks.edsr import EDSR


@pytest.fixture
def edsr() -> Callable[..., EDSR]:
    """An EDSR of a few channels: `edsr(scale=2, depth=3)`."""

    def build(*, seed: int = 0, **arguments: int) -> EDSR:
        torch.manual_seed(seed)
        return EDSR(**{"scale": 4, "width": 8, "depth": 2, **arguments})

    return build


@pytest.fixture
def published() -> Callable[[nn.Module, str], dict[str, Tensor]]:
    """A network's tensors as a file of a layout has them: `published(network, "BasicSR")`."""

    def tensors(network: nn.Module, layout: str) -> dict[str, Tensor]:
        [chosen] = [each for each in network.layouts if each.name == layout]
        return chosen.to_file(network.state_dict())

    return tensors


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save anything by torch.save: `saved(content)`."""

    def save(content: object, name: str = "weights.pth") -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save
