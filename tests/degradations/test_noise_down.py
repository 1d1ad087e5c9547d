import pytest
import torch

from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.degradations.noise_down import NoiseDown


def test_is_bicubic_with_noise_of_the_level_that_is_white_in_space_and_colour() -> None:
    hr = torch.full((2, 3, 288, 288), 0.5)
    lr = NoiseDown(scale=3)(hr, samples=[0, 1], seed=0)
    noise = lr * 255 - 128
    assert abs(noise.mean().item()) < 0.6
    assert noise.std().item() == pytest.approx(30, rel=0.01)
    for shifted in (noise.roll(1, 3), noise.roll(1, 2), noise.roll(1, 1), noise.roll(1, 0)):
        assert abs((noise * shifted).mean().item()) < 0.02 * 900


def test_without_noise_it_is_bicubic() -> None:
    hr = torch.rand(1, 3, 24, 36)
    expected = Bicubic(scale=3)(hr, samples=[0], seed=0)
    assert torch.equal(NoiseDown(scale=3, sigma=0)(hr, samples=[0], seed=0), expected)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_margin_is_what_bicubic_reaches(scale: int) -> None:
    degradation = NoiseDown(scale=scale, sigma=0)
    hr = torch.rand(1, 3, 12 * scale, 14 * scale)
    whole = degradation(hr, samples=[0], seed=0)
    margin, cut = degradation.margin, degradation.margin // scale
    patch = hr[..., 4 * scale - margin : 8 * scale + margin, 5 * scale - margin : 9 * scale + margin]
    assert torch.equal(degradation(patch, samples=[0], seed=0)[..., cut:-cut, cut:-cut], whole[..., 4:8, 5:9])


def test_the_level_is_part_of_the_name_and_not_negative() -> None:
    assert NoiseDown(scale=3).name == "noise_down_x3_30"
    assert NoiseDown(scale=3, sigma=12.5).name == "noise_down_x3_12.5"
    with pytest.raises(ValueError, match="sigma must be at least 0"):
        NoiseDown(scale=3, sigma=-1)
