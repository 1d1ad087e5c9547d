"""How a network that knows only Y makes a colour image."""

from typing import Protocol

import torch
from torch import Tensor

from sr_lightning.functional.color import rgb_to_ycbcr, ycbcr_to_rgb
from sr_lightning.functional.resize import imresize


class Network(Protocol):
    """What every network here is: images in, images `scale` times larger out."""

    scale: int
    channels: int

    def __call__(self, lr: Tensor, /) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`."""
        ...


def forward_rgb(network: Network, lr: Tensor) -> Tensor:
    """Super-resolves RGB images with a network for RGB, or with one for Y.

    A Y network sees the Y of `lr`; Cb and Cr go up bicubically, since the eye does not see their detail: the
    way of all papers that train on Y.

    Args:
        network: A network with one or three channels.
        lr: `(N, 3, H, W)` in [0, 1].

    Returns:
        `sr` `(N, 3, scale*H, scale*W)`, not clamped.

    Raises:
        ValueError: The network has neither one nor three channels.
    """
    if network.channels == 3:
        return network(lr)
    if network.channels == 1:
        ycbcr = rgb_to_ycbcr(lr)
        luma, chroma = ycbcr[:, :1], ycbcr[:, 1:]
        return ycbcr_to_rgb(torch.cat([network(luma), imresize(chroma, network.scale)], dim=1))
    raise ValueError(f"RGB images need a network with 3 channels, or 1 for Y; this one has {network.channels}.")
