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
    """Super-resolves images with a network for as many channels, or RGB ones with a network for Y.

    Of RGB, a Y network sees the Y; Cb and Cr go up bicubically, since the eye does not see their detail: the
    way of all papers that train on Y.

    Args:
        network: A network of any number of channels.
        lr: `(N, C, H, W)` in [0, 1]; C is the network's, or 3 for one of one channel.

    Returns:
        `sr` `(N, C, scale*H, scale*W)`, not clamped.

    Raises:
        ValueError: The network takes another number of channels.
    """
    channels = lr.shape[1]
    if network.channels == channels:
        return network(lr)
    if network.channels == 1 and channels == 3:
        ycbcr = rgb_to_ycbcr(lr)
        luma, chroma = ycbcr[:, :1], ycbcr[:, 1:]
        return ycbcr_to_rgb(torch.cat([network(luma), imresize(chroma, network.scale)], dim=1))
    raise ValueError(f"images of {channels} channels need a network of as many; this one has {network.channels}.")
