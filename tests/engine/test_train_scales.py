"""A network for several scales, from its yaml to the final table."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.train import train

NETWORK = '''
import torch
from torch import nn
from torch.nn import functional as F


class Several(nn.Module):
    """A body that all scales share, and a tail for each."""

    def __init__(self, *, scale: int, scales: list[int], channels: int) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.body = nn.Conv2d(channels, 8, 3, padding=1)
        self.tails = nn.ModuleDict({str(s): nn.Conv2d(8, channels * s * s, 3, padding=1) for s in scales})

    def forward(self, lr: torch.Tensor, scale: int | None = None) -> torch.Tensor:
        scale = scale or self.scale
        return F.pixel_shuffle(self.tails[str(scale)](torch.relu(self.body(lr))).float(), scale)
'''
YAML = """# A network for several scales.
_target_: network_for_several_scales.Several
scale: ${scale}
scales: ${data.scales}
channels: 3
spec: {scales: [2, 3, 4], min_size: 1, multiple: 1, multi_scale: true}
"""


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "network_for_several_scales.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "network_for_several_scales", raising=False)
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "several.yaml").write_text(YAML)
    return tmp_path / "conf"


def test_each_step_trains_one_scale_and_validation_has_its_own(
    conf: Path, tiny_arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    arguments = [text for text in tiny_arguments("edsr_baseline") if not text.startswith("model")]
    several = ["model=several", "data.scales=[2,3]", "data.lr_patch=12", "data.hr_patch=null", "trainer.max_steps=6"]
    config = Composer("train", config_dirs=[conf]).compose([*arguments, *several]).tree
    results = train(OmegaConf.create(config), tmp_path / "run")
    assert results["status"] == "finished", results["error"]
    assert results["validation"]["images"] == 3
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["sr_lightning"]["scales"] == [2, 3]
    assert results["protocol"]["border"] == 2
    # Half of 12^2 x (2^2 + 3^2) pixels for each of 6 steps of 2 samples.
    assert results["hr_pixels"] == 6 * 2 * 144 * 13 / 2
    start = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    momentum = start["optimizer_states"][0]["state"]
    # Body, then the tails of scale 2 and 3, each with weight and bias: Adam has moments of what was trained.
    assert [bool(momentum[number]["exp_avg"].abs().sum()) for number in range(6)] == [True] * 6
