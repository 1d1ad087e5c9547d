import pytest
import torch

from sr_lightning.losses.perceptual import PerceptualLoss
from sr_lightning.losses.weighted_sum import WeightedSum

CAFFE = "data/weights/vgg19_caffe_conv1_1-conv3_4.pth"


@pytest.mark.parametrize(("criterion", "power"), [("l1", 1), ("mse", 2)])
def test_weighted_sum_over_layers(criterion, power):
    layers = {"conv2_2": 0.5, "relu3_1": 2.0}
    loss = PerceptualLoss(layers=layers, criterion=criterion, weights="random")
    sr, hr = torch.rand(2, 2, 3, 16, 16)

    found, target = loss.features(sr), loss.features(hr)
    expected = sum(weight * (found[layer] - target[layer]).abs().pow(power).mean() for layer, weight in layers.items())

    torch.testing.assert_close(loss(sr, hr), expected)
    assert loss(hr, hr) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_reaches_sr_alone(channels):
    torch.manual_seed(0)
    loss = PerceptualLoss(layers={"conv3_1": 1.0}, weights="random")
    sr, hr = (torch.rand(1, channels, 16, 16, requires_grad=True) for _ in range(2))

    loss(sr, hr).backward()

    assert sr.grad.isfinite().all()
    assert sr.grad.abs().max() > 0
    assert hr.grad is None
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_float32_under_autocast():
    loss = PerceptualLoss(layers={"conv2_1": 1.0}, weights="random")
    sr, hr = torch.rand(2, 1, 3, 16, 16)

    with torch.autocast("cpu", torch.bfloat16):
        value = loss(sr, hr)

    assert value.dtype == torch.float32
    assert value.shape == ()
    torch.testing.assert_close(value, loss(sr, hr), rtol=0.02, atol=0)


def test_real_features_see_blur_where_mse_does_not(shared):
    """The point of the loss: of two images at the same squared distance it prefers the sharp one."""
    loss = PerceptualLoss(layers={"relu3_4": 1.0}, weights=str(shared / CAFFE))
    row, column = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    hr = 0.5 + 0.4 * torch.sin(row * 1.1 + column * 0.7).sign().expand(1, 3, 48, 48)
    blurred = torch.nn.functional.avg_pool2d(hr, 5, stride=1, padding=2, count_include_pad=False)
    shifted = hr + (blurred - hr).square().mean().sqrt()

    torch.testing.assert_close((shifted - hr).square().mean(), (blurred - hr).square().mean())
    assert loss(blurred, hr) > 2 * loss(shifted, hr)
    assert loss.source == "caffe"


def test_leaves_the_checkpoint_alone():
    loss = WeightedSum(
        terms={"perceptual": PerceptualLoss(layers={"conv1_1": 1.0}, weights="random")},
        weights={"perceptual": 1.0},
    )

    assert loss.state_dict() == {}
    loss.load_state_dict({}, strict=True)


def test_unknown_criterion_is_refused():
    with pytest.raises(ValueError, match=r"criterion must be one of l1, mse; got 'l2'"):
        PerceptualLoss(layers={"conv1_1": 1.0}, criterion="l2", weights="random")
