"""MDSR trained for several scales, and its checkpoint used as any network's of one scale."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.upscaler import load


def test_one_checkpoint_upscales_at_the_scale_that_was_validated(
    run_tiny: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    results = run_tiny("mdsr", tmp_path / "run", "scale=3")

    assert results["status"] == "finished", results["error"]
    assert results["scale"] == 3
    assert results["protocol"]["border"] == 3
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    assert load(path, device="cpu")(image).shape == (27, 33, 3)
    network = load_network(path).network
    assert network(torch.rand(1, 3, 5, 6), 2).shape == (1, 3, 10, 12)
