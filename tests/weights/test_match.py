"""Which layout a file is in, what of it fits, and what is left."""

import pytest
import torch
from torch import nn

from sr_lightning.networks.layout import Layout
from sr_lightning.refusal import Refusal
from sr_lightning.weights.load import facts, listed, load, random_told, summary
from sr_lightning.weights.match import match
from sr_lightning.weights.read import read_weights


@pytest.fixture
def matched(saved):
    """`matched(network, content)`: what of a saved content fits a network."""
    return lambda network, content: match(network, read_weights(saved(content), key="model.pretrained"))


@pytest.mark.parametrize("layout", ["EDSR-PyTorch", "BasicSR"])
def test_a_layout_is_known_by_its_names(edsr, published, matched, layout):
    theirs, ours = edsr(seed=1), edsr(seed=2)
    found = matched(ours, {"params": published(theirs, layout)})
    assert (found.layout.name, found.view.wrapper, found.complete, found.likeness) == (layout, "params", True, 1.0)
    load(ours, found, key="model.pretrained")
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


def test_our_own_names_are_known_and_come_first_in_a_file_of_ours(edsr, matched):
    network = edsr()
    found = matched(network, {"state_dict": {f"network.{name}": each for name, each in network.state_dict().items()}})
    assert (found.layout.name, found.complete) == ("sr_lightning", True)

    class Same(nn.Conv2d):
        layouts = (Layout("theirs"),)

    same = Same(1, 1, 1)
    assert matched(same, same.state_dict()).layout.name == "theirs"
    described = {"params": same.state_dict(), "sr_lightning": {"name": "same", "scale": 2, "model": {"_target_": "S"}}}
    assert matched(same, described).layout.name == "sr_lightning"


def test_averaged_weights_are_preferred(edsr, published, matched):
    raw, averaged, ours = edsr(seed=1), edsr(seed=2), edsr(seed=3)
    content = {"params": published(raw, "BasicSR"), "params_ema": published(averaged, "BasicSR")}
    found = matched(ours, content)
    assert (found.averaged, found.view.wrapper) == (True, "params_ema")
    load(ours, found, key="model.pretrained")
    assert torch.equal(ours.head.weight, averaged.head.weight)
    # What holds more of the network is taken all the same.
    content["params_ema"] = {"conv_first.weight": torch.zeros(8, 3, 3, 3)}
    assert not matched(ours, content).averaged


def test_weights_for_x2_fit_all_but_the_upsampler_of_x4(edsr, published, matched):
    theirs, ours = edsr(scale=2, seed=1), edsr(scale=4, seed=2)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    found = matched(ours, published(theirs, "EDSR-PyTorch"))
    assert found.missing == found.random == ("upsample.2.weight", "upsample.2.bias")
    assert not found.reshaped
    assert not found.unexpected
    load(ours, found, key="model.pretrained")
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, before[name] if name in found.random else theirs.state_dict()[name]), name


def test_tensors_of_another_shape_are_told_with_both_shapes(edsr, published, matched):
    found = matched(edsr(scale=4), published(edsr(scale=3), "EDSR-PyTorch"))
    assert found.reshaped == {
        "upsample.0.weight": ((72, 8, 3, 3), (32, 8, 3, 3)),
        "upsample.0.bias": ((72,), (32,)),
    }
    assert found.missing == ("upsample.2.weight", "upsample.2.bias")
    assert len(found.fitting) + 4 == found.total == len(edsr().state_dict())
    reverse = matched(edsr(scale=2), published(edsr(scale=4), "EDSR-PyTorch"))
    assert reverse.unexpected == ("tail.0.2.weight", "tail.0.2.bias")
    assert not reverse.complete


def test_constants_of_a_layout_are_not_unexpected_and_others_are(edsr, published, matched):
    content = published(edsr(), "EDSR-PyTorch")
    assert content.keys() > {"sub_mean.weight", "add_mean.bias"}
    assert matched(edsr(), content).complete
    content["sub_std.weight"] = torch.ones(1)
    assert matched(edsr(), content).unexpected == ("sub_std.weight",)


def test_half_precision_is_put_into_float32_and_integers_fit_no_weights(edsr, matched):
    theirs, ours = edsr(seed=1), edsr(seed=2)
    half = {name: tensor.half() for name, tensor in theirs.state_dict().items()}
    load(ours, matched(ours, half), key="model.pretrained")
    assert ours.head.weight.dtype == torch.float32
    assert torch.equal(ours.head.weight, theirs.head.weight.half().float())
    quantised = {**half, "head.weight": torch.zeros(8, 3, 3, 3, dtype=torch.int8)}
    assert list(matched(ours, quantised).reshaped) == ["head.weight"]


@pytest.mark.parametrize("counted", [True, False])
def test_counters_of_batches_are_neither_missed_nor_unexpected(matched, counted):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    content = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    assert matched(network, content).complete
    plain = nn.Sequential(nn.Conv2d(1, 2, 3))
    content = {"0.weight": torch.zeros(2, 1, 3, 3), "0.bias": torch.zeros(2)}
    assert matched(plain, content | ({"1.num_batches_tracked": torch.tensor(0)} if counted else {})).complete


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_nan_is_refused_by_the_files_own_name(edsr, published, matched, value):
    content = published(edsr(), "BasicSR")
    content["conv_after_body.bias"] = torch.full((8,), value)
    with pytest.raises(Refusal, match=r"weights.pth holds NaN or infinity in conv_after_body.bias; nothing"):
        load(edsr(), matched(edsr(), content), key="model.pretrained")


@pytest.mark.parametrize("pixels", [1, 2, 255])
def test_files_of_another_range_of_pixels_are_brought_to_ours(edsr, published, matched, pixels):
    network = edsr()
    content = published(network, "EDSR-PyTorch")
    factor = 255 / pixels
    content["head.0.weight"] = content["head.0.weight"] * factor
    for name in ("tail.1.weight", "tail.1.bias", "sub_mean.bias", "add_mean.bias"):
        content[name] = content[name] / factor
    found = matched(edsr(seed=2), content)
    assert (found.complete, found.converted) == (True, pixels != 255)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(found.fitting[name], tensor, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("name", "value"), [("sub_mean.bias", 0.0), ("add_mean.weight", 2.0)])
def test_a_file_made_for_other_constants_does_not_fit(edsr, published, matched, name, value):
    content = published(edsr(), "EDSR-PyTorch")
    content[name] = torch.full_like(content[name], value)
    found = matched(edsr(), content)
    assert (found.other_constants, found.complete) == ((name,), False)
    assert not found.random


def test_of_two_networks_that_fit_alike_both_are_named(edsr, matched):
    first, second = edsr(seed=1).state_dict(), edsr(seed=2).state_dict()
    assert matched(edsr(), {"student": first, "teacher": second}).rivals == ("teacher",)
    # The same weights twice are no question, nor is a network of another size, nor averaged weights.
    assert matched(edsr(), {"student": first, "best": first}).rivals == ()
    assert matched(edsr(), {"small": edsr(depth=1).state_dict(), "large": second}).view.wrapper == "large"
    found = matched(edsr(), {"student": first, "net_g_ema": second})
    assert (found.rivals, found.view.wrapper) == ((), "net_g_ema")


def test_settings_are_read_off_the_file_by_the_layout(edsr, published, matched):
    found = matched(edsr(depth=2), published(edsr(depth=5, width=12), "BasicSR"))
    assert {key: found.settings[key] for key in ("depth", "width", "channels")} == {
        "depth": 5, "width": 12, "channels": 3,
    }  # fmt: skip
    # Of another network that shares a name, nothing is to be read.
    assert matched(edsr(), {"tail.1.weight": torch.ones(1)}).settings == {}
    assert matched(edsr(), edsr().state_dict()).settings == {}


def test_a_file_without_a_tensor_matches_nothing(edsr, matched):
    assert matched(edsr(), {"epoch": 3}) is None


def test_what_was_loaded_is_told(edsr, published, matched):
    found = matched(edsr(scale=4), {"params": published(edsr(scale=3), "BasicSR")})
    sha256 = found.file.sha256
    assert summary(found) == f"14 of 18 tensors from weights.pth (BasicSR names, params, sha256 {sha256})"
    assert facts(found) == {
        "file": "weights.pth", "sha256": sha256, "layout": "BasicSR", "wrapper": "params", "averaged": False,
        "matched": 14, "missing": 2, "unexpected": 0, "reshaped": 2,
        "names": {
            "missing": ["upsample.2.weight", "upsample.2.bias"], "unexpected": [],
            "reshaped": {
                "upsample.0.weight": [[72, 8, 3, 3], [32, 8, 3, 3]], "upsample.0.bias": [[72], [32]],
            },
        },
        "random": ["upsample.0.weight", "upsample.0.bias", "upsample.2.weight", "upsample.2.bias"],
    }  # fmt: skip
    assert random_told(found)[1:3] == ["upsample.0.bias (72 in the file, 32 here)", "upsample.2.weight"]
    assert listed(list("abcdef"), most=4) == "a, b, c, d and 2 more"
    assert listed(list("abcd"), most=4) == "a, b, c, d"
