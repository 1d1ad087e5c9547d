"""DISTS as a loss (Ding et al. 2020, arXiv 2004.07728), with torchmetrics' network."""

import torch
from torch import Tensor, nn
from torchmetrics.functional.image.dists import DISTSNetwork

from sr_lightning.losses.perceptual import check_colours
from sr_lightning.networks.feature_weights import ensure_imagenet
from sr_lightning.networks.frozen import freeze

# Four poolings; a variance needs more than one position.
_SMALLEST = 32


class DISTSLoss(nn.Module):
    """One minus the weighted similarity of means (texture) and covariances (structure) of VGG16's features.

    torchmetrics builds its network anew for each batch, and without a gradient by default; here it is built once and
    told to keep the graph. Outside autocast: variances are differences of two numbers that bf16 cannot tell apart.

    Raises:
        FileNotFoundError: VGG16's ImageNet weights are not in torch hub's cache and cannot be fetched; says which file
            to put where.
    """

    # Where the features come from, for results.json.
    source = "imagenet"

    def __init__(self) -> None:
        super().__init__()
        ensure_imagenet("vgg16")
        self.network = DISTSNetwork()
        freeze(self.network)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, 3, H, W)` RGB or `(N, 1, H, W)` Y, in [0, 1], to a float32 scalar."""
        with torch.autocast(sr.device.type, enabled=False):
            first, second = (images.float().expand(-1, 3, -1, -1) for images in (sr, hr))
            distances: Tensor = self.network(first, second, require_grad=True)
        return distances.mean()

    def check_images(self, *, channels: int, height: int, width: int) -> None:
        """Refuses images that are gone before the last layer, or are neither RGB nor Y.

        Raises:
            ValueError: The images are too small, or of other bands.
        """
        check_colours(channels)
        if min(height, width) < _SMALLEST:
            raise ValueError(f"DISTS needs patches of at least {_SMALLEST} HR pixels, got {height}x{width}.")
