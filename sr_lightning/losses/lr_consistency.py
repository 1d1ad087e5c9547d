"""Whether `sr`, made small again, is what the network was given."""

from fractions import Fraction
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.color import rgb_to_y, rgb_to_ycbcr
from sr_lightning.functional.resize import imresize

Against = Literal["hr", "lr"]
Compared = Literal["all", "luma", "chroma"]


class LRConsistencyLoss(nn.Module):
    """Mean absolute error between `sr` and a target, both downscaled by MATLAB's bicubic kernel, without rounding.

    It leaves the details to other terms and holds what LR fixes already: brightness and colours, which drift in
    training on features or against a discriminator. For colours alone: `compare="chroma"`.

    Args:
        against: "hr": `hr` downscaled likewise. "lr": what the network was given, which is right only where that was
            made by bicubic downscaling, and then differs from the former by its rounding.
        compare: "all" channels as they are, "luma" (Y) or "chroma" (Cb and Cr of BT.601) of RGB images.

    Attributes:
        needs: What `WeightedSum` is to hand over; `lr` tells the scale too.

    Raises:
        ValueError: Another name.
    """

    needs = ("lr",)

    def __init__(self, *, against: Against = "hr", compare: Compared = "all") -> None:
        super().__init__()
        for name, value, choices in (
            ("against", against, get_args(Against)),
            ("compare", compare, get_args(Compared)),
        ):
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")
        self.against = against
        self.compare = compare

    def forward(self, sr: Tensor, hr: Tensor, lr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, C, scale*H, scale*W)` and `lr` `(N, C, H, W)` in [0, 1] to a float32 scalar."""
        factor = Fraction(lr.shape[-1], sr.shape[-1])
        target = lr.float() if self.against == "lr" else imresize(hr.float(), factor)
        return F.l1_loss(self._part(imresize(sr.float(), factor)), self._part(target))

    def check_images(self, *, channels: int, height: int, width: int) -> None:
        """Refuses to look for luma or chroma where there are no colours.

        Raises:
            ValueError: The images are not RGB.
        """
        if self.compare != "all" and channels != 3:
            raise ValueError(f"compare={self.compare} is of RGB images, got {channels} channels: use compare=all.")

    def _part(self, images: Tensor) -> Tensor:
        if self.compare == "luma":
            return rgb_to_y(images)
        return rgb_to_ycbcr(images)[:, 1:] if self.compare == "chroma" else images
