import numpy as np
import pytest
import scipy.ndimage
import torch

from sr_lightning.degradations.blur_down import BlurDown


def blur(image: np.ndarray, size: int, sigma: float, *, mode: str) -> np.ndarray:
    """`imfilter(image, fspecial("gaussian", size, sigma))`; an even one is centred half a pixel on."""
    x = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(x[:, None] ** 2 + x**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    if size % 2 == 0:
        kernel = np.pad(kernel, ((1, 0), (1, 0)))
    blurred = scipy.ndimage.correlate(image.astype(float), kernel, mode=mode)
    return np.floor(blurred + 0.5).astype(np.uint8)


@pytest.mark.parametrize(("border", "mode"), [("symmetric", "reflect"), ("replicate", "nearest")])
@pytest.mark.parametrize(
    ("scale", "size", "phase"), [(3, 7, 1), (2, 12, 0), (4, 12, 1), (8, 12, 3), (5, 11, 2), (1, 11, 0)]
)
def test_is_the_blur_at_the_middle_of_each_block(scale: int, size: int, phase: int, border: str, mode: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6 * scale, 7 * scale), dtype=np.uint8)
    expected = blur(image, size, 1.6, mode=mode)[phase::scale, phase::scale]
    lr = BlurDown(scale=scale, border=border)(torch.from_numpy(image)[None, None] / 255, samples=[0], seed=0)
    assert np.array_equal((lr[0, 0] * 255).round().to(torch.uint8).numpy(), expected)


def test_a_small_case_by_hand() -> None:
    """A kernel of 3x3 with weights 1/6, 2/3, 1/6: sigma is sqrt(1 / (2 ln 4)); one bright pixel in a block's middle."""
    sigma = float((1 / (2 * np.log(4))) ** 0.5)
    hr = torch.zeros(1, 1, 6, 6)
    hr[0, 0, 1, 1] = 0.9
    hr[0, 0, 4, 3] = 0.6
    lr = BlurDown(scale=3, sigma=sigma, kernel_size=3)(hr, samples=[0], seed=0)
    expected = [[0.9 * 4 / 9, 0.0], [0.0, 0.6 * 2 / 3 / 6]]
    assert (lr[0, 0] - torch.tensor(expected)).abs().max() <= 0.51 / 255


def test_a_kernel_smaller_than_the_block() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 24), dtype=np.uint8)
    lr = BlurDown(scale=8, kernel_size=2)(torch.from_numpy(image)[None, None] / 255, samples=[0], seed=0)
    four = sum(image[3 + y :: 8, 3 + x :: 8].astype(int) for y in (0, 1) for x in (0, 1))
    assert np.array_equal((lr[0, 0] * 255).round().numpy(), (four + 2) // 4)


def test_names_tell_parameters_apart() -> None:
    rules = [BlurDown(scale=3), BlurDown(scale=3, sigma=1.2), BlurDown(scale=3, kernel_size=9), BlurDown(scale=4)]
    assert len({rule.name for rule in [*rules, BlurDown(scale=3, border="replicate")]}) == 5
    assert BlurDown(scale=3).name == "blur_down_x3_1.6_7_symmetric"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 3, "kernel_size": 8}, "kernel_size must be odd at scale 3, got 8"),
        ({"scale": 4, "kernel_size": 7}, "kernel_size must be even at scale 4, got 7"),
        ({"scale": 3, "kernel_size": -1}, "kernel_size must be odd at scale 3, got -1"),
        ({"scale": 3, "sigma": 0.0}, "sigma must be above 0"),
        ({"scale": 3, "border": "zeros"}, "border must be one of symmetric, replicate; got 'zeros'"),
    ],
)
def test_refuses_what_would_shift_or_fail(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlurDown(**arguments)
