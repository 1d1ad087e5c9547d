"""Distance between the textures of two images (Gatys et al. 2016; Johnson et al. 2016, arXiv 1603.08155)."""

import torch
from torch import Tensor

from sr_lightning.losses.perceptual import PerceptualLoss


class StyleLoss(PerceptualLoss):
    """As `PerceptualLoss`, on the Gram matrices of the features: which occur together, wherever that is.

    `G = F F^T / (C * H * W)` of the features `F` `(C, H*W)` of each layer (Johnson et al., equation 4).
    """

    def compared(self, features: Tensor) -> Tensor:
        """The Gram matrices `(N, C, C)` of features `(N, C, H, W)`, in float32, outside autocast."""
        with torch.autocast(features.device.type, enabled=False):
            columns = features.float().flatten(2)
            gram: Tensor = columns @ columns.mT
            return gram / features.shape[1:].numel()
