"""LapSRN (Lai et al. 2017, "Deep Laplacian Pyramid Networks for Fast and Accurate ...", arXiv 1704.03915)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import in_full_precision

# Of the leaky rectifiers.
SLOPE = 0.2
# Of the first layer's weights, in the authors' code: the first images are hardly more than bilinear ones.
FIRST_DEVIATION = 1e-3


class LapSRN(nn.Module):
    """Doubles the image level by level; each level learns what the upscaled image of the level before lacks.

    `forward` gives the last level, `pyramid` all of them, on which the network is trained (`module=pyramid`).

    The paper's row for scale 3 is its network for scale 4, whose output is then shrunk. Such a network has no level of
    its own to train, so that scale 3 is refused here.

    Args:
        scale: Upscaling factor: 2, 4, 8 or a higher power of two.
        channels: 1 for Y (as in the paper), 3 for RGB, or the number of bands.
        width: Channels of the features.
        depth: Convolutions in each level: 10 in the released networks, 5 in the rows of many tables.
        kernel: Side of the transposed convolutions of the features: 3 in the released networks, 4 in the text of the
            paper and in the rows of many tables (251K parameters at x2, 502K at x4, with a depth of 5).

    Raises:
        ValueError: Another scale or kernel.
    """

    def __init__(self, *, scale: int, channels: int = 1, width: int = 64, depth: int = 10, kernel: int = 3) -> None:
        super().__init__()
        if scale < 2 or scale.bit_count() != 1:
            raise ValueError(f"LapSRN doubles at each level: expected scale 2, 4, 8, ..., got {scale}.")
        if kernel not in (3, 4):
            raise ValueError(f"LapSRN's transposed convolutions have a kernel of 3 or 4, got {kernel}.")
        self.scale = scale
        self.channels = channels
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.levels = nn.ModuleList(
            Level(channels=channels, width=width, depth=depth, kernel=kernel) for _ in range(scale.bit_length() - 1)
        )
        self._initialise()

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        return self.pyramid(lr)[-1]

    def pyramid(self, lr: Tensor) -> list[Tensor]:
        """Maps `lr` to the images of all levels, `(N, C, 2*H, 2*W)`, `(N, C, 4*H, 4*W)`, ..., not clamped."""
        image, features = lr, F.leaky_relu(self.head(lr), SLOPE, inplace=True)
        images: list[Tensor] = []
        for level in self.levels:
            image, features = level(image, features)
            images.append(image)
        return images

    @torch.no_grad()
    def _initialise(self) -> None:
        """He's for convolutions, bilinear interpolation for transposed ones (section 3.3)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
            elif isinstance(layer, nn.ConvTranspose2d):
                _make_bilinear(layer)
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.head.weight, std=FIRST_DEVIATION)


class Level(nn.Module):
    """Features of the next level, and its image: the image of this one upscaled, plus a residual from the features."""

    def __init__(self, *, channels: int, width: int, depth: int, kernel: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True)]
        self.features = nn.Sequential(*layers)
        # The smaller kernel gives a line too many, which is cut off at the right and at the bottom as the authors do.
        self.enlarge = nn.ConvTranspose2d(width, width, kernel, stride=2, padding=kernel - 3)
        self.enlarge_image = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)
        self.residual = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, image: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Doubles the sides of both: `image` `(N, C, H, W)` and `features` `(N, width, H, W)`."""
        height, width = image.shape[-2:]
        features = self.enlarge(self.features(features))[..., : 2 * height, : 2 * width]
        features = F.leaky_relu(features, SLOPE)
        residual = in_full_precision(self.residual, features)
        return in_full_precision(self.enlarge_image, image) + residual, features


def _make_bilinear(layer: nn.ConvTranspose2d) -> None:
    """Each channel is enlarged by itself, by bilinear interpolation."""
    size = layer.kernel_size[0]
    distance = (torch.arange(size) - (size - 1) / 2).abs()
    line = 1 - distance / ((size + 1) // 2)  # 0.5, 1, 0.5 for 3; 0.25, 0.75, 0.75, 0.25 for 4
    nn.init.zeros_(layer.weight)
    for channel in range(layer.out_channels):
        # One group for all channels, or one for each.
        layer.weight[channel, 0 if layer.groups > 1 else channel] = torch.outer(line, line)
