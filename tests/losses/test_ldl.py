import numpy as np
import pytest
import torch

from sr_lightning.losses.ldl import LDLLoss


def by_hand(sr, hr, averaged, window):
    """Equations 3 to 7 of the paper, pixel by pixel, in float64."""
    residual = np.abs(sr - hr).sum(1)
    of_average = None if averaged is None else np.abs(averaged - hr).sum(1)
    margin, total = window // 2, 0.0
    for n, image in enumerate(residual):
        padded = np.pad(image, margin, mode="reflect")
        overall = image.var(ddof=1) ** 0.2
        for y, x in np.ndindex(*image.shape):
            local = padded[y : y + window, x : x + window].var(ddof=1)
            weight = 0.0 if of_average is not None and image[y, x] < of_average[n, y, x] else overall * local
            total += (weight * np.abs(sr[n, :, y, x] - hr[n, :, y, x])).sum()
    return total / sr.size


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("window", [3, 7])
def test_equals_the_paper(refine, window):
    sr, hr, averaged = np.random.default_rng(0).random((3, 2, 3, 9, 11))
    images = [torch.from_numpy(image) for image in (sr, hr, *([averaged] if refine else []))]
    expected = by_hand(sr, hr, averaged if refine else None, window)
    assert LDLLoss(window=window, refine=refine)(*images).item() == pytest.approx(expected, rel=1e-4)


def test_the_map_is_a_weight_without_gradient():
    torch.manual_seed(0)
    sr, hr = torch.rand(2, 1, 1, 8, 8)
    sr.requires_grad_()
    loss = LDLLoss(refine=False)
    loss(sr, hr).backward()
    artefacts = loss._artefacts(sr.detach(), hr, None)
    torch.testing.assert_close(sr.grad, artefacts * (sr - hr).sign() / 64)


def test_spares_what_is_better_than_the_average_and_what_errs_evenly():
    hr = torch.rand(1, 3, 12, 12)
    loss = LDLLoss()
    # Nearer everywhere.
    assert loss(hr + 0.1 * torch.rand_like(hr), hr, hr + 0.5) == 0
    # The same error everywhere, and all of it in one place.
    spot = hr.clone()
    spot[..., 5, 5] += 0.5
    assert 0 <= loss(hr + 0.5 / 144, hr, hr) < 1e-3 * loss(spot, hr, hr)


def test_says_what_it_needs():
    assert LDLLoss().needs == ("averaged_sr",)
    assert LDLLoss(refine=False).needs == ()
    with pytest.raises(ValueError, match="odd window from 3 on, got 4"):
        LDLLoss(window=4)
