"""VDSR (Kim et al. 2016, "Accurate Image Super-Resolution Using Very Deep Convolutional ...", arXiv 1511.04587)."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.resize import imresize
from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["input.weight"].shape[:2]
    inner = count(tensors, r"residual_layer\.(\d+)\.conv\.weight")
    return {"channels": channels, "width": width, "depth": inner + 2, "bias": "input.bias" in tensors}


class VDSR(nn.Module):
    """Twenty 3x3 convolutions that learn what the bicubically upsampled image lacks.

    One set of weights serves several scales, as the paper trains it: only the bicubic upsampling differs.

    Args:
        scale: Upscaling factor where `forward` is not told another.
        channels: 1 for Y (as in the paper) or 3 for RGB.
        width: Channels of the features.
        depth: Convolutions, the first and the last among them.
        bias: Whether they have biases: the authors' model has, ports without them are in circulation.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        # Also that of the authors' model, converted from MATLAB.
        Layout(
            name="pytorch-vdsr",
            rename=(
                (r"head\.(.+)", r"input.\1"),
                (r"body\.(\d+)\.(.+)", r"residual_layer.\1.conv.\2"),
                (r"tail\.(.+)", r"output.\1"),
            ),
            settings=_settings,
        ),
    )

    def __init__(self, *, scale: int, channels: int = 1, width: int = 64, depth: int = 20, bias: bool = True) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.head = nn.Conv2d(channels, width, 3, padding=1, bias=bias)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=bias) for _ in range(depth - 2))
        self.tail = nn.Conv2d(width, channels, 3, padding=1, bias=bias)
        self._initialise()

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped.

        Args:
            lr: The image.
            scale: Another factor than the network was made for; None for its own.
        """
        upsampled = imresize(lr, self.scale if scale is None else scale)
        features = F.relu(self.head(upsampled), inplace=True)
        for convolution in self.body:
            features = F.relu(convolution(features), inplace=True)
        return in_full_precision(self.tail, features) + upsampled

    def _initialise(self) -> None:
        """He's initialisation, by which the paper starts all layers."""
        for layer in (self.head, *self.body, self.tail):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
