from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

# The file that torchvision's alexnet(weights="DEFAULT") looks for; torchmetrics carries the small heads
# itself.
_BACKBONE = "alexnet-owt-7be5be79.pth"
# Below, AlexNet's second pooling has nothing left to pool.
SMALLEST_SIDE = 31


def lpips_backbone_path() -> Path | None:
    """Where AlexNet's weights lie in torch hub's cache; None where they were never put there."""
    path = _expected_path()
    return path if path.is_file() else None


class Lpips:
    """LPIPS v0.1 with AlexNet (Zhang et al., 2018), the variant meant for evaluation: lower is better.

    It never downloads: a validation step is no moment to wait for a network.

    Raises:
        FileNotFoundError: The backbone is not in torch hub's cache; says which file belongs where.
    """

    def __init__(self) -> None:
        if lpips_backbone_path() is None:
            path = _expected_path()
            raise FileNotFoundError(
                f"LPIPS needs AlexNet's weights: put {path.name} into {path.parent}"
                f" (https://download.pytorch.org/models/{path.name})."
            )
        self._metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)

    def __call__(self, sr: Tensor, hr: Tensor) -> float:
        """Mean distance over a batch of RGB images ``(N, 3, H, W)`` in [0, 1]; ``sr`` is clamped.

        Raises:
            ValueError: The shapes differ or are not RGB, or a side is shorter than 31 pixels.
        """
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3 or min(sr.shape[-2:]) < SMALLEST_SIDE:
            raise ValueError(
                f"LPIPS compares RGB images of one shape with sides of at least {SMALLEST_SIDE} pixels,"
                f" got sr {tuple(sr.shape)} and hr {tuple(hr.shape)}."
            )
        metric = self._metric.to(sr.device)
        distance: Tensor = metric(sr.float().clamp(0.0, 1.0), hr.float())
        metric.reset()
        return distance.item()


def _expected_path() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / _BACKBONE
