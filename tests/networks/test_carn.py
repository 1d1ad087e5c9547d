"""CARN and CARN-M: their parameters, their cascades by hand, and their published names."""

import pytest
import torch
from torch.nn import functional as F

from sr_lightning.networks.carn import CARN, Cascade

CARN_ARGUMENTS = {"groups": 1, "recursive": False}
CARN_M_ARGUMENTS = {"groups": 4, "recursive": True}


# papers.md, without the 24 of their frozen mean shifts.
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"scale": 4, "scales": [2, 3, 4], **CARN_M_ARGUMENTS}, 414_787),
        ({"scale": 4, "scales": [2, 3, 4], **CARN_ARGUMENTS}, 1_591_939),
        ({"scale": 2, **CARN_ARGUMENTS}, 964_163),
        ({"scale": 3, **CARN_ARGUMENTS}, 1_148_803),
        ({"scale": 4, **CARN_ARGUMENTS}, 1_111_875),
    ],
)
def test_has_the_parameters_of_the_authors(arguments, expected):
    with torch.device("meta"):
        network = CARN(**arguments)

    assert sum(each.numel() for each in network.parameters()) == expected


@pytest.mark.parametrize("recursive", [False, True])
def test_a_cascade_sees_all_that_came_before(recursive):
    torch.manual_seed(0)
    cascade = Cascade(width=4, depth=2, recursive=recursive, make_unit=lambda: torch.nn.Conv2d(4, 4, 3, padding=1))
    x = torch.rand(1, 4, 5, 5)
    first, last = cascade.units[0], cascade.units[-1]
    assert (first is last) == recursive

    one = first(x)
    fused = F.relu(cascade.fusions[0](torch.cat([x, one], 1)))
    two = last(fused)

    torch.testing.assert_close(cascade(x), F.relu(cascade.fusions[1](torch.cat([x, one, two], 1))))


def test_groups_are_mixed_by_a_third_convolution():
    plain, efficient = (CARN(scale=2, width=8, groups=groups).body.units[0].units[0] for groups in (1, 4))

    assert [layer.kernel_size for layer in plain.layers[::2]] == [(3, 3), (3, 3)]
    assert [(layer.kernel_size, layer.groups) for layer in efficient.layers[::2]] == [
        ((3, 3), 4),
        ((3, 3), 4),
        ((1, 1), 1),
    ]


def test_scales_share_all_but_the_upsampler():
    network = CARN(scale=2, scales=[2, 3, 4], width=8, groups=2)
    lr = torch.rand(1, 3, 5, 6)

    assert [network(lr, scale).shape[2:] for scale in (2, 3, 4)] == [(10, 12), (15, 18), (20, 24)]
    assert torch.equal(network(lr), network(lr, 2))
    with pytest.raises(ValueError, match="a network for scales 2, 3, 4 has no part for scale 8"):
        network(lr, 8)


def test_mean_colour_goes_in_and_comes_out():
    network = CARN(scale=2, width=8)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)
    seen = []
    network.head.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))

    sr = network(torch.ones(1, 3, 2, 2))

    assert sr[0, :, 0, 0].tolist() == pytest.approx([0.4488, 0.4371, 0.4040])
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([0.5512, 0.5629, 0.5960])


@pytest.mark.parametrize(
    ("chosen", "units", "parts"), [(CARN_ARGUMENTS, (1, 2, 3), (0, 2)), (CARN_M_ARGUMENTS, (1,), (0, 2, 4))]
)
def test_names_in_published_files(check_layouts, chosen, units, parts):
    arguments = {"channels": 3, "width": 8, "scales": [2, 3, 4], **chosen}

    [several] = [layout for layout in CARN.layouts if layout.name == "CARN-pytorch"]
    [names] = check_layouts(CARN(scale=2, **arguments), arguments, layouts=[several])

    layers = [f"b{block}.b{unit}.body.{part}" for block in (1, 2, 3) for unit in units for part in parts]
    layers += [f"b{block}.c{number}.body.0" for block in (1, 2, 3) for number in (1, 2, 3)]
    layers += ["entry", "c1.body.0", "c2.body.0", "c3.body.0", "exit"]
    layers += ["upsample.up2.body.0", "upsample.up3.body.0", "upsample.up4.body.0", "upsample.up4.body.3"]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize(("scale", "parts"), [(2, [0]), (3, [0]), (4, [0, 3])])
def test_names_in_files_of_one_scale(check_layouts, scale, parts):
    arguments = {"channels": 3, "width": 8, "scales": [scale], **CARN_ARGUMENTS}
    [alone] = [layout for layout in CARN.layouts if layout.name == "CARN-pytorch, one scale"]

    [names] = check_layouts(CARN(scale=scale, **arguments), arguments, layouts=[alone])

    written = {name for name in names if name.startswith("upsample.")}
    assert written == {f"upsample.up.body.{part}.{kind}" for part in parts for kind in ("weight", "bias")}


def test_frozen_convolutions_of_the_mean_are_made_for_files():
    network = CARN(scale=2, width=8)
    made = CARN.layouts[0].to_file(network.state_dict())
    assert made["sub_mean.shifter.bias"].tolist() == pytest.approx([-0.4488, -0.4371, -0.4040])
    assert torch.equal(made["add_mean.shifter.bias"], -made["sub_mean.shifter.bias"])
