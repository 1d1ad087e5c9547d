"""The log-spectral distance against numpy and scipy, and where its value is known."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, signal
from torch import Tensor

from sr_lightning.metrics.spectrum import log_spectral_distance, radial_power


def power_by_loops(image: np.ndarray) -> np.ndarray:
    """The power at 1, 2, ... cycles along the shorter side of (C, H, W): a whole FFT, and a loop over rings."""
    _, height, width = image.shape
    window = np.outer(*(signal.windows.hann(side, sym=False) for side in (height, width)))
    centred = image - image.mean(axis=(1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(centred * window)) ** 2).mean(axis=0) / (window**2).sum()
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    ring = np.rint(np.sqrt(rows**2 + columns**2) * min(height, width))
    return np.array([power[ring == k].mean() for k in range(1, min(height, width) // 2 + 1)])


def distance_by_loops(sr: np.ndarray, hr: np.ndarray) -> float:
    floor = 1 / 255**2 / 12
    decibel = 10 * np.log10((power_by_loops(hr) + floor) / (power_by_loops(sr) + floor))
    return float(np.sqrt((decibel**2).mean()))


def texture(*shape: int, seed: int = 0) -> Tensor:
    """Noise whose power falls with frequency, as that of photographs does."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, (0, 0, 2, 2), mode="wrap") * 5 + noise
    return torch.from_numpy(0.5 + 0.05 * smooth)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 33, 48), (1, 50, 31), (5, 8, 9)])
def test_as_computed_otherwise(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    hr, sr = random.random(shape), random.random(shape) * 0.3
    np.testing.assert_allclose(radial_power(torch.from_numpy(hr)[None])[0].numpy(), power_by_loops(hr), rtol=1e-9)
    found = log_spectral_distance(torch.from_numpy(sr)[None], torch.from_numpy(hr)[None])
    assert found.item() == pytest.approx(distance_by_loops(sr, hr), rel=1e-9)


def test_equal_images_have_no_distance_and_it_is_symmetric() -> None:
    first, second = texture(2, 3, 40, 56), texture(2, 3, 40, 56, seed=1)
    assert log_spectral_distance(first, first).tolist() == [0.0, 0.0]
    assert torch.equal(log_spectral_distance(first, second), log_spectral_distance(second, first))


def test_images_of_a_batch_are_compared_each_for_itself() -> None:
    hr, sr = texture(2, 1, 24, 32), texture(2, 1, 24, 32, seed=1)
    single = [log_spectral_distance(sr[i : i + 1], hr[i : i + 1]).item() for i in range(2)]
    assert log_spectral_distance(sr, hr).tolist() == pytest.approx(single, rel=1e-12)


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    noise = 0.1 * torch.from_numpy(np.random.default_rng(0).normal(size=(64, 1, 64, 64)))
    np.testing.assert_allclose(radial_power(noise).mean(0).numpy(), 0.01, rtol=0.15)


def test_twice_the_contrast_is_six_decibels() -> None:
    hr = texture(1, 1, 64, 64)
    mean = hr.mean()
    expected = 20 * math.log10(2)
    # The power of rounding, which is added to both, is far below that of this texture.
    assert log_spectral_distance(mean + 2 * (hr - mean), hr).item() == pytest.approx(expected, abs=0.01)
    # The same on a scale of 0..255.
    assert log_spectral_distance(255 * (2 * hr), 255 * hr, peak=255).item() == pytest.approx(expected, abs=0.01)


def test_a_shift_hardly_changes_it_and_blur_does() -> None:
    """PSNR sees it the other way round: of a shifted texture nothing is where it was."""
    hr = texture(1, 1, 256, 256)
    shifted = hr.roll((40, 70), (-2, -1))
    blurred = [
        torch.from_numpy(ndimage.gaussian_filter(hr.numpy(), (0, 0, s, s), mode="wrap")) for s in (0.5, 1.0, 2.0)
    ]
    distances = [log_spectral_distance(image, hr).item() for image in (shifted, *blurred)]
    assert distances[0] < 1
    assert distances == sorted(distances)
    assert distances[2] > 10
    errors = [float((image - hr).square().mean()) for image in (shifted, *blurred)]
    assert errors[0] == max(errors)


def test_a_flat_image_is_finitely_far() -> None:
    flat, hr = torch.full((1, 1, 16, 16), 0.5), texture(1, 1, 16, 16)
    assert log_spectral_distance(flat, flat).item() == 0
    expected = 10 * np.log10(power_by_loops(hr[0].numpy()) * 12 * 255**2 + 1)
    assert log_spectral_distance(flat, hr).item() == pytest.approx(float(np.sqrt((expected**2).mean())), rel=1e-9)


def test_refuses_other_shapes_and_tiny_images() -> None:
    with pytest.raises(ValueError, match="images of one shape"):
        log_spectral_distance(torch.rand(1, 1, 16, 16), torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="sides of at least 8 pixels, got"):
        log_spectral_distance(torch.rand(1, 1, 7, 16), torch.rand(1, 1, 7, 16))
