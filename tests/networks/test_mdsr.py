"""MDSR: its scales, its parameters, and its published names."""

import pytest
import torch

from sr_lightning.networks.mdsr import MDSR

SMALL = {"channels": 3, "width": 8, "depth": 2}


@pytest.mark.parametrize(("depth", "expected"), [(16, 3_227_203), (80, 7_953_987)])
def test_has_the_parameters_of_the_authors(depth, expected):
    # papers.md, without the 24 of their frozen mean shifts.
    with torch.device("meta"):
        network = MDSR(scale=2, scales=[2, 3, 4], depth=depth)

    assert sum(each.numel() for each in network.parameters()) == expected


def test_each_scale_has_its_own_ends_and_the_same_body():
    torch.manual_seed(0)
    network = MDSR(scale=4, scales=[2, 3, 4], **SMALL)
    lr = torch.rand(1, 3, 5, 6)

    assert [network(lr, scale).shape[2:] for scale in (2, 3, 4)] == [(10, 12), (15, 18), (20, 24)]
    # Without a scale: the network's own.
    assert torch.equal(network(lr), network(lr, 4))
    network(lr, 3).sum().backward()
    touched = {name for name, each in network.named_parameters() if each.grad is not None}
    assert {name for name in touched if ".x" in name} == {name for name in touched if ".x3." in name}
    assert {name for name, _ in network.named_parameters() if ".x" not in name} <= touched


def test_one_scale_is_the_network_for_several_at_that_scale():
    several, one = MDSR(scale=2, scales=[2, 3, 4], **SMALL), MDSR(scale=3, **SMALL)
    shared = {name: value for name, value in several.state_dict().items() if name in one.state_dict()}
    one.load_state_dict(shared, strict=True)
    lr = torch.rand(1, 3, 5, 6)

    assert torch.equal(one(lr), several(lr, 3))


def test_works_inside_on_0_to_255_with_a_skip_around_the_body():
    torch.manual_seed(0)
    network = MDSR(scale=2, **SMALL)
    torch.nn.init.zeros_(network.body[-1].weight)
    torch.nn.init.zeros_(network.body[-1].bias)
    lr = torch.rand(1, 3, 5, 6)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)

    sr = network(lr)

    features = network.preprocess["x2"](network.head(255 * (lr - mean)))
    torch.testing.assert_close(sr, network.tail(network.upsample["x2"](features)) / 255 + mean)


def test_other_scales_are_refused():
    with pytest.raises(ValueError, match="a network for scales 2, 3 has no part for scale 4"):
        MDSR(scale=4, scales=[2, 3], **SMALL)
    with pytest.raises(ValueError, match="a network for scales 2, 3 has no part for scale 8"):
        MDSR(scale=2, scales=[2, 3], **SMALL)(torch.rand(1, 3, 4, 4), 8)


def test_names_in_published_files(check_layouts):
    network = MDSR(scale=2, scales=[2, 3, 4], **SMALL)
    [names] = check_layouts(network, {**SMALL, "scales": [2, 3, 4]}, layouts=network.layouts)

    layers = [f"pre_process.{s}.{block}.body.{conv}" for s in (0, 1, 2) for block in (0, 1) for conv in (0, 2)]
    layers += [f"body.{block}.body.{conv}" for block in (0, 1) for conv in (0, 2)]
    layers += ["head.0", "body.2", "upsample.0.0", "upsample.1.0", "upsample.2.0", "upsample.2.2", "tail.0"]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize("scales", [[4], [3, 4], [8, 2]])
def test_names_number_the_parts_by_their_place_among_the_scales(check_layouts, scales):
    network = MDSR(scale=scales[0], scales=scales, **SMALL)
    [names] = check_layouts(network, {**SMALL, "scales": scales}, layouts=network.layouts)

    places = {name.split(".")[1] for name in names if name.startswith(("pre_process.", "upsample."))}
    assert places == set(map(str, range(len(scales))))
