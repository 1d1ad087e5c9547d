import numpy as np
import pytest
import scipy.ndimage
import torch

from sr_lightning.degradations.blur import RandomBlur, RandomSinc, filter_each
from sr_lightning.functional.draws import Draws

PUBLISHED = {
    "iso": 0.45,
    "aniso": 0.25,
    "generalised_iso": 0.12,
    "generalised_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}
BLUR = RandomBlur(
    probability=0.8,
    sinc=0.1,
    kinds=PUBLISHED,
    sizes=[7, 21],
    sigma=[0.2, 3.0],
    beta_generalised=[0.5, 4.0],
    beta_plateau=[1.0, 2.0],
)
MANY = 20_000


def draws(number: int = MANY) -> Draws:
    return Draws(range(number), seed=0, purpose="test")


def test_kinds_and_sizes_come_as_often_as_published() -> None:
    blurs = BLUR.draw(draws())
    shares = {kind: (blurs.kind == kind).mean() for kind in (*PUBLISHED, "sinc", "none")}
    expected = {kind: 0.8 * 0.9 * share for kind, share in PUBLISHED.items()} | {"sinc": 0.08, "none": 0.2}
    assert shares == pytest.approx(expected, abs=0.01)
    sizes, counts = np.unique(blurs.size, return_counts=True)
    assert sizes.tolist() == [7, 9, 11, 13, 15, 17, 19, 21]
    assert counts / MANY == pytest.approx(1 / 8, abs=0.01)


def test_what_describes_a_kernel_stays_in_its_range() -> None:
    blurs = BLUR.draw(draws())
    assert blurs.sigma.min() == pytest.approx(0.2, abs=0.01)
    assert blurs.sigma.max() == pytest.approx(3.0, abs=0.01)
    iso = np.isin(blurs.kind, [kind for kind in PUBLISHED if not kind.endswith("aniso")])
    assert (blurs.sigma[iso, 0] == blurs.sigma[iso, 1]).all()
    assert (blurs.angle[iso] == 0).all()
    aniso = np.isin(blurs.kind, [kind for kind in PUBLISHED if kind.endswith("aniso")])
    assert abs(np.corrcoef(blurs.sigma[aniso].T)[0, 1]) < 0.05
    assert blurs.angle[aniso].min() == pytest.approx(-np.pi, abs=0.02)
    assert blurs.angle[aniso].max() == pytest.approx(np.pi, abs=0.02)


def test_shapes_lie_as_often_below_1_as_above() -> None:
    blurs = BLUR.draw(draws())
    generalised = blurs.beta[np.char.startswith(blurs.kind, "generalised")]
    assert (generalised < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert [generalised.min(), generalised.max()] == pytest.approx([0.5, 4.0], abs=0.02)
    plateau = blurs.beta[np.char.startswith(blurs.kind, "plateau")]
    assert (plateau == 1).mean() == pytest.approx(0.5, abs=0.03)
    assert plateau.max() == pytest.approx(2.0, abs=0.02)
    assert (blurs.beta[blurs.kind == "iso"] == 1).all()


def test_only_large_sincs_cut_off_low() -> None:
    blurs = BLUR.draw(draws())
    for large, low in ((False, np.pi / 3), (True, np.pi / 5)):
        cutoff = blurs.cutoff[(blurs.size >= 13) == large]
        assert [cutoff.min(), cutoff.max()] == pytest.approx([low, np.pi], abs=0.01)


def test_the_final_sinc() -> None:
    blurs = RandomSinc(probability=0.8, sizes=[7, 21]).draw(draws())
    assert (blurs.kind == "sinc").mean() == pytest.approx(0.8, abs=0.01)
    assert [blurs.cutoff.min(), blurs.cutoff.max()] == pytest.approx([np.pi / 3, np.pi], abs=0.01)
    assert [blurs.size.min(), blurs.size.max()] == [7, 21]


def test_each_image_gets_its_kernel_as_scipy_would_apply_it() -> None:
    blurs = BLUR.draw(draws(24))
    kernels = blurs.kernels()
    assert kernels.sum((1, 2)).numpy() == pytest.approx(1.0)
    images = torch.rand(24, 2, 30, 25)
    before = images.clone()
    for border, mode in (("reflect", "mirror"), ("symmetric", "reflect"), ("replicate", "nearest")):
        blurred = blurs.apply(images, border)
        for n in range(24):
            for channel in range(2):
                expected = scipy.ndimage.correlate(images[n, channel].double().numpy(), kernels[n].numpy(), mode=mode)
                # Outer rings of less than 1e-4 are left out.
                assert np.abs(blurred[n, channel].numpy() - expected).max() < 2e-4
    assert torch.equal(images, before)
    unblurred = torch.from_numpy(blurs.kind == "none")
    assert unblurred.any()
    assert torch.equal(blurred[unblurred], images[unblurred])


def test_images_smaller_than_the_kernel() -> None:
    kernel = torch.full((1, 21, 21), 1 / 441, dtype=torch.float64)
    image = torch.rand(1, 1, 4, 30)
    expected = scipy.ndimage.uniform_filter(image[0, 0].double().numpy(), 21, mode="mirror")
    assert filter_each(image, kernel)[0, 0].numpy() == pytest.approx(expected, abs=1e-6)


def test_nothing_is_computed_where_nothing_is_blurred() -> None:
    images = torch.rand(2, 3, 8, 8)
    pulse = torch.zeros(2, 21, 21, dtype=torch.float64)
    pulse[:, 10, 10] = 1
    assert filter_each(images, pulse) is images


def test_a_kernel_gives_the_same_beside_larger_ones() -> None:
    blurs = BLUR.draw(draws(16))
    images, kernels = torch.rand(16, 3, 40, 44), blurs.kernels()
    together = filter_each(images, kernels)
    for n in range(16):
        assert torch.equal(filter_each(images[n : n + 1], kernels[n : n + 1])[0], together[n])


def test_words() -> None:
    blurs = BLUR.draw(draws(300))
    words = {kind: blurs.describe(int(np.flatnonzero(blurs.kind == kind)[0])) for kind in np.unique(blurs.kind)}
    assert words["none"] == "none"
    assert words["sinc"].startswith("sinc 0.")
    assert " x " in words["aniso"]
    assert "°" in words["aniso"]
    assert " x " not in words["iso"]
    assert "beta" in words["plateau_aniso"]
    assert words["generalised_iso"].startswith("generalised iso ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": 1.2}, "probability must be a probability in 0..1, got 1.2"),
        ({"kinds": {"round": 1.0}}, "kinds: expected some of iso, .*; got 'round'"),
        ({"kinds": {"iso": 0.0}}, "kinds: expected weights from 0 on, one of them above 0"),
        ({"kinds": {"iso": 1.0, "aniso": -0.1}}, "kinds: expected weights from 0 on"),
        ({"sizes": [7, 20]}, r"sizes must be odd, got \[7, 20\]"),
        ({"sizes": [21, 7]}, r"sizes must be \[lowest, highest\]"),
        ({"sigma": [0.0, 3.0]}, "sigma must be above 0"),
        ({"sigma": [1.0]}, r"sigma must be \[lowest, highest\]"),
        ({"beta_plateau": [1.5, 2.0]}, r"beta_plateau must be \[lowest, highest\] around 1"),
    ],
)
def test_refuses_what_cannot_be_drawn_from(changes: dict[str, object], message: str) -> None:
    arguments = {"probability": 1.0, "sinc": 0.1, "kinds": PUBLISHED, "sizes": [7, 21], "sigma": [0.2, 3.0]}
    RandomBlur(**arguments)
    with pytest.raises(ValueError, match=message):
        RandomBlur(**arguments | changes)
