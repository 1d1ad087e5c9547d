import numpy as np
import pytest
import scipy.ndimage
import scipy.special
import torch
from torch import Tensor

from sr_lightning.degradations.kernels import gaussian_1d, gaussian_kernels, sinc_kernels


def kernels(
    family: str, sigma: tuple[float, float], *, angle: float = 0.0, beta: float = 1.0, size: int = 21
) -> Tensor:
    made = gaussian_kernels(
        family,
        width=21,
        size=torch.tensor([size]),
        sigma=torch.tensor([sigma], dtype=torch.float64),
        angle=torch.tensor([angle], dtype=torch.float64),
        beta=torch.tensor([beta], dtype=torch.float64),
    )
    return made[0]


def covariance(kernel: Tensor) -> np.ndarray:
    """Of x and y, in pixels squared."""
    offsets = torch.arange(21, dtype=torch.float64) - 10
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    return np.array([[(kernel * a * b).sum().item() for b in (x, y)] for a in (x, y)])


def test_the_isotropic_gaussian_is_scipys() -> None:
    pulse = np.zeros((21, 21))
    pulse[10, 10] = 1
    expected = scipy.ndimage.gaussian_filter(pulse, 1.7, radius=10)
    assert kernels("gaussian", (1.7, 1.7)).numpy() == pytest.approx(expected, abs=1e-12)
    assert kernels("gaussian", (1.7, 1.7), angle=0.4).numpy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("angle", [0.0, 0.5, -1.2, 3.0])
def test_the_anisotropic_gaussian_has_its_covariance(angle: float) -> None:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = rotation @ np.diag([2.5**2, 1.2**2]) @ rotation.T
    assert covariance(kernels("gaussian", (2.5, 1.2), angle=angle)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_families_follow_their_formulas(beta: float) -> None:
    angle, sigma = 0.7, (2.0, 1.1)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(rotation @ np.diag(np.square(sigma)) @ rotation.T)
    place = np.stack(np.meshgrid(np.arange(-10, 11), np.arange(-10, 11)), axis=-1)
    distance = np.einsum("yxa,ab,yxb->yx", place, inverse, place)
    for family, formula in (
        ("generalised", np.exp(-(distance**beta) / 2)),
        ("plateau", 1 / (1 + distance**beta)),
    ):
        made = kernels(family, sigma, angle=angle, beta=beta).numpy()
        assert made == pytest.approx(formula / formula.sum(), abs=1e-12)


def test_the_sinc_follows_its_formula_and_passes_what_is_below_its_cutoff() -> None:
    cutoff = torch.tensor([np.pi / 2, np.pi / 3], dtype=torch.float64)
    made = sinc_kernels(width=21, size=torch.tensor([21, 13]), cutoff=cutoff)
    y, x = np.mgrid[-10:11, -10:11]
    radius = np.hypot(x, y)
    radius[10, 10] = 1.0
    expected = cutoff[0].item() * scipy.special.j1(cutoff[0].item() * radius) / (2 * np.pi * radius)
    expected[10, 10] = cutoff[0].item() ** 2 / (4 * np.pi)
    assert made[0].numpy() == pytest.approx(expected / expected.sum(), abs=1e-7)
    assert made[1, :4].abs().sum() == 0
    response = torch.fft.rfft2(made[0], s=(256, 256)).abs()
    assert response[:, :32].amax() < 1.2  # it rings,
    assert response[0, 0] == pytest.approx(1.0)
    assert response[0, 100:].amax() < 0.15  # and stops what is well above


@pytest.mark.parametrize("size", [1, 7, 13, 21])
def test_all_sum_to_1_are_symmetric_and_stay_in_their_size(size: int) -> None:
    made = [kernels(family, (4.0, 3.0), angle=0.3, beta=1.5, size=size) for family in ("gaussian", "generalised")]
    made.append(kernels("plateau", (4.0, 3.0), angle=0.3, beta=1.5, size=size))
    made.append(sinc_kernels(width=21, size=torch.tensor([size]), cutoff=torch.tensor([2.0], dtype=torch.float64))[0])
    edge = (21 - size) // 2
    for kernel in made:
        assert kernel.sum().item() == pytest.approx(1.0)
        assert torch.allclose(kernel, kernel.flip(0, 1))
        inside = torch.zeros(21, 21, dtype=torch.bool)
        inside[edge : 21 - edge, edge : 21 - edge] = True
        assert kernel[~inside].abs().sum() == 0
        assert (kernel[inside] != 0).all()


def test_one_dimension_makes_matlabs_two() -> None:
    # fspecial("gaussian", 3, 0.5)
    one = gaussian_1d(3, 0.5)
    assert torch.outer(one, one)[0].tolist() == pytest.approx([0.0113, 0.0838, 0.0113], abs=5e-5)
    assert torch.outer(one, one)[1, 1].item() == pytest.approx(0.6193, abs=5e-5)
