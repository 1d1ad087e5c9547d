"""RLFN (Kong et al. 2022, "Residual Local Feature Network for Efficient Super-Resolution", arXiv 2205.07514)."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.geometry import crop_to
from sr_lightning.functional.resize import extend_to
from sr_lightning.networks.blocks import in_full_precision
from sr_lightning.networks.layout import Layout, Tensors, count

# Of the leaky rectifiers, as in the authors' code.
SLOPE = 0.05
# What a block's attention looks at after a convolution of stride 2: maxima of 7x7, each 3 apart.
_POOLING, _POOLING_STRIDE = 7, 3
# The smallest image that leaves two such windows: an exported graph takes a side of one for another case.
_SMALLEST = 2 * (_POOLING + _POOLING_STRIDE) + 1


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["conv_1.weight"].shape[:2]
    return {
        "channels": channels,
        "width": width,
        "inner_width": tensors["block_1.c1_r.weight"].shape[0],
        "depth": count(tensors, r"block_(\d+)\..+"),
        "attention_width": tensors["block_1.esa.conv1.weight"].shape[0],
    }


class RLFN(nn.Module):
    """Blocks of three plain convolutions with spatial attention, one long skip, sub-pixel output.

    Inside it works on 0..255, as the authors' files do; outside it is [0, 1] like every network. Images below 21
    pixels are mirrored to that size and the result is cropped.

    Args:
        scale: Upscaling factor: 2 or 4 in the paper.
        channels: 3 for RGB (as in the paper) or 1 for Y.
        width: Channels of the features: 52 in the paper.
        inner_width: Channels between a block's three convolutions; None for as many as `width`, as in the paper. The
            authors' network for NTIRE 2022 has 48 of them in 4 blocks, and a width of 46.
        depth: Blocks: 6 in the paper.
        attention_width: Channels inside a block's attention.
    """

    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            name="RLFN",
            rename=(
                (r"head\.(.+)", r"conv_1.\1"),
                (r"body\.block(\d+)\.step(\d)\.(.+)", r"block_\1.c\2_r.\3"),
                (r"body\.block(\d+)\.fusion\.(.+)", r"block_\1.c5.\2"),
                (r"body\.block(\d+)\.attention\.narrow\.(.+)", r"block_\1.esa.conv1.\2"),
                (r"body\.block(\d+)\.attention\.stride\.(.+)", r"block_\1.esa.conv2.\2"),
                (r"body\.block(\d+)\.attention\.coarse\.(.+)", r"block_\1.esa.conv3.\2"),
                (r"body\.block(\d+)\.attention\.fine\.(.+)", r"block_\1.esa.conv_f.\2"),
                (r"body\.block(\d+)\.attention\.widen\.(.+)", r"block_\1.esa.conv4.\2"),
                (r"smoothing\.(.+)", r"conv_2.\1"),
                (r"tail\.(.+)", r"upsampler.0.\1"),
            ),
            settings=_settings,
        ),
    )

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 3,
        width: int = 52,
        inner_width: int | None = None,
        depth: int = 6,
        attention_width: int = 16,
    ) -> None:
        super().__init__()
        inner_width = width if inner_width is None else inner_width
        self.scale = scale
        self.channels = channels
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        # Counted from one, as in the authors' files.
        self.body = nn.ModuleDict(
            {
                f"block{index}": LocalFeatureBlock(
                    width=width, inner_width=inner_width, attention_width=attention_width
                )
                for index in range(1, depth + 1)
            }
        )
        self.smoothing = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, channels * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        height, width = lr.shape[-2:]
        shallow = features = self.head(extend_to(lr, border="symmetric", smallest=_SMALLEST) * 255)
        for block in self.body.values():
            features = block(features)
        deep = self.smoothing(features) + shallow
        sr = F.pixel_shuffle(in_full_precision(self.tail, deep), self.scale) / 255
        return crop_to(sr, self.scale * height, self.scale * width)


class LocalFeatureBlock(nn.Module):
    """`attention(conv1x1(x + three convolutions of x))`."""

    def __init__(self, *, width: int, inner_width: int, attention_width: int) -> None:
        super().__init__()
        self.step1 = nn.Conv2d(width, inner_width, 3, padding=1)
        self.step2 = nn.Conv2d(inner_width, inner_width, 3, padding=1)
        self.step3 = nn.Conv2d(inner_width, width, 3, padding=1)
        self.fusion = nn.Conv2d(width, width, 1)
        self.attention = SpatialAttention(width=width, attention_width=attention_width)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        refined = features
        for step in (self.step1, self.step2, self.step3):
            refined = F.leaky_relu(step(refined), SLOPE, inplace=True)
        attended: Tensor = self.attention(self.fusion(features + refined))
        return attended


class SpatialAttention(nn.Module):
    """Weighs each pixel by what is around it, seen coarsely: ESA of RFANet (Liu et al., CVPR 2020), made shorter.

    Of the three convolutions on the coarse map, as RFDN (arXiv 2009.11551) has them, RLFN keeps one.
    """

    def __init__(self, *, width: int, attention_width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width, attention_width, 1)
        self.stride = nn.Conv2d(attention_width, attention_width, 3, stride=2)
        self.coarse = nn.Conv2d(attention_width, attention_width, 3, padding=1)
        self.fine = nn.Conv2d(attention_width, attention_width, 1)
        self.widen = nn.Conv2d(attention_width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`; H and W from 15 on."""
        narrow = self.narrow(features)
        coarse = self.coarse(F.max_pool2d(self.stride(narrow), _POOLING, _POOLING_STRIDE))
        context = F.interpolate(coarse, size=features.shape[-2:], mode="bilinear", align_corners=False)
        weights: Tensor = self.widen(context + self.fine(narrow)).sigmoid()
        return features * weights
