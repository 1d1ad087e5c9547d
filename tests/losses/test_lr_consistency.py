from fractions import Fraction

import pytest
import torch

from sr_lightning.functional.color import rgb_to_ycbcr
from sr_lightning.functional.resize import imresize
from sr_lightning.losses.lr_consistency import LRConsistencyLoss


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(2, 3, 12, 15), torch.rand(2, 3, 12, 15), torch.rand(2, 3, 4, 5)


def test_against_hr_or_lr(images):
    sr, hr, lr = images
    small = imresize(sr, Fraction(1, 3))
    by_hr = (small - imresize(hr, Fraction(1, 3))).abs().mean()
    torch.testing.assert_close(LRConsistencyLoss()(sr, hr, lr), by_hr)
    torch.testing.assert_close(LRConsistencyLoss(against="lr")(sr, hr, lr), (small - lr).abs().mean())


@pytest.mark.parametrize(("compare", "channels"), [("luma", slice(0, 1)), ("chroma", slice(1, 3))])
def test_luma_and_chroma(images, compare, channels):
    sr, _, lr = images
    expected = (rgb_to_ycbcr(imresize(sr, Fraction(1, 3))) - rgb_to_ycbcr(lr))[:, channels].abs().mean()
    loss = LRConsistencyLoss(against="lr", compare=compare)
    torch.testing.assert_close(loss(*images), expected)


def test_chroma_sees_a_cast_and_no_brightness(images):
    _, hr, lr = images
    loss = LRConsistencyLoss(compare="chroma")
    assert loss(hr + 0.1, hr, lr) == pytest.approx(0, abs=1e-6)
    assert loss(hr + torch.tensor([0.1, 0.0, -0.1]).view(3, 1, 1), hr, lr) > 0.03


def test_details_that_vanish_in_lr_are_free(images):
    _, hr, lr = images
    checks = (torch.arange(12)[:, None] + torch.arange(15)) % 2 - 0.5
    loss = LRConsistencyLoss()
    assert loss(hr + checks, hr, lr) < 0.02 * loss(hr + 0.5, hr, lr)


def test_refusals():
    with pytest.raises(ValueError, match="against must be one of hr, lr; got 'sr'"):
        LRConsistencyLoss(against="sr")
    with pytest.raises(ValueError, match="compare=chroma is of RGB images, got 1 channels"):
        LRConsistencyLoss(compare="chroma").check_images(channels=1, height=8, width=8)
    LRConsistencyLoss().check_images(channels=1, height=8, width=8)
