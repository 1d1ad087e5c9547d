import socket
import time
import urllib.request

import pytest
import torch
from torch import nn
from torchvision.models import vgg16, vgg19

from sr_lightning.networks import feature_weights
from sr_lightning.networks.features import VGGFeatures

CAFFE = "data/weights/vgg19_caffe_conv1_1-conv3_4.pth"
# Where torchvision's own networks have these layers.
TRUNCATED = {
    "vgg16": (vgg16, {"conv2_2": 8, "relu3_3": 16, "pool4": 24}),
    "vgg19": (vgg19, {"conv3_4": 17, "relu5_4": 36}),
}


@pytest.fixture
def empty_hub(tmp_path, monkeypatch):
    """Torch hub without a file, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*arguments, **keywords):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize("backbone", ["vgg16", "vgg19"])
def test_equal_to_torchvisions_own_layers(backbone, tmp_path):
    torch.manual_seed(0)
    factory, layers = TRUNCATED[backbone]
    whole = factory(weights=None).eval()
    torch.save(whole.features.state_dict(prefix="features."), tmp_path / "own.pth")
    images = torch.rand(2, 3, 32, 48)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

    features = VGGFeatures(backbone=backbone, layers=list(layers), weights=str(tmp_path / "own.pth"))
    found = features(images)

    assert list(found) == list(layers)
    for layer, length in layers.items():
        # Copied, because torchvision's own activations work in place on the layer before.
        expected = whole.features[:length]((images - mean) / deviation)
        torch.testing.assert_close(found[layer], expected)
    assert features.source == str(tmp_path / "own.pth")
    # Nothing deeper than what was asked for is kept.
    assert len(features.stages) == max(layers.values())


def test_before_and_after_the_activation():
    features = VGGFeatures(layers=["conv2_1", "relu2_1"], weights="random")

    found = features(torch.rand(1, 3, 8, 8))

    assert found["conv2_1"].min() < 0
    assert torch.equal(found["relu2_1"], found["conv2_1"].clamp(min=0))


def test_y_is_replicated():
    features = VGGFeatures(layers=["relu1_2"], weights="random")
    luma = torch.rand(1, 1, 8, 8)

    assert torch.equal(features(luma)["relu1_2"], features(luma.repeat(1, 3, 1, 1))["relu1_2"])


def test_caffes_input_is_bgr_on_0_to_255_minus_its_mean(shared):
    path = shared / CAFFE
    features = VGGFeatures(layers=["conv1_1"], weights=str(path))
    held = torch.load(path, weights_only=True)
    images = torch.rand(1, 3, 6, 6)
    bgr = 255 * images[:, [2, 1, 0]] - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    expected = nn.functional.conv2d(bgr, held["features.0.weight"], held["features.0.bias"], padding=1)

    torch.testing.assert_close(features(images)["conv1_1"], expected, atol=1e-3, rtol=1e-4)
    assert features.source == "caffe"


def test_a_named_convention_wins_over_the_files_name(shared):
    path = str(shared / CAFFE)
    features = VGGFeatures(layers=["conv1_1"], weights=path, convention="torchvision")

    assert features.source == path
    assert features.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_a_layer_deeper_than_the_file_is_refused_by_name(shared):
    with pytest.raises(ValueError, match=r"does not hold conv5_4\. Layers it holds: conv1_1, .*relu3_4, pool3\."):
        VGGFeatures(layers=["conv3_4", "conv5_4"], weights=str(shared / CAFFE))


def test_another_networks_file_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.rand(64, 3, 9, 9)}, tmp_path / "srcnn.pth")

    with pytest.raises(ValueError, match=r"does not hold conv1_1\. Layers it holds: none"):
        VGGFeatures(layers=["conv1_1"], weights=str(tmp_path / "srcnn.pth"))


def test_a_file_that_is_no_state_dict_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("not weights")
    torch.save(torch.rand(3), tmp_path / "tensor.pth")

    with pytest.raises(ValueError, match=r"text\.pth is not a file of tensors"):
        VGGFeatures(layers=["conv1_1"], weights=str(tmp_path / "text.pth"))
    with pytest.raises(ValueError, match=r"tensor\.pth holds a Tensor; expected a state dict"):
        VGGFeatures(layers=["conv1_1"], weights=str(tmp_path / "tensor.pth"))


def test_a_missing_file_is_refused():
    with pytest.raises(FileNotFoundError, match=r"No file with vgg19's weights at imagnet"):
        VGGFeatures(layers=["conv1_1"], weights="imagnet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["conv5_5"]}, r"a layer of vgg19 must be one of conv1_1, .* got 'conv5_5'; did you mean"),
        ({"layers": ["conv3_4"], "backbone": "vgg16"}, r"a layer of vgg16 .* got 'conv3_4'"),
        ({"layers": []}, r"at least one layer"),
        ({"layers": ["conv1_1"], "backbone": "vgg91"}, r"backbone .* got 'vgg91'; did you mean 'vgg19'"),
        ({"layers": ["conv1_1"], "convention": "cafe"}, r"convention .* did you mean 'caffe'"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VGGFeatures(weights="random", **arguments)


def test_images_too_small_are_refused():
    features = VGGFeatures(layers=["pool2"], weights="random")

    assert features(torch.rand(1, 3, 4, 4))["pool2"].shape == (1, 128, 1, 1)
    with pytest.raises(ValueError, match=r"at least 4x4, got 9x3"):
        features(torch.rand(1, 3, 9, 3))


def test_frozen_and_not_in_the_owners_state_dict():
    owner = nn.ModuleDict({"features": VGGFeatures(layers=["relu2_2"], weights="random"), "own": nn.Linear(2, 2)})
    before = owner["features"](torch.ones(1, 3, 8, 8))["relu2_2"]

    owner.train()
    state = owner.state_dict()
    found = owner.load_state_dict(state, strict=True)

    assert list(state) == ["own.weight", "own.bias"]
    assert found.missing_keys == found.unexpected_keys == []
    assert not owner["features"].training
    assert not owner["features"].stages.training
    assert all(not parameter.requires_grad for parameter in owner["features"].parameters())
    assert torch.equal(owner["features"](torch.ones(1, 3, 8, 8))["relu2_2"], before)
    # A key that is really missing is still noticed.
    del state["own.bias"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"own\.bias\""):
        owner.load_state_dict(state, strict=True)


def test_moves_with_its_owner():
    owner = nn.Sequential(VGGFeatures(layers=["conv1_1"], weights="random")).to(torch.float64)

    assert owner[0](torch.rand(1, 3, 4, 4, dtype=torch.float64))["conv1_1"].dtype == torch.float64


def test_random_is_the_same_every_time_and_leaves_the_runs_numbers_alone():
    images = torch.rand(1, 3, 16, 16)
    torch.manual_seed(7)
    first = VGGFeatures(layers=["conv3_1"], weights="random")
    after = torch.rand(3)
    torch.manual_seed(7)
    second = VGGFeatures(layers=["conv3_1"], weights="random")

    torch.manual_seed(7)
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(first(images)["conv3_1"], second(images)["conv3_1"])
    # He's initialisation keeps the spread from layer to layer.
    assert 0.1 < first(images)["conv3_1"].std() < 10
    assert first.source == "random"


@pytest.mark.parametrize(("backbone", "file"), [("vgg16", "vgg16-397923af.pth"), ("vgg19", "vgg19-dcbb9e9d.pth")])
@pytest.mark.parametrize("weights", ["imagenet", "auto"])
def test_imagenet_that_cannot_be_had_says_what_to_put_where(empty_hub, backbone, file, weights):
    with pytest.raises(FileNotFoundError) as caught:
        VGGFeatures(backbone=backbone, layers=["conv1_1"], weights=weights)

    message = str(caught.value)
    assert f"Put {file}" in message
    assert f"into {empty_hub}" in message
    assert "weights=PATH" in message
    assert "no network in tests" in message


def test_imagenet_never_falls_back(empty_hub):
    with pytest.raises(FileNotFoundError):
        VGGFeatures(layers=["conv1_1"], weights="imagenet", random_fallback=True)


def test_auto_falls_back_loudly_where_that_is_allowed(empty_hub):
    with pytest.warns(UserWarning, match=r"RANDOM VGG19 FEATURES.*Put vgg19-dcbb9e9d\.pth"):
        features = VGGFeatures(layers=["conv1_1"], weights="auto", random_fallback=True)

    assert features.source == "random"


def test_a_broken_file_in_the_cache_is_named(empty_hub):
    empty_hub.mkdir(parents=True)
    (empty_hub / "vgg19-dcbb9e9d.pth").write_bytes(b"half a download")

    with pytest.raises(FileNotFoundError, match=r"Put vgg19-dcbb9e9d\.pth"):
        VGGFeatures(layers=["conv1_1"], weights="imagenet")


@pytest.mark.parametrize("weights", ["imagenet", "auto"])
def test_imagenet_comes_from_torch_hubs_cache(empty_hub, weights):
    whole = VGGFeatures(layers=["conv2_1"], weights="random")
    published = {
        f"features.{number}.{kind}": torch.full_like(whole.stages.get_parameter(f"{layer}.{kind}"), 0.01)
        for number, layer in [(0, "conv1_1"), (2, "conv1_2"), (5, "conv2_1")]
        for kind in ("weight", "bias")
    }
    empty_hub.mkdir(parents=True)
    torch.save(published, empty_hub / "vgg19-dcbb9e9d.pth")

    features = VGGFeatures(layers=["conv2_1"], weights=weights)

    assert features.source == "imagenet"
    assert torch.equal(features.stages.conv2_1.bias, torch.full((128,), 0.01))


def test_a_server_that_never_answers_does_not_hang(empty_hub, monkeypatch):
    monkeypatch.setattr(feature_weights, "_SECONDS_TO_ANSWER", 0.2)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *arguments, **keywords: time.sleep(5))
    start = time.monotonic()

    with pytest.raises(FileNotFoundError, match=r"no answer within 0\.2 seconds"):
        VGGFeatures(layers=["conv1_1"], weights="imagenet")

    assert time.monotonic() - start < 4
    assert socket.getdefaulttimeout() is None
