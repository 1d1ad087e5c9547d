"""IMDN: its attention where nothing varies, and its published names."""

import pytest
import torch

from sr_lightning.networks.imdn import IMDN


def test_gradient_is_finite_where_nothing_varies():
    # Of a single pixel every standard deviation is zero, at which a root has no gradient.
    network = IMDN(scale=2, width=8, depth=2, reduction=2)

    network(torch.rand(1, 3, 1, 1)).sum().backward()

    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_names_in_published_files(check_layouts):
    arguments = {"channels": 3, "width": 8, "depth": 3, "reduction": 4}

    [names] = check_layouts(IMDN(scale=2, **arguments), arguments)

    parts = (*(f"c{step}" for step in range(1, 6)), "cca.conv_du.0", "cca.conv_du.2")
    layers = ["fea_conv", *(f"IMDB{block}.{part}" for block in (1, 2, 3) for part in parts)]
    layers += ["c.0", "LR_conv", "upsampler.0"]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_refuses_a_width_without_quarters():
    with pytest.raises(ValueError, match="width must be a multiple of 4, got 10"):
        IMDN(scale=2, width=10)


def test_attention_keeps_a_channel_in_narrow_networks():
    assert IMDN(scale=2, width=8).body["block1"].attention[0].out_channels == 1
