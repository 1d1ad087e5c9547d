"""Structural similarity as a loss, on one scale and on several."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.structural_similarity import WINDOW, Similarity, structural_similarity

# Wang et al. 2003, section 3.2, from the finest scale to the coarsest.
_FIVE_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# A factor of a power below one has an infinite gradient at zero.
_SMALLEST = 1e-6


class SSIMLoss(nn.Module):
    """`1 - SSIM` (Wang et al. 2004), of each channel on its own, on images in [0, 1].

    Gaussian window of 11x11 with sigma 1.5, K = (0.01, 0.03), only where the window lies inside the image: what this
    project reports as SSIM, but in float32 and without the conversion to Y.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, C, H, W)` with sides of at least 11 to a float32 scalar in [0, 2]."""
        similarity, _ = _similarity(sr, hr)
        return 1.0 - similarity.mean()

    def check_images(self, *, channels: int, height: int, width: int) -> None:
        """Refuses images smaller than the window.

        Raises:
            ValueError: The images are too small.
        """
        _check_side("SSIM", WINDOW, height, width)


class MSSSIMLoss(nn.Module):
    """`1 - MS-SSIM` (Wang, Simoncelli, Bovik 2003, equation 7): contrast and structure on each of several scales.

    `MS-SSIM = SSIM_M^b_M * prod(CS_j^b_j, j < M)` of each image, where each scale is the average of 2x2 pixels of the
    one before. A scale on which the images contradict each other (CS below 0, of which there is no power) counts as
    1e-6.

    Args:
        exponents: One for each scale, from the finest on. Five scales, as in the paper, need patches of 176; for
            smaller ones give the first three or four.

    Raises:
        ValueError: No exponent, or one that is not positive.
    """

    def __init__(self, *, exponents: Sequence[float] = _FIVE_SCALES) -> None:
        super().__init__()
        if not exponents or min(exponents) <= 0:
            raise ValueError(f"MSSSIMLoss needs a positive exponent for each scale, got {list(exponents)}.")
        self.exponents = tuple(exponents)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, C, H, W)` to a float32 scalar in [0, 1]; see `check_images` for the sides."""
        coarsest = len(self.exponents) - 1
        product = torch.ones(len(sr), device=sr.device)
        for scale, exponent in enumerate(self.exponents):
            similarity, contrast = _similarity(sr, hr)
            of_images = (similarity if scale == coarsest else contrast).mean(dim=(1, 2, 3))
            product = product * of_images.clamp(min=_SMALLEST) ** exponent
            if scale < coarsest:
                sr, hr = F.avg_pool2d(sr.float(), 2), F.avg_pool2d(hr.float(), 2)
        return 1.0 - product.mean()

    def check_images(self, *, channels: int, height: int, width: int) -> None:
        """Refuses images that are smaller than the window on the coarsest scale.

        Raises:
            ValueError: The images are too small.
        """
        scales = len(self.exponents)
        _check_side(f"MS-SSIM on {scales} scales", WINDOW * 2 ** (scales - 1), height, width)


def _similarity(sr: Tensor, hr: Tensor) -> Similarity:
    """The maps of SSIM and of its factor for contrast and structure, outside autocast and without TF32."""
    with torch.autocast(sr.device.type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return structural_similarity(sr.float(), hr.float())


def _check_side(what: str, smallest: int, height: int, width: int) -> None:
    if min(height, width) < smallest:
        raise ValueError(
            f"{what} needs patches of at least {smallest}x{smallest} HR pixels, got {height}x{width}: "
            "use larger patches or another loss."
        )
