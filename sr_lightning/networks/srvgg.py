"""SRVGGNetCompact (Wang et al. 2021, Real-ESRGAN, arXiv 2107.10833; its compact network came with release 0.2.5)."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout, Tensors


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["body.0.weight"].shape[:2]
    convolutions = sum(tensor.ndim == 4 for tensor in tensors.values())
    return {"channels": channels, "width": width, "depth": convolutions - 2}


class SRVGGNetCompact(nn.Module):
    """A plain stack of 3x3 convolutions in LR space that learns what nearest-neighbour upsampling lacks.

    Args:
        scale: Upscaling factor.
        channels: 3 for RGB or 1 for Y.
        width: Channels of the features.
        depth: Convolutions between the first and the last: 32 in realesr-general-x4v3, 16 in realesr-animevideov3.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (Layout(name="BasicSR", settings=_settings, spandrel=True),)

    def __init__(self, *, scale: int, channels: int = 3, width: int = 64, depth: int = 32) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        # Numbered as in the published files, whose activations count too.
        self.body = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.PReLU(width))
        for _ in range(depth):
            self.body.extend([nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)])
        self.body.append(nn.Conv2d(width, channels * scale**2, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        *inner, last = self.body
        features = lr
        for layer in inner:
            features = layer(features)
        assert isinstance(last, nn.Conv2d)
        # Each colour once for every place of the shuffle: that is nearest-neighbour upsampling, at LR's cost.
        nearest = lr.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(in_full_precision(last, features) + nearest, self.scale)
