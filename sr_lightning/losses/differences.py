"""Losses on differences of neighbouring pixels: how smooth `sr` is, and whether its edges are those of `hr`.

Both map `sr` and `hr` `(N, C, H, W)`, H and W at least 2, to a scalar, in float32.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class TotalVariationLoss(nn.Module):
    """`mean|sr(y+1, x) - sr(y, x)| + mean|sr(y, x+1) - sr(y, x)|` (Rudin, Osher, Fatemi 1992, anisotropic).

    It does not look at `hr`: a regulariser against noise, zero for an image of one colour. SRGAN's SRResNet-VGG22 has
    it with a weight of 2e-8 (arXiv 1609.04802, section 3.2).
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the sum of both directions' means."""
        down, right = _differences(sr.float())
        return down.abs().mean() + right.abs().mean()


class GradientLoss(nn.Module):
    """Mean absolute error of the vertical differences plus that of the horizontal ones.

    The gradient difference loss of Mathieu et al. 2016 (arXiv 1511.05440, equation 6, alpha = 1) with the differences
    signed, so that an edge the wrong way round counts as wrong. Blind to brightness: add a loss of pixels.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the sum of both directions' means."""
        of_sr, of_hr = _differences(sr.float()), _differences(hr.float())
        return F.l1_loss(of_sr[0], of_hr[0]) + F.l1_loss(of_sr[1], of_hr[1])


def _differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each pixel against the one above, and against the one to its left."""
    return images.diff(dim=-2), images.diff(dim=-1)
