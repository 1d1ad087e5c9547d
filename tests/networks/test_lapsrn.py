"""LapSRN: its parameters, where it starts, and its levels."""

import pytest
import torch
from torch.nn import functional as F

from sr_lightning.networks.lapsrn import LapSRN


# As printed: 251K and 502K in CARN's and later tables, 812K (weights without biases) in the TPAMI paper.
@pytest.mark.parametrize(
    ("scale", "depth", "kernel", "biases", "expected"),
    [(2, 5, 4, True, "251"), (4, 5, 4, True, "502"), (4, 10, 3, False, "812")],
)
def test_has_the_parameters_in_print(scale, depth, kernel, biases, expected):
    with torch.device("meta"):
        network = LapSRN(scale=scale, depth=depth, kernel=kernel)

    counted = sum(each.numel() for name, each in network.named_parameters() if biases or not name.endswith("bias"))

    assert str(counted // 1000) == expected


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_starts_near_bilinear_images(kernel, channels):
    torch.manual_seed(0)
    network = LapSRN(scale=4, channels=channels, width=16, kernel=kernel)
    lr = torch.rand(1, channels, 8, 9)

    once, twice = network.pyramid(lr)

    # At the border a transposed convolution sees zeros.
    inner = (..., slice(1, -1), slice(1, -1))
    expected = F.interpolate(lr, size=(16, 18), mode="bilinear")
    assert (once - expected)[inner].abs().max() < 0.05
    assert (twice - F.interpolate(once, size=(32, 36), mode="bilinear"))[inner].abs().max() < 0.05


@pytest.mark.parametrize("kernel", [3, 4])
def test_features_are_enlarged_each_by_itself(kernel):
    layer = LapSRN(scale=2, width=4, kernel=kernel).levels[0].enlarge
    features = torch.zeros(1, 4, 5, 5)
    features[0, 2] = 1

    enlarged = layer(features)

    assert enlarged[0, [0, 1, 3]].abs().max() == 0
    torch.testing.assert_close(enlarged[0, 2, 2:-2, 2:-2], torch.ones_like(enlarged[0, 2, 2:-2, 2:-2]))


def test_each_level_doubles_and_forward_gives_the_last():
    network = LapSRN(scale=8, width=8, depth=1)
    lr = torch.rand(2, 1, 5, 3)

    levels = network.pyramid(lr)

    assert [level.shape for level in levels] == [(2, 1, 10, 6), (2, 1, 20, 12), (2, 1, 40, 24)]
    assert torch.equal(network(lr), levels[-1])


def test_each_level_adds_to_the_image_of_the_level_before():
    torch.manual_seed(0)
    network = LapSRN(scale=4, width=8, depth=1)
    lr = torch.rand(1, 1, 5, 3)
    torch.nn.init.zeros_(network.levels[1].residual.weight)

    once, twice = network.pyramid(lr)

    assert torch.equal(twice, network.levels[1].enlarge_image(once))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 3}, "expected scale 2, 4, 8, ..., got 3"),
        ({"scale": 1}, "expected scale 2, 4, 8, ..., got 1"),
        ({"scale": 2, "kernel": 5}, "a kernel of 3 or 4, got 5"),
    ],
)
def test_other_designs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LapSRN(**arguments)
