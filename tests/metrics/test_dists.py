"""DISTS on a random VGG16; the real one is not on every machine."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import dists as torchmetrics_dists

from sr_lightning.metrics.dists import BACKBONE, Dists

# VGG16's convolutions that end a stage: after relu1_2, relu2_2, relu3_3, relu4_3, relu5_3.
STAGE_ENDS = (3, 8, 15, 22, 29)


def l2_pool(features: Tensor) -> Tensor:
    """Every second position of the root of a Hann-weighted mean of squares, as DISTS pools."""
    hann = torch.tensor([0.5, 1.0, 0.5])
    window = torch.outer(hann, hann) / torch.outer(hann, hann).sum()
    kernel = window.expand(features.shape[1], 1, 3, 3)
    squares = F.conv2d(features.square(), kernel, stride=2, padding=1, groups=features.shape[1])
    return (squares + 1e-12).sqrt()


def features_by_hand(image: Tensor, network: torch.nn.Module) -> list[Tensor]:
    """The image and VGG16's features behind each stage, with DISTS' pooling between them."""
    mean, deviation = (
        torch.tensor(each).reshape(1, 3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    found, x = [image], (image - mean) / deviation
    for number, layer in enumerate(network):
        if isinstance(layer, torch.nn.MaxPool2d):
            if number < STAGE_ENDS[-1]:
                x = l2_pool(x)
        else:
            x = F.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
        if number in STAGE_ENDS:
            found.append(x)
    return found


def dists_by_hand(sr: Tensor, hr: Tensor, network: torch.nn.Module, weights: dict[str, Tensor]) -> float:
    """Ding et al. 2020, equations 6 to 8, with the weights that torchmetrics carries."""
    total = weights["alpha"].sum() + weights["beta"].sum()
    similarity, channel = torch.zeros(()), 0
    for first, second in zip(features_by_hand(sr, network), features_by_hand(hr, network), strict=True):
        own = slice(channel, channel + first.shape[1])
        alpha, beta = (weights[name].flatten()[own] / total for name in ("alpha", "beta"))
        channel += first.shape[1]
        x, y = first[0].flatten(1), second[0].flatten(1)
        means = (2 * x.mean(1) * y.mean(1) + 1e-6) / (x.mean(1) ** 2 + y.mean(1) ** 2 + 1e-6)
        covariance = (x * y).mean(1) - x.mean(1) * y.mean(1)
        variances = x.var(1, correction=0) + y.var(1, correction=0)
        similarity = similarity + (alpha * means).sum() + (beta * (2 * covariance + 1e-6) / (variances + 1e-6)).sum()
    return 1 - float(similarity)


def test_the_file_is_the_one_that_torchvision_looks_for() -> None:
    assert torchvision.models.VGG16_Weights.DEFAULT.url == BACKBONE.url


def test_without_the_file_it_says_where_to_put_it_and_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(FileNotFoundError, match=rf"DISTS needs .* put vgg16-397923af\.pth into {tmp_path}"):
        Dists()


def test_equals_the_paper(planted_backbones: Path) -> None:
    torch.manual_seed(0)
    hr = torch.rand(1, 3, 40, 36)
    sr = (hr + 0.2 * torch.randn_like(hr)).clamp(0, 1)
    network = torchvision.models.vgg16(weights=None).features.eval()
    state = torch.load(planted_backbones / "checkpoints" / BACKBONE.name, weights_only=True)
    network.load_state_dict({key.removeprefix("features."): state[key] for key in state if key.startswith("features")})
    with torch.no_grad():
        weights = torch.load(torchmetrics_dists._PATH_WEIGHT_DISTS, weights_only=True)
        expected = dists_by_hand(sr, hr, network, weights)
    assert Dists()(sr, hr) == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("planted_backbones")
def test_is_a_distance_of_clamped_rgb() -> None:
    torch.manual_seed(0)
    dists, hr = Dists(), torch.rand(2, 3, 32, 40)
    sr = hr + 0.3 * torch.randn_like(hr)
    assert dists(hr, hr) == pytest.approx(0.0, abs=1e-5)
    assert dists(sr, hr) > 0.01
    assert dists(sr, hr) == dists(sr.clamp(0, 1), hr)
    single = [dists(sr[i : i + 1], hr[i : i + 1]) for i in range(2)]
    assert dists(sr, hr) == pytest.approx(sum(single) / 2, rel=1e-4)


@pytest.mark.usefixtures("planted_backbones")
def test_images_go_to_the_device_that_it_is_given() -> None:
    dists = Dists(device=torch.device("meta"))
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        dists(torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 40))


@pytest.mark.usefixtures("planted_backbones")
@pytest.mark.parametrize("shape", [(1, 1, 40, 40), (3, 40, 40), (1, 3, 31, 40)])
def test_refuses_grey_and_tiny_images(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    with pytest.raises(ValueError, match=r"DISTS compares RGB images .* sides of at least 32 pixels"):
        Dists()(image, image)
