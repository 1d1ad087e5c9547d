"""Distance of spectra."""

import torch
from torch import Tensor, nn


class FFTLoss(nn.Module):
    """Mean absolute error of the real and imaginary parts of the two-dimensional discrete Fourier transform.

    `mean(|Re F| + |Im F|) / 2` with `F = FFT(sr) - FFT(hr)`, not normalised, as SAFMN (Sun et al. 2023, arXiv
    2302.13800) and ShuffleMixer (arXiv 2205.15175) train on beside L1, with weights of 0.05 and 0.1. Of white errors it
    grows with the side of the patch: those weights are for HR patches around 200.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, C, H, W)` to a float32 scalar."""
        # The transform is linear: one of the difference does for both.
        spectrum = torch.fft.fft2(sr.float() - hr.float())
        return torch.view_as_real(spectrum).abs().mean()
