import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from sr_lightning.metrics.psnr import psnr


def test_by_hand() -> None:
    hr = torch.zeros(1, 1, 4, 4)
    # Error 0.1 everywhere: 10 log10(1 / 0.01) = 20 dB.
    assert psnr(hr + 0.1, hr).item() == pytest.approx(20.0, abs=1e-6)
    assert psnr(hr + 25.5, hr, peak=255).item() == pytest.approx(20.0, abs=1e-6)


def test_equals_scikit_image_for_each_image() -> None:
    hr = torch.rand(3, 3, 12, 9, dtype=torch.float64)
    sr = hr + torch.randn_like(hr) * torch.tensor([0.01, 0.1, 1.0])[:, None, None, None]
    expected = [peak_signal_noise_ratio(hr[i].numpy(), sr[i].numpy(), data_range=1.0) for i in range(len(hr))]
    np.testing.assert_allclose(psnr(sr, hr).numpy(), expected, atol=1e-10)


def test_is_computed_in_float64() -> None:
    hr = torch.rand(1, 3, 64, 64)
    sr = hr + 1e-3
    result = psnr(sr, hr)
    assert result.dtype == torch.float64
    assert result.item() == psnr(sr.double(), hr.double()).item()


def test_equal_images_are_infinitely_alike() -> None:
    hr = torch.rand(2, 3, 8, 8)
    assert psnr(hr, hr).tolist() == [math.inf, math.inf]


def test_refuses_to_broadcast() -> None:
    with pytest.raises(ValueError, match="images of one shape"):
        psnr(torch.rand(1, 1, 8, 8), torch.rand(1, 3, 8, 8))
