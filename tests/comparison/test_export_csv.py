"""CSV: one row per run and set, with the values that the runs' files hold."""

import csv
import io

import numpy as np
import pytest

from sr_lightning.comparison.export_csv import FIRST, to_csv
from sr_lightning.comparison.ranking import compare
from sr_lightning.comparison.runs import read_run


@pytest.fixture
def written(synthetic_runs, tmp_path):
    random = np.random.default_rng(0)
    facts = [
        {"rate": 1e-4},
        {"rate": 2e-4},
        {"status": "failed"},
        {"benchmark": False},
        {"model": "srgan", "gan": True},
    ]
    runs = [
        read_run(synthetic_runs.write_run(tmp_path / f"run, {number}", random=random, **fact))
        for number, fact in enumerate(facts)
    ]
    text = to_csv(compare(runs))
    return runs, list(csv.DictReader(io.StringIO(text))), text


def test_a_row_per_run_and_set(written):
    runs, rows, text = written
    assert text.startswith(",".join(FIRST) + ",")
    shown = [(row["folder"], row["set"]) for row in rows]
    assert len(set(shown)) == len(rows)
    names = {str(run.folder): set(run.metrics) or ({"validation"} if run.validation else {""}) for run in runs}
    assert {folder: {name for other, name in shown if other == folder} for folder, _ in shown} == names


def test_values_and_protocol(written):
    runs, rows, _ = written
    by_folder = {str(run.folder): run for run in runs}
    for row in rows:
        run = by_folder[row["folder"]]
        assert (row["model"], row["status"], int(row["scale"])) == (run.model, run.status, run.scale)
        assert (row["protocol_name"], row["protocol_color"], row["protocol_border"]) == ("rgb_to_y", "y", "4")
        if row["set"] in run.metrics:
            scores = run.metrics[row["set"]]
            assert float(row["psnr"]) == scores["psnr"]
            assert float(row["bicubic_ssim"]) == scores["bicubic"]["ssim"]
            assert (int(row["images"]), row["benchmark"]) == (scores["images"], "True")
    ranks = {row["folder"]: (row["rank"], row["front"]) for row in rows}
    assert [ranks[str(run.folder)][0] for run in runs[2:]] == ["", "1", ""]
    assert ranks[str(runs[4].folder)][1] == "1"
    assert {row["config.optimizer.lr"] for row in rows} == {"0.0001", "0.0002"}
    assert {row["benchmark"] for row in rows if row["set"] == "validation"} == {"False"}


def test_whether_averaged_weights_were_scored_stands_in_each_row(runs_of):
    rows = list(csv.DictReader(io.StringIO(to_csv(compare(runs_of({}, {"ema": 0.999}))))))
    assert {(row["board"], row["ema"], row["protocol_ema"]) for row in rows} == {
        ("0", "", "False"),
        ("0", "0.999", "True"),
    }


def test_a_run_without_scores_has_one_row(written):
    runs, rows, _ = written
    [row] = [row for row in rows if row["status"] == "failed"]
    assert (row["set"], row["psnr"], row["error"], row["folder"]) == (
        "", "", "RuntimeError: CUDA out of memory", str(runs[2].folder)
    )  # fmt: skip
