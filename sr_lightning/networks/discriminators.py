"""Discriminators: SRGAN's, which judges a whole patch, and one that judges every 16 x 16 region.

Both return logits (no sigmoid: the loss has it) in float32, and share SRGAN's eight convolutions.
"""

from torch import Tensor, nn

from sr_lightning.networks.blocks import in_full_precision

# Four stages that each halve the image, rounding up.
STRIDE = 16


class SRGANDiscriminator(nn.Module):
    """The discriminator of SRGAN (Ledig et al. 2017, arXiv 1609.04802): convolutions, then two dense layers.

    The dense layers fix the size of what it can judge.

    Args:
        patch: Side of the square patches in HR pixels.
        channels: Channels of the images.
        width: Filters of the first stage; doubled by each of the next three.
        hidden: Units of the first dense layer.
    """

    def __init__(self, *, patch: int, channels: int = 3, width: int = 64, hidden: int = 1024) -> None:
        super().__init__()
        self.patch = patch
        self.features = _halving_stages(channels=channels, width=width)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(8 * width * (-(-patch // STRIDE)) ** 2, hidden),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.judgement = nn.Linear(hidden, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images `(N, C, patch, patch)` in [0, 1] to logits `(N, 1)`.

        Raises:
            ValueError: The images have another size.
        """
        check_patch(self, images, patch=self.patch)
        return in_full_precision(self.judgement, self.hidden(self.features(images)))


class PatchDiscriminator(nn.Module):
    """SRGAN's convolutions with a map of judgements in place of the dense layers; takes any size.

    Args:
        channels: Channels of the images.
        width: Filters of the first stage; doubled by each of the next three.
    """

    def __init__(self, *, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.features = _halving_stages(channels=channels, width=width)
        self.judgement = nn.Conv2d(8 * width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images `(N, C, H, W)` in [0, 1] to logits `(N, 1, H/16, W/16)`, rounded up."""
        return in_full_precision(self.judgement, self.features(images))


def check_patch(discriminator: nn.Module, images: Tensor, *, patch: int) -> None:
    """Refuses images of another size than the one that a discriminator's dense layers are for.

    Raises:
        ValueError: The images are not `(N, C, patch, patch)`.
    """
    if images.shape[-2:] != (patch, patch):
        height, width = images.shape[-2:]
        raise ValueError(
            f"{type(discriminator).__name__} was built for {patch}x{patch} patches, got {height}x{width}. "
            "Build it with that patch, or use PatchDiscriminator, which takes any size."
        )


def _halving_stages(*, channels: int, width: int) -> nn.Sequential:
    """`(N, channels, H, W)` to `(N, 8*width, H/16, W/16)`: per stage two convolutions, one of stride 2."""
    layers: list[nn.Module] = []
    for out in (width, 2 * width, 4 * width, 8 * width):
        for stride in (1, 2):
            layers.append(nn.Conv2d(channels, out, 3, stride=stride, padding=1))
            # The very first convolution has no normalisation, so that brightness and contrast are seen.
            if len(layers) > 1:
                layers.append(nn.BatchNorm2d(out))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = out
    return nn.Sequential(*layers)
