from functools import lru_cache

import torch
from torch import Tensor

# Shorter images have too few frequencies to speak of a spectrum.
_SMALLEST_SIDE = 8


def log_spectral_distance(sr: Tensor, hr: Tensor, *, peak: float = 1.0) -> Tensor:
    """How far the spectrum of each image is from that of its HR, in dB: 0 where they are equal.

    ``sqrt(mean_k (10 log10(P_hr(k) / P_sr(k)))^2)``, where ``P(k)`` is the power at radial frequency ``k``. It does
    not ask where a detail is, as PSNR does, but whether there is as much of it: a blurred image, which lacks fine
    detail, is far off, one with another texture of the same kind is near. It needs no trained network, and stands
    in for LPIPS where that cannot be had; but noise of the right spectrum would satisfy it too.

    The distance is that of speech coding, on the azimuthal mean of an image's spectrum, by which Durall et al. tell
    the output of networks from photographs (CVPR 2020, arXiv:2003.01826) and which judges downscaled weather
    (`log_spectral_distance` of NVIDIA's earth2studio has the same formula). In detail: the mean of each channel is
    taken off and a periodic Hann window laid over both axes, since the edges of an image do not fit together;
    ``P(k)`` is the mean of ``|FFT|^2 / sum(window^2)`` over channels and over the frequencies ``(u/H, v/W)`` whose
    length, times the shorter side ``L``, rounds to ``k = 1..L // 2``. To every ``P`` the power of rounding to 256
    levels, ``(peak / 255)^2 / 12``, is added, below which an 8-bit file says nothing: without it a smooth image
    would be infinitely far from any other.

    Args:
        sr: ``(N, C, H, W)`` with sides of at least 8 pixels, in the range that ``peak`` says.
        hr: The same shape.
        peak: The greatest value a pixel may have.

    Returns:
        ``(N,)`` float64.

    Raises:
        ValueError: The shapes differ, or a side is shorter than 8 pixels.
    """
    if sr.shape != hr.shape:
        raise ValueError(f"spectra are compared of images of one shape, got {tuple(sr.shape)} and {tuple(hr.shape)}.")
    if min(sr.shape[-2:]) < _SMALLEST_SIDE:
        raise ValueError(f"a spectrum needs sides of at least {_SMALLEST_SIDE} pixels, got {tuple(sr.shape[-2:])}.")
    rounding = (peak / 255) ** 2 / 12
    decibel = 10 * torch.log10((radial_power(hr) + rounding) / (radial_power(sr) + rounding))
    return decibel.square().mean(dim=-1).sqrt()


def radial_power(images: Tensor) -> Tensor:
    """The power at each radial frequency, as `log_spectral_distance` describes it; of white noise its variance.

    Args:
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, min(H, W) // 2)`` float64: at 1, 2, ... cycles along the shorter side.
    """
    height, width = images.shape[-2:]
    window = torch.outer(_hann(height), _hann(width)).to(images.device)
    windowed = (images - images.mean(dim=(-2, -1), keepdim=True)) * window
    power = torch.fft.rfft2(windowed).abs().square().mean(dim=1) / window.square().sum()
    ring, weight = (each.to(images.device) for each in _rings(height, width))
    sums = power.new_zeros(len(images), int(ring.max()) + 1).index_add_(1, ring, power.flatten(1) * weight)
    counts = weight.new_zeros(sums.shape[1]).index_add_(0, ring, weight)
    means: Tensor = sums / counts
    return means[:, 1 : min(height, width) // 2 + 1]


def _hann(side: int) -> Tensor:
    return torch.hann_window(side, periodic=True, dtype=torch.float64)


# One shape: images of many sizes would fill the memory, and those of one are compared one after the other.
@lru_cache(maxsize=1)
def _rings(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The ring that each frequency of `rfft2` lies in, and how many of the whole plane it stands for, flat."""
    rows, columns = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
    radius = torch.hypot(rows[:, None], columns[None, :])
    # A real image has the same power at (u, v) and (-u, -v), of which `rfft2` leaves one out.
    alone = (columns == 0) | (columns == 0.5)
    weight = torch.where(alone, 1.0, 2.0).double().expand_as(radius)
    return (radius * min(height, width)).round().long().flatten(), weight.flatten()
