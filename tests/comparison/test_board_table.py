"""The table behind every format: order, places, marks, remarks."""

import re

import pytest

from sr_lightning.comparison.board_table import board_tables, count
from sr_lightning.comparison.ranking import compare


@pytest.fixture
def table(runs_of):
    """`table({...}, {...})`: the only table of runs with these facts."""

    def make(*facts):
        [found] = board_tables(compare(runs_of(*facts)))
        return found

    return make


def test_lines_in_order(table):
    found = table(
        {"gain": 1, "model": "srresnet"}, {"gain": 2, "model": "edsr"}, {"model": "srgan", "gan": True},
        {"status": "failed", "model": "srcnn"},
    )  # fmt: skip
    assert [(line.kind, line.name, line.rank) for line in found.lines] == [
        ("bicubic", "bicubic", None),
        ("published", "srresnet, published", None),
        ("published", "edsr, published", None),
        ("ours", "edsr l1", 1),
        ("ours", "srresnet l1", 2),
        ("ours", "srgan l1", None),
        ("waiting", "srcnn l1", None),
    ]
    assert found.metrics == ("psnr", "ssim", "lpips")
    assert (found.title, found.scale, found.images["Set14"]) == ("x4", 4, 14)
    assert found.lines[0].value("Set5", "psnr").text("psnr") == "28.40"
    assert found.lines[1].value("Set5", "psnr").text("psnr") == "32.05"
    assert found.lines[1].value("Set5", "lpips") is None
    assert found.lines[6].remark == "failed at step 8,000 of 20,000"
    assert found.lines[6].value("Set5", "psnr") is None
    assert [line.front for line in found.lines[3:6]] == [1, 2, 1]
    assert found.notes == ("GANs have no rank by PSNR; front 1 is what no row beats in both PSNR and LPIPS.",)


def test_the_best_and_the_second_by_what_is_printed(table):
    found = table(
        {"gain": 3},
        {"gain": 3.0001, "loss": "mse"},
        {"gain": 1, "loss": "charbonnier"},
        {"gain": 0.5, "model": "srcnn"},
    )
    best = [line.value("BSD100", "ssim").place for line in found.lines if line.kind == "ours"]
    # Seeds move synthetic runs by hundredths of a decibel.
    assert sorted(place or 9 for place in best) in ([1, 1, 2, 9], [1, 2, 9, 9])
    assert [line.value("Set5", "psnr").place for line in found.lines if line.kind == "bicubic"] == [None]


def test_alone_nothing_is_best(table):
    found = table({"gain": 3})
    assert [line.value("Set5", "psnr").place for line in found.lines] == [None, None]
    assert not found.marked
    assert found.verdict is None


def test_gans_do_not_compete_by_psnr_but_by_perception(table):
    found = table({"gain": 1}, {"gain": 0.5, "loss": "mse"}, {"gain": 9, "model": "srgan", "gan": True})
    gan = found.lines[-1]
    assert gan.gan
    assert gan.value("Set5", "psnr").mean > found.lines[1].value("Set5", "psnr").mean
    assert (gan.value("Set5", "psnr").place, gan.value("Set5", "lpips").place) == (None, 1)
    assert [line.value("Set5", "psnr").place for line in found.lines[1:3]] == [1, 2]


@pytest.mark.parametrize(("gains", "sure"), [((3, 2), True), ((2.001, 2), False)])
def test_marked_only_where_the_interval_excludes_zero(table, gains, sure):
    facts = [
        {"gain": gain, "loss": loss, "seed": seed}
        for gain, loss in zip(gains, ("l1", "mse"), strict=True)
        for seed in (1, 2, 3)
    ]
    found = table(*facts)
    values = [line.value("BSD100", "psnr") for line in found.lines if line.kind == "ours"]
    assert [value.sure for value in values] == [sure, False]
    assert all(value.deviation is not None for value in values)
    assert found.marked == sure
    if sure:
        assert found.verdict.startswith("edsr_baseline l1 less edsr_baseline mse: +1.0")
        assert "edsr_baseline l1 is better. 3 and 3 seeds: training noise is in" in found.verdict
    else:
        assert "Cannot tell which is better: the interval holds 0." in found.verdict


def test_remarks(table):
    found = table(
        {"seed": 1}, {"seed": 2, "status": "failed"}, {"loss": "mse", "overlap": [{}], "features": {"vgg": "random"}}
    )
    remarks = {line.name: line.remark for line in found.lines}
    assert remarks["edsr_baseline l1"] == "1 more run left out"
    assert remarks["edsr_baseline mse"] == "trained on images it is scored on, RANDOM features in its loss"


def test_a_gan_on_a_front_by_detail_says_that_noise_would_do_too(table):
    found = table({"gain": 1}, {"model": "srgan", "gan": True, "lpips": False})
    assert found.metrics == ("psnr", "ssim", "lsd")
    assert found.notes == (
        "GANs have no rank by PSNR; front 1 is what no row beats in both PSNR and LSD, since not all rows have LPIPS. "
        "LSD is the log-spectral distance, no perceptual metric: noise lowers it too.",
    )


def test_averaged_weights_are_told_once_and_held_against_the_others(table):
    """By the label where it tells runs apart, else by a remark; the bootstrap pairs them as it does any two."""
    seeds = [{"gain": 3, "ema": 0.999, "seed": seed} for seed in (1, 2)] + [
        {"gain": 2, "seed": seed} for seed in (1, 2)
    ]
    found = table(*seeds, {"model": "srcnn", "ema": 0.999})
    ours = [(line.name, line.rank, line.seeds, line.remark) for line in found.lines if line.kind == "ours"]
    assert ours == [
        ("edsr_baseline l1 EMA", 1, 2, ""), ("edsr_baseline l1", 2, 2, ""), ("srcnn l1", 3, 1, "EMA weights"),
    ]  # fmt: skip
    assert found.verdict.startswith("edsr_baseline l1 EMA less edsr_baseline l1: +1.0")
    assert "edsr_baseline l1 EMA is better." in found.verdict


@pytest.mark.parametrize(("gain", "said"), [(-2.26, True), (0.5, False)])
def test_a_leader_below_bicubic_is_called_so(table, gain, said):
    found = table({"gain": gain}, {"gain": gain - 1, "loss": "mse"})
    pattern = r"Even the first, edsr_baseline l1, is 2\.[1-3]\d dB below bicubic\."
    assert any(re.fullmatch(pattern, note) for note in found.notes) == said


def test_notes(table):
    assert "These images chose the weights: no benchmark." in table({"benchmark": False}).notes[0]


def test_ranked_over_common_sets_is_said(table):
    found = table({"gain": 2}, {"loss": "mse", "images": ("baby", "bird", "butterfly", "head", "woman")})
    assert found.notes == ("Ranked by mean PSNR over the sets that all rows have: Set5.",)


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (7, "7"), (999, "999"), (24_336, "24.3K"), (999_600, "1.00M"), (1_517_571, "1.52M"),
     (43_089_923, "43.1M"), (114_000_000_000, "114G"), (2_895_000_000_000, "2.90T")],
)  # fmt: skip
def test_counts_in_three_digits(number, text):
    assert count(number) == text
