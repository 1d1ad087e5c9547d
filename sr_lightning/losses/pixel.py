"""Losses that compare pixel by pixel. All map `sr` and `hr` `(N, C, H, W)` to a scalar, in float32."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class L1Loss(nn.Module):
    """Mean absolute error: what EDSR and nearly all its successors train on."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the mean over all pixels and channels."""
        return F.l1_loss(sr.float(), hr.float())


class MSELoss(nn.Module):
    """Mean squared error: maximises PSNR directly; what SRCNN, ESPCN and SRResNet train on."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the mean over all pixels and channels."""
        return F.mse_loss(sr.float(), hr.float())


class CharbonnierLoss(nn.Module):
    """`mean(sqrt((sr - hr)^2 + eps^2))`: L1 with a round tip (LapSRN, Lai et al. 2017, arXiv 1704.03915).

    Equal images give `eps`, not zero.

    Args:
        eps: Half-width of the round tip, on images in [0, 1]; LapSRN's 1e-3.
    """

    def __init__(self, *, eps: float = 1e-3) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"CharbonnierLoss needs eps > 0 (its gradient is undefined otherwise), got {eps}.")
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the mean over all pixels and channels."""
        return torch.sqrt((sr.float() - hr.float()).square() + self.eps**2).mean()


class HuberLoss(nn.Module):
    """`d^2 / 2` where `d = |sr - hr|` is at most `delta`, `delta * (d - delta / 2)` beyond (Huber 1964).

    MSE for small errors, L1 for large ones; zero at equality, unlike Charbonnier.

    Args:
        delta: Where one becomes the other, on images in [0, 1]; at 1 or more it is half the MSE everywhere.
    """

    def __init__(self, *, delta: float = 0.01) -> None:
        super().__init__()
        if delta <= 0:
            raise ValueError(f"HuberLoss needs delta > 0, got {delta}.")
        self.delta = delta

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the mean over all pixels and channels."""
        return F.huber_loss(sr.float(), hr.float(), delta=self.delta)
