"""SRCNN, its relatives and ESPCN: published names, and what some ports do otherwise."""

import pytest
import torch
from torch import nn

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srcnn_subpixel import SRCNNSubpixel

KINDS = ("weight", "bias")


def test_names_in_published_files_of_srcnn(check_layouts):
    arguments = {"channels": 3, "width": 10, "mapping_width": 6, "mapping_kernel": 1}

    [names] = check_layouts(SRCNN(scale=3, **arguments), arguments)

    assert names == {f"conv{number}.{kind}" for number in (1, 2, 3) for kind in KINDS}


def test_names_in_published_files_of_espcn(check_layouts):
    arguments = {"channels": 3, "width": 10, "mapping_width": 6}

    [names] = check_layouts(ESPCN(scale=3, **arguments), arguments)

    assert names == {f"{layer}.{kind}" for layer in ("first_part.0", "first_part.2", "last_part.0") for kind in KINDS}


@pytest.mark.parametrize("network", [SRCNN, SRCNNSubpixel])
def test_weights_start_by_the_deviation_that_is_asked_for(network):
    torch.manual_seed(0)

    made = network(scale=2, deviation=0.01)

    for layer in (made.extraction, made.mapping, made.reconstruction):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert not layer.bias.any()


def test_srcnn_normalises_what_goes_in_and_gives_back_what_comes_out():
    torch.manual_seed(0)
    plain, normalised = (
        SRCNN(scale=2, width=4, mapping_width=4),
        SRCNN(scale=2, width=4, mapping_width=4, mean=0.4, std=0.2),
    )
    normalised.load_state_dict(plain.state_dict())
    lr = torch.rand(1, 1, 8, 8)

    with torch.no_grad():
        features = plain.extraction((imresize(lr, 2) - 0.4) / 0.2).relu()
        expected = 0.2 * plain.reconstruction(plain.mapping(features).relu()) + 0.4
        assert torch.allclose(normalised(lr), expected, atol=1e-6)
        assert not torch.allclose(plain(lr), expected, atol=1e-2)


def test_srcnn_without_weights_gives_the_mean():
    network = SRCNN(scale=2, width=4, mapping_width=4, mean=0.4, std=0.2)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(network(torch.rand(1, 1, 4, 4)), torch.full((1, 1, 8, 8), 0.4))


def test_espcn_with_a_sigmoid_stays_within_the_range():
    torch.manual_seed(0)
    network = ESPCN(scale=2, width=8, mapping_width=8, output="sigmoid")
    with torch.no_grad():
        network.reconstruction.weight.mul_(1000)

    sr = network(torch.rand(1, 1, 8, 8))

    assert 0 <= sr.min() < 0.1
    assert 0.9 < sr.max() <= 1


def test_espcn_refuses_another_output():
    with pytest.raises(ValueError, match="output must be one of linear, sigmoid; got 'tanh'"):
        ESPCN(scale=2, output="tanh")
