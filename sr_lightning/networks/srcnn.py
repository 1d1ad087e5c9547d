"""SRCNN (Dong et al. 2016, "Image Super-Resolution Using Deep Convolutional Networks", arXiv 1501.00092)."""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.blocks import in_full_precision


class SRCNN(nn.Module):
    """Three convolutions on the bicubically upsampled image: 9-5-5 (the paper's best) or 9-1-5 (its base).

    Two differences from the paper: zero padding keeps the size (the paper trains on the valid centre), and
    the weights start as PyTorch's default, not as N(0, 0.001), which took the paper 8e8 samples to leave.

    Args:
        scale: Upscaling factor.
        channels: 1 for Y (as in the paper) or 3 for RGB.
        width: Filters of the first layer.
        mapping_width: Filters of the second layer.
        mapping_kernel: Side of the second layer's filters: 5 for 9-5-5, 1 for 9-1-5; odd.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 1,
        width: int = 64,
        mapping_width: int = 32,
        mapping_kernel: int = 5,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.extraction = nn.Conv2d(channels, width, 9, padding=4)
        self.mapping = nn.Conv2d(width, mapping_width, mapping_kernel, padding=mapping_kernel // 2)
        self.reconstruction = nn.Conv2d(mapping_width, channels, 5, padding=2)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        features = F.relu(self.extraction(imresize(lr, self.scale)))
        features = F.relu(self.mapping(features))
        return in_full_precision(self.reconstruction, features)
