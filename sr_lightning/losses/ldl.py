"""Locally discriminative learning: an extra L1 where a GAN makes artefacts (Liang, Zeng, Zhang 2022)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LDLLoss(nn.Module):
    """`mean|M * (sr - hr)|` with a map M of where `sr` errs like an artefact (CVPR 2022, arXiv 2203.09195).

    With the residual `R = sum over channels of |sr - hr|`, M is the local variance of R in a window of 7x7 (equation 4)
    times its variance over the patch to the power of 1/5 (equation 5). Details err evenly, artefacts do not. The moving
    average of the generator makes fewer of them, so M is 0 where `sr` is nearer to `hr` than `averaged_sr` is (equation
    6).

    The averaged model's output comes from the training module, which runs the average that `callbacks=ema` keeps once
    more over `lr`, without gradient, at each step that this term counts in: about a third of a step's forward and
    backward. `refine: false` leaves equation 6 out; that form (neosr's) needs no average.

    M is a weight: it gets no gradient. In the authors' program it does.

    Args:
        window: Side of the window, odd.
        refine: Whether the averaged model corrects the map.

    Attributes:
        needs: What `WeightedSum` is to hand over.

    Raises:
        ValueError: A window that is not odd, or less than 3.
    """

    def __init__(self, *, window: int = 7, refine: bool = True) -> None:
        super().__init__()
        if window < 3 or window % 2 == 0:
            raise ValueError(f"LDLLoss needs an odd window from 3 on, got {window}.")
        self.window = window
        self.needs = ("averaged_sr",) if refine else ()

    def forward(self, sr: Tensor, hr: Tensor, averaged_sr: Tensor | None = None) -> Tensor:
        """Maps `sr`, `hr`, `averaged_sr` `(N, C, H, W)` in [0, 1] to a float32 scalar.

        H and W are at least half a window and one pixel more.
        """
        sr, hr = sr.float(), hr.float()
        return (self._artefacts(sr.detach(), hr, averaged_sr) * (sr - hr)).abs().mean()

    def _artefacts(self, sr: Tensor, hr: Tensor, averaged_sr: Tensor | None) -> Tensor:
        """The map `(N, 1, H, W)`."""
        residual = _residual(sr, hr)
        overall = residual.var(dim=(1, 2, 3), keepdim=True) ** (1 / 5)
        found = overall * self._local_variance(residual)
        if averaged_sr is None:
            return found
        return torch.where(residual < _residual(averaged_sr.float(), hr), 0.0, found)

    def _local_variance(self, residual: Tensor) -> Tensor:
        """The unbiased variance in the window around each pixel, on a mirrored border."""
        count, margin = self.window**2, self.window // 2
        padded = F.pad(residual, [margin] * 4, mode="reflect")
        mean = F.avg_pool2d(padded, self.window, stride=1)
        square = F.avg_pool2d(padded.square(), self.window, stride=1)
        return (square - mean.square()).clamp(min=0) * (count / (count - 1))


def _residual(images: Tensor, hr: Tensor) -> Tensor:
    return (images - hr).abs().sum(1, keepdim=True)
