import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from sr_lightning.degradations.noise import RandomNoise, alias_tables, gaussian, grey, poisson
from sr_lightning.functional.draws import Draws

NOISE = {"gaussian": 0.5, "sigma": [1.0, 30.0], "poisson": [0.05, 3.0], "grey": 0.4}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(number: int, purpose: str = "test") -> Draws:
    return Draws(range(number), seed=0, purpose=purpose)


def with_levels(image: Tensor, number: int) -> Tensor:
    """Gives an image of one level so many in all, in its first row."""
    own = round(float(image[0, 1, 1]) * 255)
    others = [level for level in range(256) if level != own][: number - 1]
    image[:, 0, : number - 1] = torch.tensor(others) / 255
    return image


def test_kinds_and_strengths_come_as_often_as_published() -> None:
    noises = RandomNoise(**NOISE).draw(draws(20_000))
    assert noises.gaussian.mean() == pytest.approx(0.5, abs=0.01)
    assert noises.grey.mean() == pytest.approx(0.4, abs=0.01)
    for kind, (low, high) in ((noises.gaussian, (1, 30)), (~noises.gaussian, (0.05, 3))):
        strength = noises.strength[kind]
        assert [strength.min(), strength.max()] == pytest.approx([low, high], abs=0.01 * high)
        assert strength.mean() == pytest.approx((low + high) / 2, rel=0.02)


def test_gaussian_noise_has_its_variance_and_is_grey_where_it_should_be() -> None:
    only = RandomNoise(**NOISE | {"gaussian": 1.0, "sigma": [12.0, 12.0], "grey": 0.5})
    noises = only.draw(draws(8))
    noise = noises.add(torch.full((8, 3, 128, 128), 0.5), draws(8, "pixels")) - 0.5
    assert noise.std(dim=(1, 2, 3)).mul(255).tolist() == pytest.approx([12.0] * 8, rel=0.02)
    same = (noise[:, 0] == noise[:, 1]).flatten(1).all(1) & (noise[:, 0] == noise[:, 2]).flatten(1).all(1)
    assert same.tolist() == noises.grey.tolist()
    assert 0 < noises.grey.sum() < 8


@pytest.mark.parametrize(("levels", "photons"), [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128), (200, 256)])
def test_poisson_noise_has_the_variance_of_so_many_photons(levels: int, photons: int) -> None:
    for value in (10 / 255, 127 / 255, 1.0):
        image = with_levels(torch.full((1, 400, 400), value), levels)
        assert len(image.unique()) == levels
        noise = poisson(image, generator())[:, 1:]
        assert noise.mean().item() == pytest.approx(0, abs=4 * (value / photons / noise.numel()) ** 0.5)
        assert noise.var().item() == pytest.approx(value / photons, rel=0.03)
        counts = (noise + value) * photons
        assert (counts - counts.round()).abs().max() < 2e-4


@pytest.mark.parametrize("level", [1, 20, 255])
def test_counts_are_distributed_as_scipys(level: int) -> None:
    image = with_levels(torch.full((1, 500, 500), level / 255), 200)
    counts = ((poisson(image, generator(1))[:, 1:] + level / 255) * 256).round().flatten().numpy()
    expected = scipy.stats.poisson(level / 255 * 256)
    edges = np.unique(expected.ppf(np.linspace(0, 1, 22)[1:-1]))
    observed = np.histogram(counts, [-1, *(edges + 0.5), 1e9])[0]
    shares = np.diff([0, *expected.cdf(edges), 1])
    assert scipy.stats.chisquare(observed, shares * len(counts)).pvalue > 0.001


def test_dark_stays_dark() -> None:
    assert (poisson(torch.zeros(3, 16, 16), generator()) == 0).all()


def test_alias_tables_hold_their_distributions() -> None:
    weights = np.random.default_rng(0).random((20, 64)) ** 4
    weights[0] = np.eye(64)[5]
    weights[1] = 1
    tables = alias_tables(weights)
    other, own = np.floor(tables).astype(int), tables % 1
    held = own / 64
    for row in range(20):
        np.add.at(held[row], other[row], (1 - own[row]) / 64)
    assert held == pytest.approx(weights / weights.sum(1, keepdims=True), abs=3e-5)


def test_grey_is_the_luma_of_three_channels_and_the_mean_of_others() -> None:
    image = torch.rand(3, 4, 5)
    assert torch.allclose(grey(image), 0.299 * image[:1] + 0.587 * image[1:2] + 0.114 * image[2:])
    assert torch.allclose(grey(image[:2]), image[:2].mean(0, keepdim=True))


def test_grey_poisson_noise_is_that_of_the_grey_image() -> None:
    noises = RandomNoise(gaussian=0.0, sigma=[0, 0], poisson=[1.0, 1.0], grey=1.0).draw(draws(1))
    image = 0.2 + 0.6 * torch.rand(1, 3, 32, 32)
    noise = noises.add(image, draws(1, "pixels")) - image
    expected = poisson(grey(image[0]), draws(1, "pixels").generator(0))
    assert torch.allclose(noise[0], expected.expand(3, -1, -1).clamp(-image[0], 1 - image[0]), atol=1e-6)


def test_noise_is_clipped_and_leaves_its_input() -> None:
    images = torch.rand(2, 3, 32, 32)
    before = images.clone()
    noisy = RandomNoise(**NOISE | {"sigma": [200, 200], "gaussian": 1.0}).draw(draws(2)).add(images, draws(2, "pixels"))
    assert torch.equal(images, before)
    assert [noisy.min().item(), noisy.max().item()] == [0, 1]


def test_each_generator_gives_its_own_noise() -> None:
    image = torch.zeros(1, 8, 8)
    assert torch.equal(gaussian(image, generator(3)), gaussian(image, generator(3)))
    assert not torch.equal(gaussian(image, generator(3)), gaussian(image, generator(4)))


def test_words() -> None:
    noises = RandomNoise(**NOISE).draw(draws(100))
    words = [noises.describe(n) for n in range(100)]
    assert {word.split()[0] for word in words} == {"gaussian", "poisson"}
    assert [word.endswith(" grey") for word in words] == noises.grey.tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gaussian": -0.1}, "gaussian must be a probability in 0..1, got -0.1"),
        ({"grey": 2}, "grey must be a probability"),
        ({"sigma": [30, 1]}, r"sigma must be \[lowest, highest\] with 0 <= lowest <= highest, got \[30, 1\]"),
        ({"poisson": [-1, 1]}, "poisson must be"),
    ],
)
def test_refuses_what_cannot_be_drawn_from(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandomNoise(**NOISE | changes)
