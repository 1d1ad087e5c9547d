import pytest
import torch
from torch import nn

from sr_lightning.networks.discriminators import PatchDiscriminator, SRGANDiscriminator


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
    "discriminator", [SRGANDiscriminator(patch=32, width=4, hidden=8), PatchDiscriminator(width=4)]
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
