from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import get_class
from skimage import data
from torch import Tensor


@pytest.fixture(scope="session")
def photograph() -> Tensor:
    """`(1, 3, 240, 264)` in 8-bit levels."""
    pixels = np.ascontiguousarray(data.astronaut()[20:260, 80:344])
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div(255).contiguous()


@pytest.fixture(scope="session")
def configured(repository: Path) -> Callable[..., Any]:
    """Makes the degradation of a yaml, with the values that its paths (`first.noise.grey`) are given."""

    def make(name: str, scale: int = 4, **changes: Any) -> Any:
        arguments = yaml.safe_load((repository / "conf" / "degradation" / f"{name}.yaml").read_text())
        target = get_class(arguments.pop("_target_"))
        arguments["scale"] = scale
        for path, value in changes.items():
            *parents, last = path.split("__")
            node = arguments
            for parent in parents:
                node = node[parent]
            assert last in node, path
            node[last] = value
        return target(**arguments)

    return make
