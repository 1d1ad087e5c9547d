import torch
from torch import Tensor
from torchmetrics.functional.image.dists import DISTSNetwork

from sr_lightning.metrics.backbone import HubFile, check_pictures

# The file that torchvision's vgg16(weights="DEFAULT") looks for; torchmetrics carries the weights of the features.
BACKBONE = HubFile("DISTS", "VGG16's weights", "https://download.pytorch.org/models/vgg16-397923af.pth")
# Four poolings: of a shorter side a single position would be left, which has no variance.
SMALLEST_SIDE = 32


class Dists:
    """DISTS (Ding et al. 2020, arXiv:2004.07728) with VGG16: 0 for equal images, lower is better.

    One minus a weighted similarity of the features' means, which tell textures, and of their covariances, which tell
    structures. On images of their own size, as in other super-resolution code; its authors' program scales the shorter
    side to 256 pixels first.

    Args:
        device: Where it is computed; None for where the images are.

    Raises:
        FileNotFoundError: The backbone is not in torch hub's cache; says which file belongs where.
    """

    def __init__(self, *, device: torch.device | None = None) -> None:
        BACKBONE.require()
        self._device = device
        # Once: torchmetrics' function builds it anew for each image.
        self._network = DISTSNetwork().eval()

    def __call__(self, sr: Tensor, hr: Tensor) -> float:
        """Mean distance over a batch of RGB images ``(N, 3, H, W)`` in [0, 1]; ``sr`` is clamped.

        Raises:
            ValueError: The shapes differ or are not RGB, or a side is shorter than 32 pixels.
        """
        check_pictures("DISTS", sr, hr, smallest=SMALLEST_SIDE)
        device = self._device or sr.device
        network = self._network.to(device)
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            distances: Tensor = network(sr.to(device, torch.float32).clamp(0.0, 1.0), hr.to(device, torch.float32))
        return distances.mean().item()
