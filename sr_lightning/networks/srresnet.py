"""SRResNet, SRGAN's generator (Ledig et al. 2017, "Photo-Realistic Single Image ...", arXiv 1609.04802)."""

from torch import Tensor, nn

from sr_lightning.networks.blocks import SubpixelUpsampler, in_full_precision


class SRResNet(nn.Module):
    """Residual blocks with batch normalisation and PReLU, one long skip, sub-pixel upsampling.

    The paper's network with one difference: `sr` is meant for [0, 1] and leaves without tanh, where the paper
    trains on [-1, 1]. Each PReLU has one slope for all channels. Scale 3, which the paper does not have, is
    one shuffle of three.

    Args:
        scale: Upscaling factor: 2, 3, 4 (the paper's) or 8.
        channels: 3 for RGB (as in the paper) or 1 for Y.
        width: Channels of the features.
        depth: Residual blocks.
    """

    def __init__(self, *, scale: int, channels: int = 3, width: int = 64, depth: int = 16) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.head = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(width=width) for _ in range(depth)),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )
        self.upsample = SubpixelUpsampler(width=width, scale=scale, activation=nn.PReLU)
        self.tail = nn.Conv2d(width, channels, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        shallow = self.head(lr)
        deep = self.body(shallow) + shallow
        return in_full_precision(self.tail, self.upsample(deep))


class ResidualBlock(nn.Module):
    """`x + bn(conv(prelu(bn(conv(x)))))`."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual: Tensor = self.branch(features)
        return features + residual
