"""The browser's bootstrap, fronts and words, against those of `comparison.statistics` and by hand."""

import numpy as np
import pytest

from sr_lightning.comparison.pareto import pareto_fronts
from sr_lightning.comparison.statistics import Group, interval, paired_difference, student_quantile
from tests.comparison.test_page_table import settle


@pytest.fixture(scope="module")
def script(opened, some_runs):
    with opened(some_runs) as page:
        yield page.evaluate


@pytest.mark.parametrize(("seeds", "images"), [((1, 1), 5), ((3, 2), 14), ((5, 1), 100)])
def test_intervals_agree_with_python(script, seeds, images):
    random = np.random.default_rng(images)
    level = random.normal(30, 3, images)
    first, second = (
        level + random.normal(shift, 0.05, (count, 1)) + random.normal(0, 0.2, (count, images))
        for count, shift in zip(seeds, (0.1, 0.0), strict=True)
    )
    groups = [{"first": first.tolist(), "second": second.tolist()}]
    found = script("groups => { const {samples, ...rest} = bootstrap(groups); return rest; }", groups)
    low, high = interval([Group(first, second)])
    assert found["difference"] == pytest.approx(first.mean() - second.mean())
    # Of 10,000 resamples each, quantiles lie within a few percent of the width of each other.
    assert [found["low"], found["high"]] == pytest.approx([low, high], abs=0.06 * (high - low))
    assert found["images"] == images
    assert found["seeds"] == list(seeds)


def test_several_sets_count_alike_as_in_python(script):
    random = np.random.default_rng(0)
    groups = [Group(random.normal(1 + size, 0.1, (3, size)), random.normal(0, 0.1, (2, size))) for size in (5, 50)]
    found = script(
        "groups => { const {samples, ...rest} = bootstrap(groups); return rest; }",
        [{"first": group.first.tolist(), "second": group.second.tolist()} for group in groups],
    )
    low, high = interval(groups)
    assert found["difference"] == pytest.approx(np.mean([group.first.mean() - group.second.mean() for group in groups]))
    assert [found["low"], found["high"]] == pytest.approx([low, high], abs=0.06 * (high - low))


def test_the_same_draws_each_time_and_even_ones(script):
    assert script("[1, 1].map(seed => randomNumbers(seed)()).every((value, _, all) => value === all[0])")
    drawn = script("(() => { const random = randomNumbers(7); return Array.from({length: 20000}, random); })()")
    counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 30


@pytest.mark.parametrize("freedom", [1, 2.5, 4, 30, 1000])
def test_quantiles_of_t(script, freedom):
    assert script("freedom => studentQuantile(0.975, freedom)", freedom) == pytest.approx(
        student_quantile(0.975, freedom), rel=1e-4
    )


def test_the_normal_distribution(script):
    assert script("[-1.959964, 0, 1].map(normalShareBelow)") == pytest.approx([0.025, 0.5, 0.8413447], abs=1e-6)


def test_fronts_agree_with_python(script):
    points = np.random.default_rng(0).integers(0, 9, (40, 2)).tolist()
    assert script("points => fronts(points)", points) == pareto_fronts(points, ("max", "max"))


def test_equal_scores(script):
    group = "{first: [[1, 2, 3, 4, 5]], second: [[1, 2, 3, 4, 5]]}"
    assert script(f"(() => {{ const {{low, high}} = bootstrap([{group}]); return [low, high]; }})()") == [0, 0]


@pytest.mark.parametrize("sizes", [(1,), (2,), (4,), (5,), (2, 3), (4, 1), (1, 1, 1, 1, 1, 1)])
def test_too_few_images_have_no_interval_here_nor_in_python(script, sizes):
    """The page must not claim what the tables of the same runs call chance."""
    random = np.random.default_rng(0)
    first, second = ([random.normal(mean, 0.1, size).tolist() for size in sizes] for mean in (31, 30))
    groups = [{"first": [a], "second": [b]} for a, b in zip(first, second, strict=True)]
    here = script("groups => bootstrap(groups).low", groups)
    sides = ([{str(k): dict(enumerate(scores)) for k, scores in enumerate(side)}] for side in (first, second))
    there = paired_difference(*sides)
    assert (here is None) == (there.low is None) == (sum(sizes) < 5 or min(sizes) < 2)


def test_words_say_what_few_images_and_seeds_tell(page):
    page.evaluate("goTo('significance')")
    page.wait_for_selector("#test svg")
    page.select_option("#test-set", "Set5")
    settle(page)
    words = " ".join(page.inner_text("#test .words").split())
    assert "edsr l1 x4 less srresnet l1 x4, PSNR on Set5." in words
    assert "10,000 resamples of 5 images, 3 seeds against 1." in words
    assert "5 images cannot settle much: even a win on every one has p = 0.063 in a sign test." in words
    assert "Training noise of the side with one seed is not in the interval." in words
    assert page.locator("#test .bars rect").count() == 5
    assert page.locator("#test .histogram rect").count() == 48
    page.select_option("#second-side", "e1")
    page.select_option("#test-metric", "lpips")
    settle(page)
    words = page.inner_text("#test .words")
    assert words.startswith("−0.0")
    assert "edsr l1 x4 is better: the interval leaves zero out." in words
    assert "Training noise is in the interval, roughly known from so few seeds." in words
    page.select_option("#test-set", "*")
    page.select_option("#test-metric", "psnr")
    settle(page)
    assert page.locator("#test .bars rect").count() == 119


def test_one_experiment_has_nothing_to_be_compared_with(opened, some_runs):
    with opened(some_runs, address="#board=1&section=significance") as page:
        page.wait_for_selector("#test p")
        assert page.inner_text("#test") == "It takes two finished experiments of the board."
