"""ESPCN (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution ...", arXiv 1609.05158)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import in_full_precision


class ESPCN(nn.Module):
    """Three convolutions in LR space, (5, 64) (3, 32) (3, channels * scale^2), and one pixel shuffle.

    tanh as in the paper's best model; zero padding keeps the size (the paper trains on the valid centre).

    Args:
        scale: Upscaling factor.
        channels: 1 for Y (as in the paper) or 3 for RGB.
        width: Filters of the first layer.
        mapping_width: Filters of the second layer.
    """

    def __init__(self, *, scale: int, channels: int = 1, width: int = 64, mapping_width: int = 32) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.extraction = nn.Conv2d(channels, width, 5, padding=2)
        self.mapping = nn.Conv2d(width, mapping_width, 3, padding=1)
        self.reconstruction = nn.Conv2d(mapping_width, channels * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        features = torch.tanh(self.extraction(lr))
        features = torch.tanh(self.mapping(features))
        return F.pixel_shuffle(in_full_precision(self.reconstruction, features), self.scale)
