"""Small images and a degradation that needs no other room."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor


class EveryNth:
    """LR is each n-th pixel of HR: the place of a patch can be read off its values."""

    def __init__(self, scale: int, name: str | None = None) -> None:
        self.scale = scale
        self.name = name or f"every {scale}th"

    def __call__(self, hr: Tensor) -> Tensor:
        return hr[..., :: self.scale, :: self.scale].contiguous()


@pytest.fixture
def every_nth() -> type[EveryNth]:
    return EveryNth


@pytest.fixture
def save_image() -> Callable[..., Path]:
    """Save an image of random pixels, the same for the same path name, size and mode."""

    def save(path: Path, width: int = 40, height: int = 32, **options: object) -> Path:
        pixels = np.random.default_rng(len(path.name)).integers(0, 256, (height, width, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return save


@pytest.fixture
def folder(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """Four images of different sizes, none a multiple of 2, 3 or 4 on both sides, in a small tree."""
    root = tmp_path / "images"
    for name, width, height in (("a", 41, 33), ("bb", 50, 39), ("sub/ccc", 65, 31), ("sub/dddd", 35, 35)):
        save_image(root / f"{name}.png", width, height)
    return root
