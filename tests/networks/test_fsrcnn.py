"""FSRCNN: how it starts, and its published names."""

import math

import pytest

from sr_lightning.networks.fsrcnn import FSRCNN


def test_starts_as_the_paper_says():
    network = FSRCNN(scale=3)

    # He's variance for PReLU: 2 / ((1 + slope^2) * inputs), with 12 channels and 3x3 filters.
    assert network.body[4].weight.std().item() == pytest.approx(math.sqrt(2 / ((1 + 0.25**2) * 12 * 9)), rel=0.1)
    assert network.tail.weight.std().item() == pytest.approx(0.001, rel=0.1)


def test_names_in_published_files(check_layouts):
    arguments = {"channels": 3, "width": 10, "mapping_width": 6, "depth": 3}

    [names] = check_layouts(FSRCNN(scale=2, **arguments), arguments)

    # yjn870's FSRCNN-pytorch: shrinking, mapping and expanding layers in one row, each with its slopes.
    layers = ["first_part.0", *(f"mid_part.{index}" for index in (0, 2, 4, 6, 8)), "last_part"]
    slopes = ["first_part.1.weight", *(f"mid_part.{index}.weight" for index in (1, 3, 5, 7, 9))]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")} | set(slopes)
