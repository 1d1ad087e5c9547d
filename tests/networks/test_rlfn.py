"""RLFN: small images, and its published names."""

import pytest
import torch

from sr_lightning.functional.resize import extend_to
from sr_lightning.networks.rlfn import RLFN


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (20, 21)])
def test_small_images_are_mirrored_to_the_size_its_attention_needs(size):
    torch.manual_seed(0)
    network = RLFN(scale=2, width=8, depth=2, attention_width=4)
    lr = torch.rand(1, 3, *size)

    whole = network(extend_to(lr, border="symmetric", smallest=21))

    assert torch.equal(network(lr), whole[..., : 2 * size[0], : 2 * size[1]])


def test_names_in_published_files(check_layouts):
    arguments = {"channels": 3, "width": 8, "inner_width": 6, "depth": 2, "attention_width": 4}

    [names] = check_layouts(RLFN(scale=2, **arguments), arguments)

    parts = ("c1_r", "c2_r", "c3_r", "c5", *(f"esa.conv{name}" for name in ("1", "2", "3", "4", "_f")))
    layers = ["conv_1", *(f"block_{block}.{part}" for block in (1, 2) for part in parts), "conv_2", "upsampler.0"]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_has_the_parameters_of_the_authors_network_for_ntire():
    with torch.device("meta"):
        network = RLFN(scale=4, width=46, inner_width=48, depth=4)

    # papers.md, section 6.1: 0.317 M.
    assert round(sum(each.numel() for each in network.parameters()) / 1e6, 3) == 0.317
