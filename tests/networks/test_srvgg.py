"""SRVGGNetCompact against spandrel's, and its published names."""

import pytest
import torch

from sr_lightning.networks.srvgg import SRVGGNetCompact


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_spandrels(equals_spandrels, scale):
    network = SRVGGNetCompact(scale=scale, width=16, depth=6)

    equals_spandrels("Compact", network, network.layouts[0], torch.rand(2, 3, 11, 14))


def test_names_in_published_files(check_layouts):
    arguments = {"channels": 1, "width": 8, "depth": 2}

    [names] = check_layouts(SRVGGNetCompact(scale=2, **arguments), arguments)

    # Even numbers are convolutions, odd ones slopes.
    layers = {f"body.{index}.{kind}" for index in (0, 2, 4, 6) for kind in ("weight", "bias")}
    assert names == layers | {f"body.{index}.weight" for index in (1, 3, 5)}
