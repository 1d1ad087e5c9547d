import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sr_lightning.networks.discriminators import PatchDiscriminator, SRGANDiscriminator
from sr_lightning.networks.unet_discriminator import UNetDiscriminator
from sr_lightning.networks.vgg_discriminator import VGGDiscriminator


@pytest.mark.parametrize("patch", [17, 32, 50])
@pytest.mark.parametrize("channels", [1, 3])
def test_srgan_judges_a_whole_patch(patch, channels):
    discriminator = SRGANDiscriminator(patch=patch, channels=channels, width=4, hidden=8)

    # One image is enough to train on: the last batch normalisation still sees four positions.
    logits = discriminator(torch.rand(1, channels, patch, patch))

    assert logits.shape == (1, 1)


def test_srgan_refuses_another_size_by_name():
    with pytest.raises(ValueError, match=r"built for 32x32 patches, got 48x32.*PatchDiscriminator"):
        SRGANDiscriminator(patch=32, width=4, hidden=8)(torch.rand(1, 3, 48, 32))


@pytest.mark.parametrize(("size", "expected"), [((32, 48), (2, 3)), ((17, 70), (2, 5))])
def test_patch_judges_each_sixteenth(size, expected):
    assert PatchDiscriminator(width=4)(torch.rand(1, 3, *size)).shape == (1, 1, *expected)


def test_the_papers_layers():
    layers = [type(layer).__name__ for layer in SRGANDiscriminator(patch=32).features]
    convolutions = [layer for layer in PatchDiscriminator().features if isinstance(layer, nn.Conv2d)]

    assert layers == ["Conv2d", "LeakyReLU", *(7 * ["Conv2d", "BatchNorm2d", "LeakyReLU"])]
    assert [layer.out_channels for layer in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [layer.stride[0] for layer in convolutions] == 4 * [1, 2]


@pytest.mark.parametrize(
    "discriminator",
    [
        SRGANDiscriminator(patch=32, width=4, hidden=8),
        PatchDiscriminator(width=4),
        UNetDiscriminator(width=4),
        VGGDiscriminator(patch=32, width=4, hidden=8),
    ],
)
def test_float32_logits_and_gradients_everywhere(discriminator):
    images = torch.rand(2, 3, 32, 32, requires_grad=True)

    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(images)
    logits.square().mean().backward()

    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())
    assert images.grad.abs().max() > 0
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_vgg_refuses_another_size_by_name():
    with pytest.raises(ValueError, match=r"built for 64x64 patches, got 48x64.*PatchDiscriminator"):
        VGGDiscriminator(patch=64, width=4, hidden=8)(torch.rand(1, 3, 48, 64))


@pytest.mark.parametrize("size", [(8, 8), (13, 22), (16, 40)])
@pytest.mark.parametrize("channels", [1, 3])
def test_unet_judges_each_pixel(size, channels):
    judge = UNetDiscriminator(width=4, channels=channels)
    assert judge(torch.rand(2, channels, *size)).shape == (2, 1, *size)


def test_unet_normalises_by_the_largest_singular_value():
    torch.manual_seed(0)
    judge = UNetDiscriminator(width=4)
    for _ in range(200):
        judge(torch.rand(1, 3, 8, 8))
    for layer in (*judge.down, *judge.up, *judge.refine):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
    assert torch.linalg.matrix_norm(judge.head.weight.flatten(1), 2).item() != pytest.approx(1, abs=1e-3)


def unet_of_the_publication(state, images):
    """Real-ESRGAN's U-Net, read off its published names: each layer normalised by its own vectors."""

    def layer(number, values, stride=1):
        weight = state.get(f"conv{number}.weight")
        if weight is None:
            weight, u, v = (state[f"conv{number}.weight_{name}"] for name in ("orig", "u", "v"))
            weight = weight / (u @ weight.flatten(1) @ v)
        return F.conv2d(values, weight, state.get(f"conv{number}.bias"), stride=stride, padding=1)

    def up(number, values, skip):
        values = F.interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
        return F.leaky_relu(layer(number, values), 0.2) + skip

    full = F.leaky_relu(layer(0, images), 0.2)
    half = F.leaky_relu(layer(1, full, 2), 0.2)
    quarter = F.leaky_relu(layer(2, half, 2), 0.2)
    eighth = F.leaky_relu(layer(3, quarter, 2), 0.2)
    values = up(6, up(5, up(4, eighth, quarter), half), full)
    for number in (7, 8):
        values = F.leaky_relu(layer(number, values), 0.2)
    return layer(9, values)


def test_unet_under_its_published_names():
    torch.manual_seed(0)
    judge = UNetDiscriminator(width=4).double().eval()
    (layout,) = UNetDiscriminator.layouts
    published = layout.to_published(judge.state_dict())
    assert set(published) == {
        *(f"conv{number}.{name}" for number in (0, 9) for name in ("weight", "bias")),
        *(f"conv{number}.weight_{name}" for number in range(1, 9) for name in ("orig", "u", "v")),
    }
    images = torch.rand(2, 3, 16, 24, dtype=torch.float64)
    torch.testing.assert_close(judge(images), unet_of_the_publication(published, images))
    other = UNetDiscriminator(width=4).double().eval()
    other.load_state_dict(layout.to_ours(list(other.state_dict()), published), strict=True)
    assert torch.equal(other(images), judge(images))


def vgg_of_the_publication(state, images):
    """ESRGAN's discriminator in evaluation mode, read off its published names."""

    def norm(name, values):
        statistics = (state[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(values, *statistics)

    values = F.leaky_relu(F.conv2d(images, state["conv0_0.weight"], state["conv0_0.bias"], padding=1), 0.2)
    values = F.leaky_relu(norm("bn0_1", F.conv2d(values, state["conv0_1.weight"], stride=2, padding=1)), 0.2)
    for stage in range(1, 5):
        for part, stride in ((0, 1), (1, 2)):
            values = F.conv2d(values, state[f"conv{stage}_{part}.weight"], stride=stride, padding=1)
            values = F.leaky_relu(norm(f"bn{stage}_{part}", values), 0.2)
    values = F.leaky_relu(F.linear(values.flatten(1), state["linear1.weight"], state["linear1.bias"]), 0.2)
    return F.linear(values, state["linear2.weight"], state["linear2.bias"])


def test_vgg_under_its_published_names():
    torch.manual_seed(0)
    judge = VGGDiscriminator(patch=64, width=4, hidden=8).double()
    judge(torch.rand(4, 3, 64, 64, dtype=torch.float64))  # statistics that are not those of the beginning
    (layout,) = VGGDiscriminator.layouts
    published = layout.to_published(judge.eval().state_dict())
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(judge(images), vgg_of_the_publication(published, images))
    assert "bn0_0.weight" not in published
    other = VGGDiscriminator(patch=64, width=4, hidden=8).double().eval()
    other.load_state_dict(layout.to_ours(list(other.state_dict()), published), strict=True)
    assert torch.equal(other(images), judge(images))
