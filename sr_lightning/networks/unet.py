"""U-Net (Ronneberger et al. 2015, "U-Net: Convolutional Networks for ...", arXiv 1505.04597) as an SR network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.geometry import crop_to
from sr_lightning.functional.resize import extend_to, imresize
from sr_lightning.networks.blocks import in_full_precision

# Of the last layer's weights.
LAST_DEVIATION = 1e-3


class UNet(nn.Module):
    """The paper's network on the bicubically upscaled image, to which it adds what bicubic lacks.

    What it is good for: images that look alike from one to the next, as medical ones do, whose wide surroundings tell
    what a pixel should be. Differences from the paper: the convolutions are padded, so that the image keeps its size,
    which is mirrored at the right and at the bottom up to a multiple of 2^depth and cropped again; and the last layer
    gives an image instead of classes. No batch normalisation, as in the paper.

    Args:
        scale: Upscaling factor: any.
        channels: 1 for grey images (the paper's) and Y, 3 for RGB, or the number of bands.
        width: Channels of the finest level; each level below has twice as many.
        depth: Levels below the finest: the paper's 4.
    """

    def __init__(self, *, scale: int, channels: int = 1, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _double(before, after) for before, after in zip([channels, *widths], widths, strict=False)
        )
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * each, each, 2, stride=2) for each in reversed(widths[:-1]))
        self.up = nn.ModuleList(_double(2 * each, each) for each in reversed(widths[:-1]))
        self.tail = nn.Conv2d(width, channels, 1)
        self._initialise()

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        base = imresize(lr, self.scale)
        height, width = base.shape[-2:]
        multiple = 2 ** len(self.up)
        # Two pixels of the coarsest level at least: torch.export makes a graph of its own for sides of one.
        base = extend_to(base, border="reflect", multiple=multiple, smallest=2 * multiple)
        sr = in_full_precision(self.tail, self._features(base)) + base
        return crop_to(sr, height, width)

    @torch.no_grad()
    def _initialise(self) -> None:
        """He's initialisation (the paper's, section 3), and a small last layer: it starts near the bicubic image."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                # A transposed convolution sees each pixel below once: its inputs are its channels.
                inputs = layer.in_channels if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
                nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        nn.init.normal_(self.tail.weight, std=LAST_DEVIATION)

    def _features(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, width, H, W)`; H and W are multiples of 2^depth."""
        skips: list[Tensor] = []
        for level, layers in enumerate(self.down):
            features = layers(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for enlarge, layers in zip(self.enlarge, self.up, strict=True):
            features = layers(torch.cat([skips.pop(), enlarge(features)], dim=1))
        return features


def _double(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(inplace=True),
    )
