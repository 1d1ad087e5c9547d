"""MS-SSIM against scikit-image, torchmetrics and a plain numpy loop."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as of_torchmetrics
from torchmetrics.functional.image.ssim import _ssim_update

from sr_lightning.metrics.ms_ssim import SMALLEST_SIDE, ms_ssim

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def images(*shape: int, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(shape[0], shape[1], 12, 12, generator=generator, dtype=torch.float64)
    hr = F.interpolate(coarse, size=shape[2:], mode="bilinear").clamp(0, 1)
    return (hr + noise * torch.randn(shape, generator=generator, dtype=torch.float64)).clamp(0, 1), hr


def halved(image: np.ndarray) -> np.ndarray:
    rows, columns = (side // 2 * 2 for side in image.shape)
    return image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))


def contrast(first: np.ndarray, second: np.ndarray) -> float:
    """Wang et al. 2004, the product of contrast and structure, where the whole window lies inside."""
    places = np.arange(11) - 5.0
    taps = np.exp(-(places**2) / (2 * 1.5**2))
    taps /= taps.sum()

    def mean(x: np.ndarray) -> np.ndarray:
        return convolve1d(convolve1d(x, taps, axis=0), taps, axis=1)[5:-5, 5:-5]

    covariance = mean(first * second) - mean(first) * mean(second)
    variances = mean(first**2) - mean(first) ** 2 + mean(second**2) - mean(second) ** 2
    return float(((2 * covariance + 0.03**2) / (variances + 0.03**2)).mean())


def test_is_the_papers_formula_by_other_programs() -> None:
    """SSIM by scikit-image on the coarsest scale, contrast by torchmetrics and by numpy on the others."""
    sr, hr = images(1, 1, 197, 180)  # odd sides: what 2x2 pixels do not cover is left out
    first, second = sr[0, 0].numpy(), hr[0, 0].numpy()
    expected = 1.0
    for exponent in EXPONENTS[:-1]:
        planes = [torch.from_numpy(each)[None, None] for each in (first, second)]
        factor = contrast(first, second)
        _, by_torchmetrics = _ssim_update(*planes, data_range=1.0, return_contrast_sensitivity=True)
        assert factor == pytest.approx(float(by_torchmetrics), rel=1e-9)
        expected *= factor**exponent
        first, second = halved(first), halved(second)
    _, whole = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    expected *= whole[5:-5, 5:-5].mean() ** EXPONENTS[-1]
    assert ms_ssim(sr, hr).item() == pytest.approx(expected, rel=1e-9)


def test_of_batches_channels_and_ranges() -> None:
    sr, hr = images(2, 3, 176, 180)
    found = ms_ssim(sr, hr)
    assert (found.shape, found.dtype) == ((2,), torch.float64)
    assert found[1].item() == pytest.approx(ms_ssim(sr[1:], hr[1:]).item(), rel=1e-12)
    assert ms_ssim(sr * 255, hr * 255, peak=255).tolist() == pytest.approx(found.tolist(), rel=1e-9)
    assert ms_ssim(hr, hr).tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    # But for the padding of the coarsest scale.
    assert found.tolist() == pytest.approx(of_torchmetrics(sr, hr, data_range=1.0, reduction="none").tolist(), abs=0.01)


def test_images_that_contradict_each_other_have_none() -> None:
    _, hr = images(1, 1, 176, 176)
    assert ms_ssim(1 - hr, hr).item() == 0.0


def test_refuses_other_shapes_and_small_images() -> None:
    assert SMALLEST_SIDE == 176
    with pytest.raises(ValueError, match="MS-SSIM needs sides of at least 176 pixels, got 175x300"):
        ms_ssim(torch.rand(1, 1, 175, 300), torch.rand(1, 1, 175, 300))
    with pytest.raises(ValueError, match="images of one shape"):
        ms_ssim(torch.rand(1, 1, 176, 176), torch.rand(1, 1, 176, 177))
