"""Real-ESRGAN's discriminator: a U-Net that judges every pixel (Wang et al. 2021, arXiv 2107.10833, figure 6)."""

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout

_SLOPE = 0.2


class UNetDiscriminator(nn.Module):
    """Three halvings and back, with skips that are added; spectral normalisation on all but the first and last layer.

    A spectral norm estimates the largest singular value of its weight by one power iteration a forward in training; its
    two vectors are buffers, so that a checkpoint goes on exactly.

    Args:
        channels: Channels of the images.
        width: Filters at full size; doubled by each halving.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            name="BasicSR UNetDiscriminatorSN",
            rename=(
                (r"head\.(weight|bias)", r"conv0.\1"),
                (r"judgement\.(weight|bias)", r"conv9.\1"),
                *(
                    (rf"{ours}\.parametrizations\.weight\.{tensor}", f"conv{number}.weight_{theirs}")
                    for number, ours in enumerate(
                        [*(rf"{part}\.{i}" for part in ("down", "up") for i in range(3)), r"refine\.0", r"refine\.1"],
                        start=1,
                    )
                    for tensor, theirs in (("original", "orig"), (r"0\._u", "u"), (r"0\._v", "v"))
                ),
            ),
        ),
    )

    def __init__(self, *, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False))
            for narrow, wide in pairwise(widths)
        )
        self.up = nn.ModuleList(_flat(wide, narrow) for wide, narrow in pairwise(reversed(widths)))
        self.refine = nn.ModuleList([_flat(width, width), _flat(width, width)])
        self.judgement = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images `(N, C, H, W)` in [0, 1], sides of at least 8, to logits `(N, 1, H, W)`."""
        features = F.leaky_relu(self.head(images), _SLOPE)
        skips = []
        for layer in self.down:
            skips.append(features)
            features = F.leaky_relu(layer(features), _SLOPE)
        for layer in self.up:
            skip = skips.pop()
            # To the skip's size, twice its own unless that is odd.
            features = F.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            features = F.leaky_relu(layer(features), _SLOPE) + skip
        for layer in self.refine:
            features = F.leaky_relu(layer(features), _SLOPE)
        return in_full_precision(self.judgement, features)


def _flat(inside: int, outside: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inside, outside, 3, padding=1, bias=False))
