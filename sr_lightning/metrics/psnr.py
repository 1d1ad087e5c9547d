import torch
from torch import Tensor


def psnr(sr: Tensor, hr: Tensor, *, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image, in dB: ``10 log10(peak^2 / MSE)``.

    The error is averaged within an image only. A ratio of the error pooled over a data set, as torchmetrics
    has it, is another number: papers report the mean of the ratios of single images.

    Args:
        sr: ``(N, C, H, W)``, in the range that ``peak`` says; neither clamped nor rounded here.
        hr: The same shape.
        peak: The greatest value a pixel may have. 1.0 (255 for 0..255) for Y too, though Y ends at 235.

    Returns:
        ``(N,)`` float64; infinity where both images are equal.

    Raises:
        ValueError: The shapes differ.
    """
    if sr.shape != hr.shape:
        raise ValueError(f"psnr compares images of one shape, got {tuple(sr.shape)} and {tuple(hr.shape)}.")
    error = (sr.double() - hr.double()).square().mean(dim=(-3, -2, -1))
    return 10.0 * torch.log10(peak**2 / error)
