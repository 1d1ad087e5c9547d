"""Bicubic interpolation under a network's interface: the baseline of every table."""

from torch import Tensor, nn

from sr_lightning.functional.resize import imresize


class Bicubic(nn.Module):
    """MATLAB's bicubic `imresize`; nothing to train.

    Args:
        scale: Upscaling factor.
        channels: Channels of the images it will see; the arithmetic is the same for any number.
    """

    def __init__(self, *, scale: int, channels: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        return imresize(lr, self.scale)
