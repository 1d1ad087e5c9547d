"""Small checkpoints as a run leaves them, and evaluation sets of random pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.data.benchmarks import EvaluationSet
from sr_lightning.engine.build import build_module, build_network
from sr_lightning.functional.resize import downscale_uint8
from sr_lightning.weights.own import EMA_KEY


@pytest.fixture(scope="session")
def save_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save the checkpoint of an untrained network, with what the module adds to it, for some overrides."""

    def save(*overrides: str, ema: bool = False) -> Path:
        torch.manual_seed(0)
        config = Composer("train").compose(overrides).tree
        network = build_network(config["model"])
        module = build_module(config, network=network, precision="32-true")
        content: dict[str, Any] = {"state_dict": module.state_dict()}
        module.on_save_checkpoint(content)
        if ema:
            content[EMA_KEY] = {name: value * 0.5 for name, value in network.state_dict().items()}
        path = tmp_path_factory.mktemp("checkpoint") / "best.ckpt"
        torch.save(content, path)
        return path

    return save


@pytest.fixture(scope="session")
def rgb_checkpoint(save_checkpoint: Callable[..., Path]) -> Path:
    """A network for RGB at x2."""
    return save_checkpoint("model=edsr_baseline", "scale=2", "model.width=4", "model.depth=1", "model.image_skip=true")


@pytest.fixture(scope="session")
def luma_checkpoint(save_checkpoint: Callable[..., Path]) -> Path:
    """A network for Y at x2."""
    return save_checkpoint("model=espcn", "scale=2", "model.width=4", "model.mapping_width=4")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save anything by torch.save: `saved(content, "best.ckpt")`."""

    def save(content: object, name: str) -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def evaluation_set(tmp_path: Path) -> Callable[..., EvaluationSet]:
    """Write `<name>/HR` (one RGB image, one grey, odd sizes) and `<name>/LR_bicubic/x<scale>` under tmp_path/sets."""

    def write(
        name: str = "Set5", *, scale: int = 2, hr: str = "HR", lr: str | None = "LR_bicubic/x{}"
    ) -> EvaluationSet:
        root, hr_files, lr_files = tmp_path / "sets" / name, [], []
        for stem, shape in (("baby", (41, 47, 3)), ("bridge", (45, 39))):
            pixels = np.random.default_rng(len(stem)).integers(0, 256, shape, np.uint8)
            hr_files.append(root / hr / f"{stem}.png")
            hr_files[-1].parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(hr_files[-1])
            if lr is None:
                continue
            planes = torch.from_numpy(pixels.reshape(*shape[:2], -1)).permute(2, 0, 1)[None]
            height, width = (side // scale * scale for side in shape[:2])
            small = downscale_uint8(planes[..., :height, :width], scale)[0].permute(1, 2, 0).numpy()
            lr_files.append(root / lr.format(scale) / f"{stem}x{scale}.png")
            lr_files[-1].parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(small.squeeze()).save(lr_files[-1])
        return EvaluationSet(name, tuple(hr_files), tuple(lr_files) if lr else None)

    return write
