"""The bootstrap against scipy, against its own formula, and against the truth in simulations."""

import numpy as np
import pytest
import scipy.stats

from sr_lightning.comparison.statistics import (
    Difference,
    Group,
    in_words,
    interval,
    paired_difference,
    resampled,
    student_quantile,
    tail,
)


def images(values):
    return {"Set5": {f"image{number}": float(value) for number, value in enumerate(values)}}


@pytest.mark.parametrize("freedom", [1, 1.5, 2, 4, 4.7, 13, 99, 500])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.995])
def test_student_quantile(freedom, probability):
    assert student_quantile(probability, freedom) == pytest.approx(scipy.stats.t.ppf(probability, freedom), rel=1e-4)


@pytest.mark.parametrize("count", [5, 14, 100])
def test_one_seed_is_scipys_bootstrap_of_paired_differences(count):
    random = np.random.default_rng(count)
    a = random.normal(28, 3, count)
    b = a - random.gamma(2, 0.1, count)
    differences = a - b
    # The expanded percentile interval (Hesterberg 2015): quantiles as far out as Student's, deviations widened.
    level = 1 - 2 * scipy.stats.norm.cdf(-scipy.stats.t.ppf(0.975, count - 1))
    percentile = scipy.stats.bootstrap(
        (differences,), np.mean, confidence_level=level, method="percentile", n_resamples=200_000, rng=1, batch=20_000
    ).confidence_interval
    widening = np.sqrt(count / (count - 1))
    expected = [differences.mean() + widening * (end - differences.mean()) for end in percentile]
    group = [Group(a[None], b[None])]
    assert tail(group) == pytest.approx((1 - level) / 2, rel=1e-3)
    assert interval(group) == pytest.approx(expected, abs=0.08 * (expected[1] - expected[0]))
    values = resampled(group, count=50_000)
    assert values.mean() == pytest.approx(differences.mean(), abs=4 * values.std() / np.sqrt(50_000))
    # What a resample varies by is the unbiased standard error.
    assert values.std() == pytest.approx(scipy.stats.sem(differences), rel=0.02)


def test_seeds_are_crossed_with_images():
    """The variance of resamples is the sum over images and over seeds of each side, each unbiased."""
    random = np.random.default_rng(0)
    a = 30 + random.normal(0, 0.2, (1, 50)) + random.normal(0, 0.1, (4, 1))
    b = 30 + random.normal(0, 0.2, (1, 50)) + random.normal(0, 0.05, (3, 1))
    of_images = (a.mean(0) - b.mean(0)).var(ddof=1) / 50
    of_seeds = a.mean(1).var(ddof=1) / 4 + b.mean(1).var(ddof=1) / 3
    assert resampled([Group(a, b)], count=100_000).var() == pytest.approx(of_images + of_seeds, rel=0.03)
    # A run is the same network on all sets: its seed's luck does not average out over them.
    twice = resampled([Group(a, b), Group(a, b)], count=100_000).var()
    assert twice == pytest.approx(of_images / 2 + of_seeds, rel=0.03)


@pytest.mark.parametrize(("count", "seeds"), [(5, 1), (14, 1), (20, 3), (100, 2)])
def test_the_interval_holds_the_truth_nearly_as_often_as_it_says(count, seeds):
    random = np.random.default_rng(count)
    held, trials = 0, 150
    for _ in range(trials):
        noise = random.normal(0, 0.05 * (seeds > 1), (2, seeds, 1)) + random.normal(0, 0.03, (2, seeds, count))
        a = 0.3 + random.normal(0, 0.15, count) + noise[0]
        low, high = interval([Group(a, noise[1])])
        held += low <= 0.3 <= high
    # Three standard deviations below 92 %; percentile intervals fall below it.
    assert held / trials >= 0.85


def test_only_shared_images_count_and_infinite_scores_do_not():
    first = [{"Set5": {"a": 30.0, "b": 31.0, "c": 32.0, "equal": None}}]
    second = [{"Set5": {"b": 30.5, "c": 31.0, "d": 5.0, "equal": 40.0}, "Set14": {"a": 1.0}}]
    found = paired_difference(first, second)
    assert (found.mean, found.images, found.all_images, found.seeds) == (pytest.approx(0.75), 2, 6, (1, 1))
    assert paired_difference(first, [{"Set5": {"x": 1.0}}]) is None
    assert "2 of 6 images are scored on both sides; only they count." in in_words(found, names=("a", "b"))


def test_sets_count_alike():
    first = [{"small": {"a": 31.0, "b": 31.0}, "large": {str(k): 30.0 for k in range(100)}}]
    second = [{"small": {"a": 30.0, "b": 30.0}, "large": {str(k): 30.0 for k in range(100)}}]
    assert paired_difference(first, second).mean == pytest.approx(0.5)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_than_five_images_have_no_interval(count):
    found = paired_difference([images(range(30, 30 + count))], [images(range(29, 29 + count))])
    assert (found.mean, found.low, found.high, found.images) == (1, None, None, count)
    assert found.verdict() == "cannot tell"
    assert in_words(found, names=("A", "B")) == "A less B: +1.00 dB. Cannot tell: fewer than 5 images have no interval."


def test_equal_scores_and_equal_differences():
    scores = [30, 31, 32, 33, 34]
    same = paired_difference([images(scores)], [images(scores)])
    assert (same.mean, same.low, same.high, same.verdict()) == (0, 0, 0, "the same")
    less = [images(score - 1 for score in scores)]
    assert paired_difference([images(scores)], less).verdict() == "better"
    assert paired_difference(less, [images(scores)]).verdict() == "worse"


def test_resamples_follow_from_the_seed():
    random = np.random.default_rng(1)
    sides = [images(random.normal(30, 1, 14))], [images(random.normal(30, 1, 14))]
    assert paired_difference(*sides, seed=3) == paired_difference(*sides, seed=3)
    assert paired_difference(*sides, seed=3) != paired_difference(*sides, seed=4)
    there, back = paired_difference(*sides), paired_difference(*reversed(sides))
    assert (there.mean, there.low) == (pytest.approx(-back.mean), pytest.approx(-back.high))


def difference(mean=0.2, low=0.1, high=0.3, count=100, seeds=(5, 5)):
    return Difference(mean, low, high, count, count, seeds)


@pytest.mark.parametrize(
    ("found", "expected", "not_said"),
    [
        (difference(), "A less B: +0.20 dB, 95 % interval +0.10 to +0.30. A is better.", "seed"),
        (difference(-0.2, -0.3, -0.1), "B is better.", "noise"),
        (difference(low=-0.1), "Cannot tell which is better: the interval holds 0.", "is better."),
        (difference(count=5), "5 images speak of photographs like these, not of a benchmark.", "seed"),
        (difference(seeds=(1, 1)), "One seed each: training noise is not in the interval", "images speak"),
        (difference(seeds=(3, 1)), "3 and 1 seeds: training noise of the side with one seed is not in", "One seed"),
        (difference(seeds=(3, 2)), "3 and 2 seeds: training noise is in the interval, roughly known.", "one seed"),
        (difference(0, 0, 0), "Both have the same scores.", "better"),
    ],
)
def test_in_words(found, expected, not_said):
    said = in_words(found, names=("A", "B"))
    assert expected in said
    assert not_said not in said


def test_less_may_be_better():
    found = difference(0.02, 0.01, 0.03)
    assert found.verdict(lower_is_better=True) == "worse"
    said = in_words(found, names=("A", "B"), unit="", lower_is_better=True)
    assert "A less B: +0.0200, 95 % interval +0.0100 to +0.0300. B is better." in said
