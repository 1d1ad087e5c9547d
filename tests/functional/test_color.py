from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr, ycbcr2rgb

from sr_lightning.functional.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb


def pixel(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.float64).reshape(1, 3, 1, 1) / 255


@pytest.mark.parametrize(
    ("rgb", "luma"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((128, 64, 32), 84.26616471),
    ],
)
def test_luma_of_known_colours(rgb: tuple[int, int, int], luma: float) -> None:
    assert rgb_to_y(pixel(*rgb)).item() * 255 == pytest.approx(luma, abs=5e-9)


def test_ycbcr_equals_scikit_image_both_ways() -> None:
    image = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    expected = rgb2ycbcr(image.numpy(), channel_axis=1)
    np.testing.assert_allclose(rgb_to_ycbcr(image).numpy() * 255, expected, atol=1e-12)
    ycbcr = torch.from_numpy(expected) / 255
    np.testing.assert_allclose(ycbcr_to_rgb(ycbcr).numpy(), ycbcr2rgb(expected, channel_axis=1), atol=1e-12)


def test_ycbcr_equals_matlab(shared: Path) -> None:
    oracle = np.load(shared / "data" / "oracles" / "matlab_imresize" / "butterfly_x3.npz")
    rgb = torch.from_numpy(oracle["im_l"]).permute(2, 0, 1) / 255
    expected = torch.from_numpy(oracle["im_l_ycbcr"]).permute(2, 0, 1)
    assert (rgb_to_ycbcr(rgb) - expected).abs().max() < 1e-12


def test_a_round_trip_changes_nothing_even_outside_the_range() -> None:
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 2e-6)):
        image = torch.rand(2, 3, 4, 4, dtype=dtype) * 2 - 0.5
        back = ycbcr_to_rgb(rgb_to_ycbcr(image))
        assert back.dtype == dtype
        assert (back - image).abs().max() < tolerance


def test_grey_has_no_colour() -> None:
    chroma = rgb_to_ycbcr(torch.rand(1, 1, 4, 4, dtype=torch.float64).expand(1, 3, 4, 4))[:, 1:]
    assert torch.allclose(chroma, torch.full_like(chroma, 128 / 255), rtol=0, atol=1e-14)


def test_y_is_the_first_channel_for_any_leading_axes() -> None:
    image = torch.rand(5, 2, 3, 4, 6)
    assert rgb_to_y(image).shape == (5, 2, 1, 4, 6)
    assert torch.equal(rgb_to_y(image), rgb_to_ycbcr(image)[:, :, :1])
    assert torch.equal(rgb_to_y(image[0, 0]), rgb_to_y(image)[0, 0])


def test_autocast_does_not_lower_the_precision() -> None:
    image = torch.rand(1, 3, 4, 4)
    expected = rgb_to_ycbcr(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(rgb_to_ycbcr(image), expected)


@pytest.mark.parametrize("convert", [rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb])
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (4, 4, 3), (3, 4)])
def test_refuses_what_has_no_three_channels(convert: object, shape: tuple[int, ...]) -> None:
    assert callable(convert)
    with pytest.raises(ValueError, match=r"expected an image \(..., 3, H, W\), got shape"):
        convert(torch.rand(shape))
