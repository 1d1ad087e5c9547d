"""RCAN against spandrel's, its attention by hand, and its published names."""

import pytest
import torch

from sr_lightning.networks.rcan import RCAN, ChannelAttention

ARGUMENTS = {"channels": 3, "width": 8, "groups": 2, "depth": 3, "reduction": 4}


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_equals_spandrels(equals_spandrels, scale):
    network = RCAN(scale=scale, **ARGUMENTS)

    equals_spandrels("RCAN", network, network.layouts[0], torch.rand(2, 3, 9, 11))


def test_attention_weighs_whole_channels():
    torch.manual_seed(0)
    attention = ChannelAttention(width=8, reduction=2)
    features = torch.rand(2, 8, 3, 4)

    weights = attention(features) / features

    torch.testing.assert_close(weights, weights[..., :1, :1].expand_as(weights))
    assert ((weights > 0) & (weights < 1)).all()
    # What it does not see: where in the image the values stand.
    mixed = features.flatten(2)[..., torch.randperm(12)].view_as(features)
    torch.testing.assert_close(attention(mixed) / mixed, weights)


def test_an_attention_without_channels_is_refused():
    with pytest.raises(ValueError, match="width >= reduction, got width 8 and reduction 16"):
        RCAN(scale=2, width=8)


def test_mean_colour_goes_in_and_comes_out():
    network = RCAN(scale=2, **ARGUMENTS)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    seen = []
    network.head.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))

    sr = network(torch.ones(1, 3, 2, 2))

    assert sr[0, :, 0, 0].tolist() == pytest.approx([0.4488, 0.4371, 0.4040])
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([255 * 0.5512, 255 * 0.5629, 255 * 0.5960])


def test_names_in_published_files(check_layouts):
    official, basicsr = check_layouts(RCAN(scale=4, **ARGUMENTS), ARGUMENTS)

    blocks = [(group, block) for group in (0, 1) for block in (0, 1, 2)]
    parts = ("body.0", "body.2", "body.3.conv_du.0", "body.3.conv_du.2")
    layers = [f"body.{group}.body.{block}.{part}" for group, block in blocks for part in parts]
    layers += ["head.0", "body.0.body.3", "body.1.body.3", "body.2", "tail.0.0", "tail.0.2", "tail.1"]
    assert official == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    parts = ("rcab.0", "rcab.2", "rcab.3.attention.1", "rcab.3.attention.3")
    layers = [f"body.{group}.residual_group.{block}.{part}" for group, block in blocks for part in parts]
    layers += ["conv_first", "body.0.conv", "body.1.conv", "conv_after_body", "upsample.0", "upsample.2", "conv_last"]
    assert basicsr == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
