"""Who leads, and who is not asked."""

import os

import numpy as np
import pytest

from sr_lightning.comparison.ranking import compare
from sr_lightning.comparison.runs import read_run


@pytest.fixture
def board(runs_of):
    """`board({...}, {...})`: the only board of runs with these facts, its order, and the comparison."""

    def make(*facts):
        comparison = compare(runs_of(*facts))
        [(found, order)] = comparison.boards
        return found, order, comparison

    return make


def test_seeds_are_one_row_in_order_of_the_mean(board):
    facts = [{"gain": gain, "seed": seed, "loss": loss} for loss, gain in (("mse", 1), ("l1", 3)) for seed in (1, 2, 3)]
    found, order, comparison = board(*facts)
    assert [(row.rank, row.runs) for row in order.rows] == [(1, (3, 4, 5)), (2, (0, 1, 2))]
    assert [comparison.names[row.experiment] for row in order.rows] == ["edsr_baseline l1 x4", "edsr_baseline mse x4"]
    scores = [found.scores[number]["Set5"]["psnr"] for number in (3, 4, 5)]
    assert order.rows[0].scores["Set5"]["psnr"] == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))
    means = [np.mean([found.scores[number][name]["psnr"] for name in found.sets]) for number in (3, 4, 5)]
    assert order.rows[0].mean["psnr"] == pytest.approx((np.mean(means), np.std(means, ddof=1)))
    assert order.perceptual is None


def test_ranked_over_the_sets_that_all_have(board):
    """The second has a high score on an easy set alone: it does not lead by that."""
    found, order, _ = board(
        {"gain": 2}, {"gain": 1, "images": ("baby", "bird", "butterfly", "head", "woman"), "loss": "mse"}
    )
    assert found.sets == ("Set5", "Set14", "BSD100")
    assert order.common_sets == ("Set5",)
    assert [row.runs for row in order.rows] == [(0,), (1,)]
    assert order.rows[0].mean["psnr"].mean == order.rows[0].scores["Set5"]["psnr"].mean
    assert order.rows[0].mean["psnr"].deviation is None


class Still:
    """Draws nothing."""

    def normal(self, mean, deviation, size=None):
        return np.full(size or (), mean)


def test_equal_scores_share_a_rank(synthetic_runs, tmp_path):
    facts = {"a": {"gain": 2}, "b": {"gain": 2, "loss": "mse"}, "c": {"gain": 1, "loss": "charbonnier"}}
    # Losses move the scores of synthetic runs where no gain is given.
    runs = [synthetic_runs.write_run(tmp_path / name, random=Still(), **fact) for name, fact in facts.items()]
    [(_, order)] = compare([read_run(folder) for folder in runs]).boards
    assert [row.rank for row in order.rows] == [1, 1, 3]


def test_gans_stand_on_fronts_and_have_no_rank(board):
    _, order, _ = board(
        {"gain": 3, "model": "edsr"}, {"gain": 1, "model": "srcnn"},
        {"gain": 3, "gan": True, "model": "srgan"}, {"gain": 1, "gan": True, "model": "srgan", "loss": "mse"},
    )  # fmt: skip
    assert order.gans
    assert order.perceptual == "lpips"
    # Neither beats the other: more PSNR here, less LPIPS there. What loses both stands behind.
    assert [(row.runs[0], row.rank, row.front) for row in order.rows] == [
        (0, 1, 1), (1, 2, 2), (2, None, 1), (3, None, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(("lpips", "lsd", "expected"), [(False, True, "lsd"), (False, False, None)])
def test_the_plane_needs_a_metric_that_all_have(synthetic_runs, tmp_path, lpips, lsd, expected):
    random = np.random.default_rng(0)
    runs = [
        read_run(synthetic_runs.write_run(tmp_path / "a", random=random)),
        read_run(synthetic_runs.write_run(tmp_path / "b", random=random, model="srgan", gan=True, lpips=lpips)),
    ]
    if not lsd:
        for scores in runs[0].metrics.values():
            del scores["lsd"]
    [(_, order)] = compare(runs).boards
    assert order.perceptual == expected
    assert [row.front is not None for row in order.rows] == [expected is not None] * 2


def test_what_has_not_finished_comes_last_and_other_seeds_stay(board):
    _, order, comparison = board(
        {"status": "failed", "loss": "mse"}, {"seed": 1}, {"seed": 2, "status": "interrupted"}, {"seed": 3},
        {"status": "running", "model": "srgan", "gan": True},
    )  # fmt: skip
    assert [(row.runs, row.left_out, row.rank, row.waiting) for row in order.rows] == [
        ((1, 3), (2,), 1, False), ((0,), (), None, True), ((4,), (), None, True),
    ]  # fmt: skip
    assert order.rows[1].mean == {}
    assert order.perceptual is None
    assert [comparison.runs[row.runs[0]].status for row in order.rows[1:]] == ["failed", "stopped"]


def test_of_one_seed_the_last_run_counts(board):
    """Two runs of one seed are no two measures of what training draws."""
    _, order, _ = board({"seed": 1}, {"seed": 1}, {"seed": 2})
    [row] = order.rows
    assert (row.runs, row.left_out) == ((1, 2), (0,))


@pytest.mark.parametrize(("times", "counts"), [((200, 100), 0), ((100, 200), 1), ((100, 100), 1)])
def test_the_last_run_is_the_one_that_ended_last_whatever_its_folder_is_called(synthetic_runs, tmp_path, times, counts):
    folders = [synthetic_runs.write_run(tmp_path / name, random=np.random.default_rng(0)) for name in ("a", "b")]
    for folder, time in zip(folders, times, strict=True):
        os.utime(folder / "results.json", (time, time))
    [(_, order)] = compare([read_run(folder) for folder in folders]).boards
    assert [row.runs for row in order.rows] == [(counts,)]


def test_runs_with_and_without_averaged_weights_are_rows_of_one_board(board):
    """They differ in what was trained, as runs of two losses do: no seeds of each other, other decays neither."""
    found, order, comparison = board(
        {"gain": 2, "seed": 1}, {"gain": 3, "seed": 1, "ema": 0.999}, {"gain": 3, "seed": 2, "ema": 0.999},
        {"gain": 1, "seed": 2, "ema": 0.99}, {"seed": 3, "ema": 0.99, "status": "running"},
    )  # fmt: skip
    assert "ema" not in found.protocol
    assert [(row.runs, row.left_out, row.rank) for row in order.rows] == [
        ((1, 2), (), 1),
        ((0,), (), 2),
        ((3,), (4,), 3),
    ]
    names = [comparison.short_name(row.experiment, 4) for row in order.rows]
    assert names == ["edsr_baseline l1 EMA=0.999", "edsr_baseline l1", "edsr_baseline l1 EMA=0.99"]


def test_nothing_finished(board):
    _, order, _ = board({"status": "running"})
    assert (order.common_sets, order.rows[0].rank, order.rows[0].waiting) == ((), None, True)
