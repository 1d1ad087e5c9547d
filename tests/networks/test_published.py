"""Other people's trained weights give their known PSNR in our networks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.metrics.protocol import get_protocol, prepare, score
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.luma import forward_rgb
from sr_lightning.networks.srcnn import SRCNN

SRCNN_NAMES = {"conv1": "extraction", "conv2": "mapping", "conv3": "reconstruction"}
ESPCN_NAMES = {"first_part.0": "extraction", "first_part.2": "mapping", "last_part.0": "reconstruction"}


def read(path):
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("network", "file", "names"),
    [
        (SRCNN(scale=3), "srcnn_x3_fuyongxu.pth", SRCNN_NAMES),
        (ESPCN(scale=3), "espcn_x3_warkeeper.pth", ESPCN_NAMES),
    ],
)
def test_set5_x3(shared, network, file, names):
    # espcn's file was saved on a GPU.
    theirs = torch.load(shared / "data/weights" / file, map_location="cpu", weights_only=True)
    ours = {names[key.rpartition(".")[0]] + "." + key.rpartition(".")[2]: value for key, value in theirs.items()}
    network.load_state_dict(ours, strict=True)
    protocol = get_protocol("y_float")
    expected = json.loads((shared / "data/oracles/expected.json").read_text())[file]["measured"]["Set5"]["3"]

    scores = []
    for path in sorted((shared / "data/benchmarks/Set5/HR").glob("*.png")):
        lr = read(shared / f"data/benchmarks/Set5/LR_bicubic/x3/{path.stem}x3.png")
        pair = prepare(read(path), lr, protocol=protocol, scale=3)
        with torch.no_grad():
            sr = forward_rgb(network.eval(), pair.lr)
        scores.append(score(sr, pair.hr, protocol=protocol, scale=3).psnr)

    assert len(scores) == 5
    assert np.mean(scores) == pytest.approx(expected, abs=0.01)
