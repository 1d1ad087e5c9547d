"""SRResNet, SRGAN's generator (Ledig et al. 2017, "Photo-Realistic Single Image ...", arXiv 1609.04802)."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from sr_lightning.networks.blocks import SubpixelUpsampler, in_full_precision
from sr_lightning.networks.layout import Layout, Tensors
from sr_lightning.refusal import check_choice

AfterTrunk = Literal["batch_norm", "prelu"]
Output = Literal["linear", "tanh"]


# Blocks of leftthomas' generator, whose files number all parts in one sequence.
_LEFTTHOMAS_DEPTH = 5


def _leftthomas(stages: int) -> Layout:
    """The layout of files with so many upsampling stages, after which the last convolution is numbered."""
    trunk = _LEFTTHOMAS_DEPTH + 2
    blocks = (
        (rf"body\.{index}\.branch\.{place}\.(.+)", rf"block{index + 2}.{layer}.\1")
        for index in range(_LEFTTHOMAS_DEPTH)
        for place, layer in enumerate(("conv1", "bn1", "prelu", "conv2", "bn2"))
    )
    # Of a stage's three layers, the shuffle has no weights.
    upsampling = (
        (rf"upsample\.{3 * stage + place}\.(.+)", rf"block{trunk + 1}.{stage}.{layer}.\1")
        for stage in range(stages)
        for place, layer in ((0, "conv"), (2, "prelu"))
    )
    return Layout(
        name=f"leftthomas SRGAN, x{2**stages}",
        rename=(
            (r"head\.(\d)\.(.+)", r"block1.\1.\2"),
            *blocks,
            (rf"body\.{_LEFTTHOMAS_DEPTH}\.(.+)", rf"block{trunk}.0.\1"),
            (rf"body\.{_LEFTTHOMAS_DEPTH + 1}\.(.+)", rf"block{trunk}.1.\1"),
            *upsampling,
            (r"tail\.(.+)", rf"block{trunk + 1}.{stages}.\1"),
        ),
        settings=_leftthomas_settings,
        # No weights tell what follows the last convolution.
        assumed=lambda _: {"output": "tanh"},
    )


def _leftthomas_settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["block1.0.weight"].shape[:2]
    return {"channels": channels, "width": width, "depth": _LEFTTHOMAS_DEPTH, "after_trunk": "prelu"}


class SRResNet(nn.Module):
    """Residual blocks with batch normalisation and PReLU, one long skip, sub-pixel upsampling.

    The paper's network with one difference: `sr` is meant for [0, 1] and leaves without tanh, where the paper
    trains on [-1, 1]. Each PReLU has one slope for all channels. Scale 3, which the paper does not have, is
    one shuffle of three.

    Args:
        scale: Upscaling factor: 2, 3, 4 (the paper's) or 8.
        channels: 3 for RGB (as in the paper) or 1 for Y.
        width: Channels of the features.
        depth: Residual blocks.
        after_trunk: What follows the convolution after the blocks: "batch_norm" (the paper's) or "prelu".
        output: "linear", or "tanh" for `(tanh + 1) / 2`. With "prelu" and "tanh" it is the generator of a port of SRGAN
            (leftthomas), whose weights are in circulation.
        momentum: Share of the newest batch in the running statistics of batch normalisation, which is 1 minus what
            Keras calls so.
        upsample_norm: Whether batch normalisation follows the convolutions of the upsampling too; not in the paper.

    Raises:
        ValueError: Another `after_trunk` or `output`, or a momentum that is no share.
    """

    layouts: ClassVar[tuple[Layout, ...]] = tuple(_leftthomas(stages) for stages in (2, 1, 3))

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 3,
        width: int = 64,
        depth: int = 16,
        after_trunk: AfterTrunk = "batch_norm",
        output: Output = "linear",
        momentum: float = 0.1,
        upsample_norm: bool = False,
    ) -> None:
        super().__init__()
        check_choice("after_trunk", after_trunk, get_args(AfterTrunk))
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be a share from 0 to 1; got {momentum}.")
        check_choice("output", output, get_args(Output))
        normalisation = partial(nn.BatchNorm2d, momentum=momentum)
        self.scale = scale
        self.channels = channels
        self.output = output
        self.head = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(width=width, normalisation=normalisation) for _ in range(depth)),
            nn.Conv2d(width, width, 3, padding=1),
            normalisation(width) if after_trunk == "batch_norm" else nn.PReLU(),
        )
        self.upsample = SubpixelUpsampler(
            width=width, scale=scale, activation=nn.PReLU, normalisation=normalisation if upsample_norm else None
        )
        self.tail = nn.Conv2d(width, channels, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        shallow = self.head(lr)
        deep = self.body(shallow) + shallow
        sr = in_full_precision(self.tail, self.upsample(deep))
        return (torch.tanh(sr) + 1) / 2 if self.output == "tanh" else sr


class ResidualBlock(nn.Module):
    """`x + bn(conv(prelu(bn(conv(x)))))`."""

    def __init__(self, *, width: int, normalisation: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            normalisation(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            normalisation(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keeps the shape `(N, width, H, W)`."""
        residual: Tensor = self.branch(features)
        return features + residual
