from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from sr_lightning.metrics.backbone import HubFile, check_pictures

# The file that torchvision's alexnet(weights="DEFAULT") looks for; torchmetrics carries the small heads itself.
BACKBONE = HubFile("LPIPS", "AlexNet's weights", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
# Below, AlexNet's second pooling has nothing left to pool.
SMALLEST_SIDE = 31


def lpips_backbone_path() -> Path | None:
    """Where AlexNet's weights lie in torch hub's cache; None where they were never put there."""
    return BACKBONE.path


class Lpips:
    """LPIPS v0.1 with AlexNet (Zhang et al., 2018), the variant meant for evaluation: lower is better.

    Args:
        device: Where it is computed; None for where the images are.

    Raises:
        FileNotFoundError: The backbone is not in torch hub's cache; says which file belongs where.
    """

    def __init__(self, *, device: torch.device | None = None) -> None:
        BACKBONE.require()
        self._device = device
        self._metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)

    def __call__(self, sr: Tensor, hr: Tensor) -> float:
        """Mean distance over a batch of RGB images ``(N, 3, H, W)`` in [0, 1]; ``sr`` is clamped.

        Raises:
            ValueError: The shapes differ or are not RGB, or a side is shorter than 31 pixels.
        """
        check_pictures("LPIPS", sr, hr, smallest=SMALLEST_SIDE)
        device = self._device or sr.device
        metric = self._metric.to(device)
        # PyTorch's default for convolutions on a GPU, TF32, has the ten bits of float16.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            distance: Tensor = metric(sr.to(device, torch.float32).clamp(0.0, 1.0), hr.to(device, torch.float32))
        metric.reset()
        return distance.item()


def available_lpips(*, device: torch.device | None = None) -> Lpips | None:
    """LPIPS where its backbone is on this machine, else None."""
    return None if lpips_backbone_path() is None else Lpips(device=device)
