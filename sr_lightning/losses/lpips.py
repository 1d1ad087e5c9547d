"""LPIPS as a loss (Zhang et al. 2018, arXiv 1801.03924), with torchmetrics' network."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from sr_lightning.losses.perceptual import check_colours
from sr_lightning.networks.feature_weights import ensure_imagenet
from sr_lightning.networks.frozen import freeze

Backbone = Literal["alex", "vgg"]
# Torchvision's name of each, and the smallest side that its poolings leave something of.
_BACKBONES = {"alex": ("alexnet", 31), "vgg": ("vgg16", 16)}


class LPIPSLoss(nn.Module):
    """Weighted distances between unit-length features of five layers, version 0.1 of the authors' weights.

    Their advice is `vgg` to train on and `alex` to report: a network trained on the metric that it is reported by looks
    better than it is.

    Outside autocast: features that are nearly equal are subtracted.

    Args:
        backbone: "alex" or "vgg"; torchvision's ImageNet weights, fetched once into torch hub's cache.

    Raises:
        ValueError: Another backbone.
        FileNotFoundError: The backbone is not there and cannot be fetched; says which file to put where.
    """

    # Where the features come from, for results.json.
    source = "imagenet"

    def __init__(self, *, backbone: Backbone = "vgg") -> None:
        super().__init__()
        if backbone not in get_args(Backbone):
            raise ValueError(f"backbone must be one of {', '.join(get_args(Backbone))}; got {backbone!r}.")
        name, self._smallest = _BACKBONES[backbone]
        ensure_imagenet(name)
        # The metric refuses values outside [0, 1], which `sr` may have; its network does not.
        self.network = LearnedPerceptualImagePatchSimilarity(net_type=backbone).net
        freeze(self.network)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, 3, H, W)` RGB or `(N, 1, H, W)` Y, in [0, 1], to a float32 scalar."""
        with torch.autocast(sr.device.type, enabled=False):
            first, second = (images.float().expand(-1, 3, -1, -1) for images in (sr, hr))
            distances: Tensor = self.network(first, second, normalize=True)
        return distances.mean()

    def check_images(self, *, channels: int, height: int, width: int) -> None:
        """Refuses images that are gone before the last layer, or are neither RGB nor Y.

        Raises:
            ValueError: The images are too small, or of other bands.
        """
        check_colours(channels)
        if min(height, width) < self._smallest:
            raise ValueError(f"LPIPS needs patches of at least {self._smallest} HR pixels, got {height}x{width}.")
