"""What may be ranked together, and what never is."""

import json

import numpy as np
import pytest

from sr_lightning.comparison.boards import boards_of
from sr_lightning.comparison.runs import read_run
from sr_lightning.metrics.protocol import PROTOCOLS


@pytest.fixture
def make(synthetic_runs, tmp_path):
    """`make(scale=2, ...)` writes a run; `change` alters its `results.json`."""
    random = np.random.default_rng(0)

    def run(change=None, **facts):
        folder = synthetic_runs.write_run(tmp_path / str(len(list(tmp_path.iterdir()))), random=random, **facts)
        if change:
            results = json.loads((folder / "results.json").read_text())
            change(results)
            (folder / "results.json").write_text(json.dumps(results))
        return read_run(folder)

    return run


def members(runs):
    return [sorted(board.scores) for board in boards_of(runs)]


def test_other_scales_and_protocols_are_other_boards_and_averaged_weights_are_not(make):
    runs = [make(), make(model="srcnn"), make(scale=2), make(protocol="y_chain"), make(ema=0.999), make(loss="mse")]
    assert sorted(members(runs)) == [[0, 1, 4, 5], [2], [3]]
    first = boards_of(runs)[0]
    assert (first.scale, first.protocol["name"], first.degradation, first.validation_only) == (
        4,
        "rgb_to_y",
        None,
        False,
    )
    assert first.sets == first.whole_sets == ("Set5", "Set14", "BSD100")
    assert first.bicubic("Set5")["psnr"] == pytest.approx(28.4)


def test_rows_of_named_degradations_and_self_ensembles_stand_on_boards_of_their_own(make):
    def named(results):
        rules = results["protocol"] | {"degradation": "blur_down_x4"}
        results["metrics"]["Set5/blur_down"] = results["metrics"]["Set5"] | {"protocol": rules}

    def ensembled(results):
        results["protocol"]["self_ensemble"] = True

    boards = boards_of([make(named), make(named), make(), make(ensembled)])
    assert [(board.sets[0], sorted(board.scores), board.degradation) for board in boards] == [
        ("Set5", [0, 1, 2], None),
        ("Set5/blur_down", [0, 1], "blur_down_x4"),
        ("Set5", [3], None),
    ]
    assert boards[1].whole_sets == boards[2].whole_sets == ()


def test_sets_under_their_own_rules_stand_on_boards_of_their_own(make):
    def rules(name, **others):
        return lambda results: results["metrics"]["Set14"].update(protocol=PROTOCOLS[name].as_dict(4) | others)

    runs = [make(rules("rgb_div2k")), make(), make(rules("rgb_to_y", degradation="noise_30"))]
    boards = boards_of(runs)
    assert [(board.sets, sorted(board.scores), board.degradation) for board in boards] == [
        (("Set5", "BSD100", "Set14"), [0, 1, 2], None),
        (("Set14",), [0], None),
        (("Set14",), [2], "noise_30"),
    ]
    assert boards[0].scores[0].keys() == {"Set5", "BSD100"}
    # Papers score the sets' own LR.
    assert boards[2].whole_sets == ()


def test_other_images_or_other_lr_under_one_name_are_another_set(make):
    def without_woman(results):
        scores = results["metrics"]["Set5"]
        del scores["per_image"]["woman"]
        scores |= {"excluded": ["woman"], "images": 4}

    def other_lr(results):
        results["metrics"]["Set5"]["bicubic"]["psnr"] -= 0.2

    def rounding(results):
        results["metrics"]["Set5"]["bicubic"]["psnr"] += 1e-4

    def fewer(results):
        scores = results["metrics"]["Set5"]
        del scores["per_image"]["baby"]
        scores |= {"whole": 5, "images": 4}

    runs = [make(other_lr), make(), make(rounding), make(without_woman), make(fewer)]
    [board] = boards_of(runs)
    assert [next(iter(board.scores[number])) for number in range(5)] == [
        "Set5 (5 images, bicubic 28.20 dB)",
        "Set5",
        "Set5",
        "Set5 without woman",
        "Set5 (4 images, bicubic 28.40 dB)",
    ]
    assert board.sets[:3] == ("Set14", "BSD100", "Set5")
    # Published numbers are those of the whole set.
    assert set(board.sets) - set(board.whole_sets) == {"Set5 without woman", "Set5 (4 images, bicubic 28.40 dB)"}


def test_validation_images_are_no_benchmark_and_differ_with_the_data(make):
    def others(results):
        results["validation"]["per_image"] = {"mine": {"psnr": 30.0, "ssim": 0.9}}

    runs = [make(benchmark=False), make(), make(others, benchmark=False, data="folder"), make(benchmark=False)]
    boards = boards_of(runs)
    assert [sorted(board.scores) for board in boards] == [[1], [0, 3], [2]]
    assert [board.validation_only for board in boards] == [False, True, True]
    assert boards[1].sets == ("validation",)
    assert boards[1].whole_sets == ()


@pytest.mark.parametrize(
    "rules", [{"self_ensemble": True}, {"tile": 64}, {"border": 0}, {"color": "rgb"}, {"rounding": "none"}]
)
def test_what_makes_other_numbers_of_the_same_weights_is_another_board(make, rules):
    assert members([make(), make(lambda results: results["protocol"].update(rules))]) == [[0], [1]]


@pytest.mark.parametrize("status", ["failed", "running", "interrupted"])
def test_what_has_not_finished_waits_where_it_will_stand(make, status):
    runs = [make(scale=2), make(status=status), make(ema=0.9), make(status=status, ema=0.9)]
    assert sorted(members(runs)) == [[0], [1, 2, 3]]
    # Of a data set without benchmarks, with its validation images.
    runs = [make(benchmark=False, data="t91"), make(status=status, data="t91"), make(status=status, data="mine")]
    assert sorted(members(runs)) == [[0, 1], [2]]
    alone = next(board for board in boards_of(runs) if 2 in board.scores)
    assert (alone.sets, alone.validation_only, alone.scores[2]) == ((), True, {})
