from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor


@pytest.fixture(scope="session")
def read_image() -> Callable[[Path], Tensor]:
    """Reads a file as `(1, C, H, W)` uint8, grey as one channel."""

    def read(path: Path) -> Tensor:
        with Image.open(path) as image:
            pixels = np.atleast_3d(np.array(image))
        return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)

    return read
