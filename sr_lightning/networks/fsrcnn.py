"""FSRCNN (Dong et al. 2016, "Accelerating the Super-Resolution Convolutional Neural Network", arXiv 1608.00367)."""

from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["first_part.0.weight"].shape[:2]
    return {
        "channels": channels,
        "width": width,
        "mapping_width": tensors["mid_part.0.weight"].shape[0],
        "depth": count(tensors, r"mid_part\.(\d+)\.bias") - 2,
    }


class FSRCNN(nn.Module):
    """Features of the LR image, shrunk, mapped by `depth` small convolutions, expanded, and deconvolved.

    The paper's FSRCNN(56, 12, 4), with a PReLU slope for each channel. Its count of 12,464 is of weights alone; with
    biases and slopes there are 12,809 parameters.

    The paper trains x3 and starts x2 and x4 from it, of which only the deconvolution is trained again.

    Args:
        scale: Upscaling factor.
        channels: 1 for Y (as in the paper) or 3 for RGB.
        width: Filters of the first layer and of the expanding one (d).
        mapping_width: Channels between them (s).
        depth: Mapping layers (m).
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            name="FSRCNN-pytorch",
            rename=(
                (r"head\.(.+)", r"first_part.\1"),
                (r"body\.(.+)", r"mid_part.\1"),
                (r"tail\.(.+)", r"last_part.\1"),
            ),
            settings=_settings,
        ),
    )

    def __init__(
        self, *, scale: int, channels: int = 1, width: int = 56, mapping_width: int = 12, depth: int = 4
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.head = _convolution(channels, width, 5)
        self.body = nn.Sequential(
            *_convolution(width, mapping_width, 1),
            *(layer for _ in range(depth) for layer in _convolution(mapping_width, mapping_width, 3)),
            *_convolution(mapping_width, width, 1),
        )
        self.tail = nn.ConvTranspose2d(width, channels, 9, stride=scale, padding=4, output_padding=scale - 1)
        self._initialise()

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        return in_full_precision(self.tail, self.body(self.head(lr)))

    def _initialise(self) -> None:
        """He's initialisation for PReLU; the deconvolution starts near zero, N(0, 0.001)."""
        for layer in [*self.head, *self.body]:
            if isinstance(layer, nn.Conv2d):
                # PReLU starts at a slope of 0.25.
                nn.init.kaiming_normal_(layer.weight, a=0.25)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.tail.weight, std=0.001)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.PReLU(outputs))
