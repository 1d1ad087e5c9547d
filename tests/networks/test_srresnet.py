"""SRResNet as others have it, and its published names."""

import pytest
import torch
from torch import nn

from sr_lightning.networks.srresnet import SRResNet


def test_tanh_stays_within_the_range():
    torch.manual_seed(0)
    network = SRResNet(scale=2, width=8, depth=1, output="tanh")
    with torch.no_grad():
        network.tail.weight.mul_(1000)

    sr = network(torch.rand(1, 3, 8, 8))

    assert 0 <= sr.min() < 0.1
    assert 0.9 < sr.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"after_trunk": "instance_norm"}, "after_trunk must be one of batch_norm, prelu; got 'instance_norm'"),
        ({"momentum": 2.0}, "momentum must be a share from 0 to 1; got 2.0"),
        ({"output": "sigmoid"}, "output must be one of linear, tanh; got 'sigmoid'"),
    ],
)
def test_refuses_other_variants(arguments, message):
    with pytest.raises(ValueError, match=message):
        SRResNet(scale=2, **arguments)


@pytest.mark.parametrize(("scale", "stages"), [(2, 1), (4, 2), (8, 3)])
def test_names_in_published_files(check_layouts, scale, stages):
    arguments = {"channels": 3, "width": 8, "depth": 5, "after_trunk": "prelu"}
    network = SRResNet(scale=scale, **arguments)
    [layout] = [each for each in network.layouts if each.name == f"leftthomas SRGAN, x{scale}"]

    [names] = check_layouts(network, arguments, layouts=[layout])

    convolutions = ["block1.0", *(f"block{block}.conv{index}" for block in range(2, 7) for index in (1, 2)), "block7.0"]
    convolutions += [*(f"block8.{stage}.conv" for stage in range(stages)), f"block8.{stages}"]
    slopes = ["block1.1", *(f"block{block}.prelu" for block in range(2, 7)), "block7.1"]
    slopes += [f"block8.{stage}.prelu" for stage in range(stages)]
    norms = [f"block{block}.bn{index}" for block in range(2, 7) for index in (1, 2)]
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert names == {
        *(f"{layer}.{kind}" for layer in convolutions for kind in ("weight", "bias")),
        *(f"{layer}.weight" for layer in slopes),
        *(f"{layer}.{kind}" for layer in norms for kind in statistics),
    }


def test_batch_normalisation_as_a_tutorial_has_it():
    network = SRResNet(scale=4, width=8, depth=1, momentum=0.2, upsample_norm=True)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]

    # Two of the block, that behind it, and one before each pixel shuffle.
    assert [norm.num_features for norm in norms] == [8, 8, 8, 32, 32]
    assert {norm.momentum for norm in norms} == {0.2}
    assert [type(layer).__name__ for layer in list(network.upsample)[:4]] == [
        "Conv2d",
        "BatchNorm2d",
        "PixelShuffle",
        "PReLU",
    ]
