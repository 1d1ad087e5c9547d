import numpy as np
import pytest
import torch

from sr_lightning.losses.fft import FFTLoss


def test_equals_numpys_transforms():
    random = np.random.default_rng(0)
    sr, hr = random.random((2, 2, 3, 8, 6))
    difference = np.fft.fft2(sr) - np.fft.fft2(hr)
    expected = (np.abs(difference.real) + np.abs(difference.imag)).mean() / 2
    assert FFTLoss()(torch.from_numpy(sr), torch.from_numpy(hr)).item() == pytest.approx(expected, rel=1e-5)


def test_a_wrong_frequency_is_moved_alone():
    places = torch.arange(8)
    hr = torch.full((1, 1, 8, 8), 0.5)
    wave = 0.1 * torch.cos(2 * torch.pi * 2 * places / 8).expand(1, 1, 8, 8)
    sr = (hr + wave).requires_grad_()
    FFTLoss()(sr, hr).backward()
    spectrum = torch.fft.fft2(sr.grad)[0, 0].abs()
    assert spectrum[0, 2] > 0
    # The other places are equal within rounding, where the gradient of an absolute value is a sign.
    assert FFTLoss()(hr + wave, hr).item() == pytest.approx(0.1 * 64 / 2 * 2 / 64 / 2, rel=1e-5)
