import pytest
import torch

from sr_lightning.networks.edsr import EDSR


def test_residual_scale_acts():
    torch.manual_seed(0)
    network = EDSR(scale=2, width=8, depth=1, residual_scale=0.0)
    features = torch.rand(1, 8, 4, 4)

    assert torch.equal(network.body[0](features), features)
    network.body[0].residual_scale = 0.1
    block = network.body[0]
    by_hand = features + 0.1 * block.conv2(block.conv1(features).clamp(min=0))
    torch.testing.assert_close(block(features), by_hand)


def test_mean_colour_goes_in_and_comes_out():
    network = EDSR(scale=2, width=8, depth=1)
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.zeros_(network.tail.bias)

    sr = network(torch.rand(1, 3, 4, 4))

    assert torch.equal(sr, torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1).expand(1, 3, 8, 8))


def test_works_inside_on_0_to_255():
    network = EDSR(scale=2, width=8, depth=1)
    seen = []
    network.head.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))

    network(torch.ones(1, 3, 2, 2))

    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([255 * 0.5512, 255 * 0.5629, 255 * 0.5960], rel=1e-6)


def test_y_network_takes_the_y_of_the_mean():
    mean = EDSR(scale=2, channels=1, width=8, depth=1).mean

    # BT.601: (16 + 65.481 R + 128.553 G + 24.966 B) / 255 of (0.4488, 0.4371, 0.4040).
    assert mean.item() == pytest.approx((16 + 65.481 * 0.4488 + 128.553 * 0.4371 + 24.966 * 0.4040) / 255)


def test_the_mean_of_other_bands_is_that_of_all_colours():
    mean = EDSR(scale=2, channels=5, width=8, depth=1).mean
    assert mean.shape == (1, 5, 1, 1)
    assert mean.flatten().tolist() == pytest.approx([(0.4488 + 0.4371 + 0.4040) / 3] * 5)


def test_names_in_published_files(check_layouts):
    arguments = {"channels": 3, "width": 64, "depth": 2}
    network = EDSR(scale=4, **arguments)

    official, basicsr, mmagic = check_layouts(network, arguments)

    layers = ["head.0", "body.0.body.0", "body.0.body.2", "body.1.body.0", "body.1.body.2", "body.2"]
    layers += ["tail.0.0", "tail.0.2", "tail.1"]
    assert official == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    layers = ["conv_first", "body.0.conv1", "body.0.conv2", "body.1.conv1", "body.1.conv2", "conv_after_body"]
    layers += ["upsample.0", "upsample.2", "conv_last"]
    assert basicsr == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    layers[-3:-1] = ["upsample.0.upsample_conv", "upsample.1.upsample_conv"]
    assert mmagic == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize(("width", "known"), [(64, {"residual_scale": 1.0}), (256, {"residual_scale": 0.1}), (8, {})])
def test_the_factor_on_the_branches_is_assumed_to_be_that_of_the_published_network(width, known):
    # It stands in no file: it is known of the two widths that were published.
    network = EDSR(scale=2, width=width, depth=1)

    for layout in network.layouts:
        assert layout.assumed(layout.to_published(network.state_dict())) == known


def test_frozen_convolutions_of_the_mean_are_made_for_files():
    network = EDSR(scale=2, width=8, depth=1)
    layout = network.layouts[0]
    tensors = layout.to_file(network.state_dict())
    made = {name: tensor for name, tensor in tensors.items() if layout.is_constant(name)}

    assert set(made) == {"sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias"}
    assert made["sub_mean.bias"].tolist() == pytest.approx([-255 * 0.4488, -255 * 0.4371, -255 * 0.4040])
    assert torch.equal(made["sub_mean.bias"], -made["add_mean.bias"])
    assert torch.equal(made["sub_mean.weight"].flatten(1), torch.eye(3))
    # Networks for other than three channels have none.
    grey = EDSR(scale=2, width=8, depth=1, channels=1)
    assert set(layout.to_file(grey.state_dict())) == set(layout.to_published(grey.state_dict()))
