import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from sr_lightning.metrics.ssim import ssim


@pytest.mark.parametrize(("channels", "peak"), [(1, 1.0), (3, 1.0), (3, 255)])
def test_equals_scikit_image_with_the_papers_settings(channels: int, peak: float) -> None:
    hr = torch.rand(3, channels, 21, 16, dtype=torch.float64) * peak
    sr = hr + torch.randn_like(hr) * peak * torch.tensor([0.01, 0.1, 0.5])[:, None, None, None]
    expected = [
        structural_similarity(
            hr[i].numpy(),
            sr[i].numpy(),
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=peak,
        )
        for i in range(len(hr))
    ]
    np.testing.assert_allclose(ssim(sr, hr, peak=peak).numpy(), expected, atol=1e-12)


def test_is_computed_in_float64() -> None:
    hr, sr = torch.rand(2, 1, 3, 16, 16)
    result = ssim(sr, hr)
    assert result.dtype == torch.float64
    assert result.item() == ssim(sr.double(), hr.double()).item()


def test_equal_images_score_one_even_where_black() -> None:
    images = torch.stack([torch.zeros(3, 11, 11), torch.rand(3, 11, 11)])
    assert ssim(images, images).tolist() == pytest.approx([1.0, 1.0], abs=1e-15)


def test_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="images of one shape"):
        ssim(torch.rand(1, 1, 16, 16), torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="at least 11 pixels, got 10x16"):
        ssim(torch.rand(1, 1, 10, 16), torch.rand(1, 1, 10, 16))
