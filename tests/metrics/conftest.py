import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def vector_pair() -> tuple[Tensor, Tensor]:
    """The deterministic pair of protocol.md, section 1.3, as `(1, 3, 48, 40)` uint8."""
    i, j, c = np.meshgrid(np.arange(48), np.arange(40), np.arange(3), indexing="ij")
    first = ((i * 5 + j * 3 + i * j * (c + 1)) % 256).astype(np.uint8)
    second = np.clip(first.astype(int) + ((3 * i + 5 * j + 7 * c) % 11) - 5, 0, 255).astype(np.uint8)
    assert (first.sum(), second.sum()) == (720960, 720967)
    return _to_tensor(first), _to_tensor(second)


def _to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
