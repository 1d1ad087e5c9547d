import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from sr_lightning.data.image import read_rgb
from sr_lightning.data.sample import sample_images
from sr_lightning.losses.ssim import MSSSIMLoss, SSIMLoss


@pytest.fixture(scope="module")
def pair():
    """A photograph of 192 pixels and a noisy blurred copy."""
    pixels = read_rgb(sample_images()["val"][0])[60:252, 60:252]
    hr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    blurred = torch.nn.functional.avg_pool2d(hr, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    return (blurred + 0.05 * noise).clamp(0, 1), hr


def test_ssim_equals_scikit_image(pair):
    sr, hr = (image[0].permute(1, 2, 0).double().numpy() for image in pair)
    _, full = structural_similarity(
        sr, hr, data_range=1.0, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    expected = np.mean(full[5:-5, 5:-5])
    assert SSIMLoss()(*pair).item() == pytest.approx(1 - expected, abs=2e-5)


def test_ms_ssim_equals_torchmetrics(pair):
    # torchmetrics takes the coarsest scale with its mirrored border, the paper without.
    expected = multiscale_structural_similarity_index_measure(*pair, data_range=1.0)
    assert MSSSIMLoss()(*pair).item() == pytest.approx(1 - expected.item(), abs=1e-3)


def test_ms_ssim_is_the_product_of_torchmetrics_parts(pair):
    sr, hr = (image.double() for image in pair)
    exponents = (0.2, 0.3, 0.5)
    expected = 1.0
    for exponent in exponents[:-1]:
        _, contrast = structural_similarity_index_measure(sr, hr, data_range=1.0, return_contrast_sensitivity=True)
        expected *= contrast.item() ** exponent
        sr, hr = (torch.nn.functional.avg_pool2d(image, 2) for image in (sr, hr))
    _, full = structural_similarity_index_measure(sr, hr, data_range=1.0, return_full_image=True)
    expected *= full[..., 5:-5, 5:-5].mean().item() ** exponents[-1]
    assert MSSSIMLoss(exponents=exponents)(*pair).item() == pytest.approx(1 - expected, abs=1e-5)


def test_ms_ssim_is_of_each_image(pair):
    sr, hr = pair
    both = MSSSIMLoss()(torch.cat([sr, hr]), torch.cat([hr, hr]))
    assert both.item() == pytest.approx(MSSSIMLoss()(sr, hr).item() / 2, abs=1e-6)


@pytest.mark.parametrize(("loss", "side"), [(SSIMLoss(), 11), (MSSSIMLoss(exponents=(0.5, 0.5)), 22)])
def test_contradicting_images_have_a_finite_gradient(loss, side):
    hr = torch.rand(2, 1, side, side)
    sr = (1 - hr).requires_grad_()
    value = loss(sr, hr)
    value.backward()
    assert 0.9 < value.item() <= 2
    assert sr.grad.isfinite().all()


def test_variances_survive_autocast(pair):
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(SSIMLoss()(*pair), SSIMLoss()(pair[0], pair[1]))
        under = MSSSIMLoss()(*pair)
    assert torch.equal(under, MSSSIMLoss()(*pair))


def test_descent_leads_to_hr():
    torch.manual_seed(0)
    hr = torch.rand(1, 1, 16, 16)
    sr = torch.full_like(hr, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([sr], lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        SSIMLoss()(sr, hr).backward()
        optimizer.step()
    assert SSIMLoss()(sr, hr) < 0.05


def test_refusals():
    with pytest.raises(ValueError, match="positive exponent for each scale"):
        MSSSIMLoss(exponents=(0.5, 0))
    with pytest.raises(ValueError, match="SSIM needs patches of at least 11x11 HR pixels, got 10x12"):
        SSIMLoss().check_images(channels=3, height=10, width=12)
    with pytest.raises(ValueError, match="on 5 scales needs patches of at least 176x176"):
        MSSSIMLoss().check_images(channels=3, height=175, width=176)
    MSSSIMLoss().check_images(channels=3, height=176, width=176)
