"""ESRGAN's discriminator in the style of VGG (Wang et al. 2018, arXiv 1809.00219)."""

from typing import ClassVar

from torch import Tensor, nn

from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.discriminators import check_patch
from sr_lightning.networks.layout import Layout

# Five stages that each halve the image, rounding down.
_STAGES = 5
STRIDE = 2**_STAGES


class VGGDiscriminator(nn.Module):
    """Five stages of a 3x3 and a halving 4x4 convolution with batch normalisation, then two dense layers.

    The dense layers fix the size of what it can judge: 128x128 in the paper.

    Args:
        patch: Side of the square patches in HR pixels.
        channels: Channels of the images.
        width: Filters of the first stage; doubled by each of the next three.
        hidden: Units of the first dense layer.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            name="BasicSR VGGStyleDiscriminator",
            rename=(
                (r"stages\.(\d)\.convolution\.(weight|bias)", r"conv\1_0.\2"),
                (r"stages\.(\d)\.halving\.weight", r"conv\1_1.weight"),
                (r"stages\.(\d)\.convolution_norm\.(\w+)", r"bn\1_0.\2"),
                (r"stages\.(\d)\.halving_norm\.(\w+)", r"bn\1_1.\2"),
                (r"hidden\.(weight|bias)", r"linear1.\1"),
                (r"judgement\.(weight|bias)", r"linear2.\1"),
            ),
        ),
    )

    def __init__(self, *, patch: int = 128, channels: int = 3, width: int = 64, hidden: int = 100) -> None:
        super().__init__()
        self.patch = patch
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.stages = nn.Sequential(
            *(
                _Stage(inside, outside, first=number == 0)
                for number, (inside, outside) in enumerate(zip([channels, *widths], widths, strict=False))
            )
        )
        self.hidden = nn.Linear(widths[-1] * (patch // STRIDE) ** 2, hidden)
        self.activation = nn.LeakyReLU(0.2)
        self.judgement = nn.Linear(hidden, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images `(N, C, patch, patch)` in [0, 1] to logits `(N, 1)`.

        Raises:
            ValueError: The images have another size.
        """
        check_patch(self, images, patch=self.patch)
        features = self.stages(images).flatten(1)
        return in_full_precision(self.judgement, self.activation(self.hidden(features)))


class _Stage(nn.Module):
    """`(N, inside, H, W)` to `(N, outside, H/2, W/2)`, rounding down.

    The very first convolution has no normalisation but a bias, so that brightness and contrast are seen.
    """

    def __init__(self, inside: int, outside: int, *, first: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inside, outside, 3, padding=1, bias=first)
        self.convolution_norm = nn.Identity() if first else nn.BatchNorm2d(outside)
        self.halving = nn.Conv2d(outside, outside, 4, stride=2, padding=1, bias=False)
        self.halving_norm = nn.BatchNorm2d(outside)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> Tensor:
        features = self.activation(self.convolution_norm(self.convolution(features)))
        halved: Tensor = self.activation(self.halving_norm(self.halving(features)))
        return halved
