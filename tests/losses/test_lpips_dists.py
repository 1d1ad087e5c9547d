"""The two losses with torchmetrics' networks, on random backbones: the real ones are not on every machine."""

import pytest
import torch
from torchmetrics.functional.image import (
    deep_image_structure_and_texture_similarity,
    learned_perceptual_image_patch_similarity,
)

from sr_lightning.losses.dists import DISTSLoss
from sr_lightning.losses.lpips import LPIPSLoss
from sr_lightning.losses.weighted_sum import WeightedSum

SIDE = 36


@pytest.fixture
def images():
    torch.manual_seed(0)
    hr = torch.rand(2, 3, SIDE, SIDE)
    return (hr + 0.1 * torch.randn_like(hr)).clamp(0, 1), hr


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips_is_torchmetrics_of_the_same_pair(planted_backbones, images, backbone):
    expected = learned_perceptual_image_patch_similarity(*images, net_type=backbone, normalize=True)
    assert LPIPSLoss(backbone=backbone)(*images).item() == pytest.approx(expected.item(), rel=1e-5)


def test_dists_is_torchmetrics_of_the_same_pair(planted_backbones, images):
    expected = deep_image_structure_and_texture_similarity(*images, reduction="mean")
    assert DISTSLoss()(*images).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.fixture(params=["lpips", "dists"])
def loss(planted_backbones, request):
    return LPIPSLoss(backbone="alex") if request.param == "lpips" else DISTSLoss()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_that_of_the_value(loss, images, channels):
    """Against differences along a direction: a graph that stopped halfway would show."""
    sr, hr = (image[:, :channels] for image in images)
    sr = sr.clone().requires_grad_()
    loss(sr, hr).backward()
    # Up the gradient, where the difference is far above rounding.
    direction, step = sr.grad / sr.grad.norm(), 1e-3
    with torch.no_grad():
        slope = (loss(sr + step * direction, hr) - loss(sr - step * direction, hr)).item() / (2 * step)
    assert slope == pytest.approx(sr.grad.norm().item(), rel=0.1)
    assert hr.grad is None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in loss.parameters())


def test_descent_goes_down(loss, images):
    sr, hr = images[0].clone().requires_grad_(), images[1]
    optimizer = torch.optim.Adam([sr], lr=5e-3)
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        value = loss(sr, hr)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.8 * values[0]


def test_values_outside_the_range_keep_their_gradient(loss, images):
    sr = (images[0] + 1).requires_grad_()
    loss(sr, images[1]).backward()
    assert sr.grad.abs().max() > 0


def test_float32_under_autocast(loss, images):
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(*images)
    assert torch.equal(value, loss(*images))
    assert value.dtype == torch.float32


def test_built_once_and_out_of_checkpoints(loss, images, monkeypatch):
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    both = WeightedSum(terms={"term": loss}, weights={"term": 1.0})
    both.train()
    assert both(*images)[0].item() == pytest.approx(loss(*images).item())
    assert both.state_dict() == {}
    both.load_state_dict({}, strict=True)
    assert both(*images)[0].item() == pytest.approx(loss(*images).item())


def test_without_the_backbone_it_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr("sr_lightning.networks.feature_weights._expect_answer", refuse)
    for make, file in (
        (lambda: LPIPSLoss(backbone="alex"), "alexnet-owt-7be5be79.pth"),
        (LPIPSLoss, "vgg16-397923af.pth"),
        (DISTSLoss, "vgg16-397923af.pth"),
    ):
        with pytest.raises(FileNotFoundError, match=f"Put {file} .* into {tmp_path}/hub/checkpoints"):
            make()
    with pytest.raises(ValueError, match="backbone must be one of alex, vgg; got 'squeeze'"):
        LPIPSLoss(backbone="squeeze")


def test_what_they_cannot_see_is_refused(loss):
    loss.check_images(channels=1, height=32, width=32)
    with pytest.raises(ValueError, match="got 5 channels"):
        loss.check_images(channels=5, height=64, width=64)
    with pytest.raises(ValueError, match="got 30x64"):
        loss.check_images(channels=3, height=30, width=64)
