"""ESPCN (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution ...", arXiv 1609.05158)."""

from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout, Tensors
from sr_lightning.refusal import check_choice

Output = Literal["linear", "sigmoid"]


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["first_part.0.weight"].shape[:2]
    return {"channels": channels, "width": width, "mapping_width": tensors["first_part.2.weight"].shape[0]}


class ESPCN(nn.Module):
    """Three convolutions in LR space, (5, 64) (3, 32) (3, channels * scale^2), and one pixel shuffle.

    tanh as in the paper's best model; zero padding keeps the size (the paper trains on the valid centre).

    Args:
        scale: Upscaling factor.
        channels: 1 for Y (as in the paper) or 3 for RGB.
        width: Filters of the first layer.
        mapping_width: Filters of the second layer.
        output: "linear" (the paper's), or "sigmoid", as some ports end, which keeps the output in [0, 1].

    Raises:
        ValueError: Another `output`.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            name="ESPCN-pytorch",
            rename=(
                (r"extraction\.(.+)", r"first_part.0.\1"),
                (r"mapping\.(.+)", r"first_part.2.\1"),
                (r"reconstruction\.(.+)", r"last_part.0.\1"),
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
        output: Output = "linear",
    ) -> None:
        super().__init__()
        check_choice("output", output, get_args(Output))
        self.output = output
        self.scale = scale
        self.channels = channels
        self.extraction = nn.Conv2d(channels, width, 5, padding=2)
        self.mapping = nn.Conv2d(width, mapping_width, 3, padding=1)
        self.reconstruction = nn.Conv2d(mapping_width, channels * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        features = torch.tanh(self.extraction(lr))
        features = torch.tanh(self.mapping(features))
        sr = F.pixel_shuffle(in_full_precision(self.reconstruction, features), self.scale)
        return torch.sigmoid(sr) if self.output == "sigmoid" else sr
