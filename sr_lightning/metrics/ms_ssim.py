import torch
from torch import Tensor
from torch.nn import functional as F

from sr_lightning.functional.structural_similarity import WINDOW, structural_similarity

# From the finest scale to the coarsest: table 1 of the paper.
_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST_SIDE = WINDOW * 2 ** (len(_EXPONENTS) - 1)


def ms_ssim(sr: Tensor, hr: Tensor, *, peak: float = 1.0) -> Tensor:
    """Structural similarity of each image on five scales (Wang, Simoncelli, Bovik 2003, equation 7).

    ``SSIM_5^b_5 * prod(CS_j^b_j, j < 5)``, where ``CS`` is SSIM's factor for contrast and structure, each the mean over
    a scale's places where the window lies inside the image, and each scale the average of 2x2 pixels of the one before.
    torchmetrics pads the coarsest scale before it filters, which changes the fifth digit (bicubic, Set5 x4). A scale on
    which two images contradict each other, with a negative mean, counts as 0.

    Args:
        sr: ``(N, C, H, W)`` with sides of at least 176 pixels, in the range that ``peak`` says.
        hr: The same shape.
        peak: The greatest value a pixel may have; 1.0 (255 for 0..255) for Y too, though Y ends at 235.

    Returns:
        ``(N,)`` float64.

    Raises:
        ValueError: The shapes differ, or a side is shorter than 176 pixels.
    """
    if sr.shape != hr.shape:
        raise ValueError(f"MS-SSIM compares images of one shape, got {tuple(sr.shape)} and {tuple(hr.shape)}.")
    if min(sr.shape[-2:]) < SMALLEST_SIDE:
        raise ValueError(f"MS-SSIM needs sides of at least {SMALLEST_SIDE} pixels, got {sr.shape[-2]}x{sr.shape[-1]}.")
    sr, hr = sr.double(), hr.double()
    product = torch.ones(len(sr), dtype=torch.float64, device=sr.device)
    for scale, exponent in enumerate(_EXPONENTS, start=1):
        similarity, contrast = structural_similarity(sr, hr, peak=peak)
        of_scale = contrast if scale < len(_EXPONENTS) else similarity
        product = product * of_scale.mean(dim=(-3, -2, -1)).clamp(min=0.0) ** exponent
        sr, hr = F.avg_pool2d(sr, 2), F.avg_pool2d(hr, 2)
    return product
