"""SRCNN's three layers in LR space with ESPCN's sub-pixel output: as cheap as ESPCN, as plain as SRCNN."""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import in_full_precision, initialise_normal


class SRCNNSubpixel(nn.Module):
    """9x9, 1x1 and 5x5 convolutions on the LR image, the last to scale^2 channels, then a pixel shuffle.

    SRCNN (arXiv 1501.00092) spends its work on upsampled pixels; here all of it happens before upsampling,
    as in ESPCN (arXiv 1609.05158). Not a published network.

    Args:
        scale: Upscaling factor.
        channels: 1 for Y or 3 for RGB.
        width: Filters of the first layer.
        mapping_width: Filters of the second layer.
        deviation: Of the weights at the start, N(0, deviation); None for PyTorch's default.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 1,
        width: int = 64,
        mapping_width: int = 32,
        deviation: float | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.extraction = nn.Conv2d(channels, width, 9, padding=4)
        self.mapping = nn.Conv2d(width, mapping_width, 1)
        self.reconstruction = nn.Conv2d(mapping_width, channels * scale**2, 5, padding=2)
        if deviation is not None:
            initialise_normal(self, deviation)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        features = F.relu(self.extraction(lr))
        features = F.relu(self.mapping(features))
        return F.pixel_shuffle(in_full_precision(self.reconstruction, features), self.scale)
