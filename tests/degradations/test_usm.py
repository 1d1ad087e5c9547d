import numpy as np
import scipy.ndimage
import torch
from torch import Tensor

from sr_lightning.degradations.usm import sharpen


def expected(image: np.ndarray) -> np.ndarray:
    """Of one channel: OpenCV's getGaussianKernel(51, 0) has sigma 8; reflect101 is scipy's mirror."""

    def blur(plane: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(plane, 8.0, mode="mirror", radius=25)

    residual = image - blur(image)
    mask = blur((np.abs(residual) * 255 > 10).astype(float))
    return mask * np.clip(image + 0.5 * residual, 0, 1) + (1 - mask) * image


def test_is_the_published_filter(photograph: Tensor) -> None:
    sharp = sharpen(photograph)
    for channel in range(3):
        reference = expected(photograph[0, channel].double().numpy())
        assert np.abs(sharp[0, channel].numpy() - reference).max() < 2e-3
        assert np.abs(sharp[0, channel].numpy() - reference).mean() < 1e-5
    assert sharp.min() >= 0
    assert sharp.max() <= 1


def test_leaves_alone_what_hardly_differs_from_its_surroundings() -> None:
    image = 0.5 + 0.01 * torch.rand(1, 1, 40, 40)
    assert torch.equal(sharpen(image), image)
