"""SRCNN (Dong et al. 2016, "Image Super-Resolution Using Deep Convolutional Networks", arXiv 1501.00092)."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.blocks import in_full_precision, initialise_normal
from sr_lightning.networks.layout import Layout, Tensors


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["conv1.weight"].shape[:2]
    mapping_width, _, _, mapping_kernel = tensors["conv2.weight"].shape
    return {"channels": channels, "width": width, "mapping_width": mapping_width, "mapping_kernel": mapping_kernel}


class SRCNN(nn.Module):
    """Three convolutions on the bicubically upsampled image: 9-5-5 (the paper's best) or 9-1-5 (its base).

    Two differences from the paper: zero padding keeps the size (the paper trains on the valid centre), and
    the weights start as PyTorch's default if `deviation` is not given: the paper's N(0, 0.001) took it 8e8 samples to
    leave.

    Args:
        scale: Upscaling factor.
        channels: 1 for Y (as in the paper) or 3 for RGB.
        width: Filters of the first layer.
        mapping_width: Filters of the second layer.
        mapping_kernel: Side of the second layer's filters: 5 for 9-5-5, 1 for 9-1-5; odd.
        deviation: Of the weights at the start, N(0, deviation), 0.001 in the paper; None for PyTorch's default.
        mean: Taken from the upsampled image and added to the output; 0 in the paper.
        std: The upsampled image is divided by it, the output multiplied; 1 in the paper.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        # mmagic has the same names.
        Layout(
            name="SRCNN-pytorch",
            rename=(
                (r"extraction\.(.+)", r"conv1.\1"),
                (r"mapping\.(.+)", r"conv2.\1"),
                (r"reconstruction\.(.+)", r"conv3.\1"),
            ),
            settings=_settings,
        ),
    )

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 1,
        width: int = 64,
        mapping_width: int = 32,
        mapping_kernel: int = 5,
        deviation: float | None = None,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.mean = mean
        self.std = std
        self.extraction = nn.Conv2d(channels, width, 9, padding=4)
        self.mapping = nn.Conv2d(width, mapping_width, mapping_kernel, padding=mapping_kernel // 2)
        self.reconstruction = nn.Conv2d(mapping_width, channels, 5, padding=2)
        if deviation is not None:
            initialise_normal(self, deviation)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        upsampled = (imresize(lr, self.scale) - self.mean) / self.std
        features = F.relu(self.extraction(upsampled))
        features = F.relu(self.mapping(features))
        return in_full_precision(self.reconstruction, features) * self.std + self.mean
