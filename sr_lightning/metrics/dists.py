import torch
from torch import nn
from torchmetrics.functional.image.dists import DISTSNetwork

from sr_lightning.metrics.backbone import HubFile, PictureDistance

# The file that torchvision's vgg16(weights="DEFAULT") looks for; torchmetrics carries the weights of the features.
BACKBONE = HubFile("DISTS", "VGG16's weights", "https://download.pytorch.org/models/vgg16-397923af.pth")
# Four poolings: of a shorter side a single position would be left, which has no variance.
SMALLEST_SIDE = 32


class Dists(PictureDistance):
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
        super().__init__(BACKBONE, smallest=SMALLEST_SIDE, device=device)

    def build(self) -> nn.Module:
        """Torchmetrics' network."""
        return DISTSNetwork()
