"""What several papers' networks share: the float32 island at the end, sub-pixel upsampling, the mean colour."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.color import rgb_to_y

# Mean colour of the DIV2K training images, from EDSR's code; RCAN, CARN and SwinIR have it too.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def in_full_precision(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, features: Tensor) -> Tensor:
    """Runs `layer` in the precision of its weights (float32 as a rule), also under bf16 or fp16 autocast.

    A network's last layer goes through here. bf16 keeps 8 bits of mantissa, about what an image has of grey
    levels: rounding the output, or the global skip that is added to it, costs up to 0.13 dB (VDSR x4).
    Everything before the last layer may round.

    Args:
        layer: The last layer.
        features: Its input, of any floating-point type.

    Returns:
        The layer's output in the type of its weights.
    """
    device = features.device.type
    # Asked first: an exported graph then holds no autocast region, and "meta" tensors, which know none, pass.
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return _apply(layer, features)
    return _apply(layer, features)


def _apply(layer: nn.Module, features: Tensor) -> Tensor:
    output: Tensor = layer(features.to(next(layer.parameters()).dtype))
    return output


class SubpixelUpsampler(nn.Sequential):
    """`(N, width, H, W)` to `(N, width, scale*H, scale*W)` by 3x3 convolutions and pixel shuffles.

    One stage per factor of two; a scale of 3 is one stage of three (ESPCN's shuffle, as SRGAN, EDSR and their
    successors stack it).

    Args:
        width: Channels in and out.
        scale: A power of two from 2 upwards, or 3.
        activation: Makes the activation that follows each shuffle; none for EDSR.
        normalisation: Makes, of a number of channels, what stands between each convolution and its shuffle; none in
            papers.
        groups: Of the convolutions; more than one for CARN-M.
    """

    def __init__(
        self,
        *,
        width: int,
        scale: int,
        activation: Callable[[], nn.Module] | None = None,
        normalisation: Callable[[int], nn.Module] | None = None,
        groups: int = 1,
    ) -> None:
        layers: list[nn.Module] = []
        for factor in subpixel_factors(scale):
            wider = width * factor**2
            layers.append(nn.Conv2d(width, wider, 3, padding=1, groups=groups))
            if normalisation is not None:
                layers.append(normalisation(wider))
            layers.append(nn.PixelShuffle(factor))
            if activation is not None:
                layers.append(activation())
        super().__init__(*layers)


class NearestUpsampler(nn.ModuleList):
    """`(N, width, H, W)` to `(N, width, scale*H, scale*W)` by repeated pixels, each time with a 3x3 convolution behind.

    As ESRGAN does it, and after it networks for real photographs: no pattern of the pixel shuffle can show.

    Args:
        width: Channels in and out.
        scale: A power of two, or 3; of 1 nothing is done.
    """

    def __init__(self, *, width: int, scale: int) -> None:
        self.factors = subpixel_factors(scale) if scale > 1 else []
        super().__init__(nn.Conv2d(width, width, 3, padding=1) for _ in self.factors)

    def forward(self, features: Tensor) -> Tensor:
        """Ends with the leaky rectifier of the last convolution."""
        for factor, convolution in zip(self.factors, self, strict=True):
            height, width = features.shape[-2:]
            # `size=`, not `scale_factor=`: the latter breaks export with dynamic shapes.
            features = F.interpolate(features, size=(factor * height, factor * width), mode="nearest")
            features = F.leaky_relu(convolution(features), 0.2, inplace=True)
        return features


def subpixel_factors(scale: int) -> list[int]:
    """The pixel shuffles that make up `scale`: 8 gives [2, 2, 2], 3 gives [3].

    Raises:
        ValueError: `scale` is neither 3 nor a power of two from 2 upwards.
    """
    if scale == 3:
        return [3]
    if scale >= 2 and scale.bit_count() == 1:
        return [2] * (scale.bit_length() - 1)
    raise ValueError(f"Sub-pixel upsampling supports scale 3 or a power of two (2, 4, 8, ...), got {scale}.")


def initialise_normal(network: nn.Module, deviation: float) -> None:
    """Draws all weights of convolutions from N(0, deviation) and sets their biases to 0, as SRCNN's paper does."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def div2k_mean(channels: int) -> Tensor:
    """DIV2K's mean colour `(1, channels, 1, 1)` in [0, 1]; its Y for one channel, and for other bands its mean."""
    rgb = torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1)
    if channels == 3:
        return rgb
    if channels == 1:
        return rgb_to_y(rgb)
    return rgb.mean(1, keepdim=True).repeat(1, channels, 1, 1)


def scale_name(scale: int, scales: Sequence[int]) -> str:
    """Under what name a network for several scales keeps the parts of one: 4 gives "x4".

    Raises:
        ValueError: `scale` is none of the network's `scales`.
    """
    if scale not in scales:
        raise ValueError(f"a network for scales {', '.join(map(str, scales))} has no part for scale {scale}.")
    return f"x{scale}"
