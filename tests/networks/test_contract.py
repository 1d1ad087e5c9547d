"""What every trainable network promises, whatever its paper."""

import pytest
import torch

from sr_lightning.networks import blocks


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5)])
def test_any_size_and_scale(build, scale, size):
    network = build(scale=scale, channels=3).eval()
    lr = torch.rand(2, 3, *size)

    sr = network(lr)

    assert sr.shape == (2, 3, scale * size[0], scale * size[1])
    assert sr.dtype == torch.float32
    assert sr.isfinite().all()
    assert (network.scale, network.channels) == (scale, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_reaches_every_parameter(build, channels):
    torch.manual_seed(0)
    network = build(scale=2, channels=channels)

    network(torch.rand(2, channels, 9, 8)).square().mean().backward()

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A convolution's bias before batch normalisation is subtracted again: only rounding is left of it.
        assert parameter.grad.abs().max() > 0, name


def test_state_dict_round_trip_holds_parameters_and_statistics_only(build):
    torch.manual_seed(0)
    first, second = build(scale=3, channels=3), build(scale=3, channels=3)
    first(torch.rand(2, 3, 8, 8))

    second.load_state_dict(first.state_dict(), strict=True)

    lr = torch.rand(1, 3, 6, 7)
    assert torch.equal(first.eval()(lr), second.eval()(lr))
    learned = {name for name, _ in first.named_parameters()}
    extra = {name for name in first.state_dict() if name not in learned}
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in extra)


def test_last_layer_runs_in_float32_under_autocast(build):
    torch.manual_seed(0)
    network = build(scale=2, channels=3).eval()
    kinds = torch.nn.Conv2d | torch.nn.ConvTranspose2d
    last = [module for module in network.modules() if isinstance(module, kinds)][-1]
    seen = []
    last.register_forward_hook(lambda layer, inputs, output: seen.append((inputs[0], output)))

    with torch.autocast("cpu", torch.bfloat16):
        sr = network(torch.rand(1, 3, 8, 8))

    [(features, output)] = seen
    exact = type(last).forward(last, features.float())
    assert sr.dtype == output.dtype == torch.float32
    assert torch.equal(output, exact)
    # What is after it keeps the precision: rounding it to bf16 would be an error of 2e-3.
    assert not torch.equal(sr, sr.bfloat16().float())


def test_the_test_above_notices_a_missing_island(build, monkeypatch):
    network = build(scale=2, channels=3).eval()
    monkeypatch.setitem(type(network).forward.__globals__, "in_full_precision", lambda layer, x: layer(x))

    with pytest.raises(AssertionError):
        test_last_layer_runs_in_float32_under_autocast(lambda **_: network)


def test_autocast_stays_close_to_float32(build):
    torch.manual_seed(0)
    network = build(scale=2, channels=3).eval()
    lr = torch.rand(1, 3, 12, 12)

    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(lr)

    # Untrained outputs of EDSR have a spread of some hundredths, others of tenths.
    assert (mixed - network(lr)).abs().max() < 0.02


def test_channels_last_survives(build):
    torch.manual_seed(0)
    network = build(scale=2, channels=3).eval()
    lr = torch.rand(2, 3, 10, 9)
    expected = network(lr)

    network = network.to(memory_format=torch.channels_last)
    sr = network(lr.to(memory_format=torch.channels_last))

    torch.testing.assert_close(sr, expected, atol=2e-5, rtol=1e-4)
    # Colours stay side by side, also in what a network has cropped.
    assert sr.stride(1) == 1


def test_exports_with_free_height_and_width(build):
    network = build(scale=2, channels=1).eval()
    height, width = torch.export.Dim("height", min=2, max=512), torch.export.Dim("width", min=2, max=512)

    program = torch.export.export(network, (torch.rand(1, 1, 12, 16),), dynamic_shapes=({2: height, 3: width},))

    lr = torch.rand(1, 1, 9, 21)
    torch.testing.assert_close(program.module()(lr), network(lr))
    assert "autocast" not in str(program.graph)


def test_counts_work_without_storage(build):
    network = build(scale=2, channels=3).eval()
    network.to("meta")

    assert network(torch.rand(1, 3, 8, 8, device="meta")).shape == (1, 3, 16, 16)


def test_island_follows_the_weights(build):
    layer = torch.nn.Conv2d(2, 3, 1).double()

    assert blocks.in_full_precision(layer, torch.rand(1, 2, 4, 4)).dtype == torch.float64
