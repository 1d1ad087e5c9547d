from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from sr_lightning.metrics.backbone import HubFile, PictureDistance

# The file that torchvision's alexnet(weights="DEFAULT") looks for; torchmetrics carries the small heads itself.
BACKBONE = HubFile("LPIPS", "AlexNet's weights", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
# Below, AlexNet's second pooling has nothing left to pool.
SMALLEST_SIDE = 31


def lpips_backbone_path() -> Path | None:
    """Where AlexNet's weights lie in torch hub's cache; None where they were never put there."""
    return BACKBONE.path


class Lpips(PictureDistance):
    """LPIPS v0.1 with AlexNet (Zhang et al., 2018), the variant meant for evaluation: lower is better.

    Args:
        device: Where it is computed; None for where the images are.

    Raises:
        FileNotFoundError: The backbone is not in torch hub's cache; says which file belongs where.
    """

    def __init__(self, *, device: torch.device | None = None) -> None:
        super().__init__(BACKBONE, smallest=SMALLEST_SIDE, device=device)

    def build(self) -> nn.Module:
        """Torchmetrics' metric, whose network is no public part of it."""
        return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)

    def distances(self, network: nn.Module, sr: Tensor, hr: Tensor) -> Tensor:
        """The mean distance, a scalar."""
        distance: Tensor = network(sr, hr)
        # It keeps a sum over calls.
        cast(LearnedPerceptualImagePatchSimilarity, network).reset()
        return distance


def available_lpips(*, device: torch.device | None = None) -> Lpips | None:
    """LPIPS where its backbone is on this machine, else None."""
    return None if lpips_backbone_path() is None else Lpips(device=device)
