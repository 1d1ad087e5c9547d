from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from sr_lightning.metrics.protocol import Score


class ScoreMean(Metric):
    """Mean PSNR and SSIM over images, each image counted once whatever rank scored it.

    Sums and the count travel between ranks, not means, so ranks may hold different numbers of images, or
    none.

    Example:
        >>> mean = ScoreMean()
        >>> mean.update(Score(psnr=30.0, ssim=0.8))
        >>> mean.update(Score(psnr=32.0, ssim=0.9))
        >>> mean.compute()["images"]
        2
    """

    full_state_update = False
    psnr: Tensor
    ssim: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("psnr", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("ssim", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, score: Score) -> None:
        """Adds the score of one image."""
        self.psnr += score.psnr
        self.ssim += score.ssim
        self.images += 1

    def compute(self) -> dict[str, Any]:
        """``psnr`` and ``ssim``, floats, and ``images``, how many they are the mean of.

        Raises:
            ValueError: No image was scored on any rank.
        """
        images = int(self.images)
        if images == 0:
            raise ValueError("no image was scored: the data set holds none, or update() was never called.")
        return {"psnr": self.psnr.item() / images, "ssim": self.ssim.item() / images, "images": images}
