"""What is read of runs, against a run that really ran."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from sr_lightning.comparison.ranking import compare, published
from sr_lightning.comparison.runs import find_runs, read_run, read_runs
from sr_lightning.report.lock import held


@pytest.fixture
def one(synthetic_runs, tmp_path):
    return synthetic_runs.write_run(tmp_path / "runs" / "one", random=np.random.default_rng(0))


def test_synthetic_runs_are_like_real_ones(run_tiny, synthetic_runs, tmp_path):
    """All tests below stand on this: the same keys on each level, and the same columns."""
    real = run_tiny("edsr_baseline", tmp_path / "real", "trainer.max_steps=2")
    synthetic = json.loads((synthetic_runs.write_runs(tmp_path / "many", count=1)[0] / "results.json").read_text())
    assert set(synthetic) == set(json.loads((tmp_path / "real" / "results.json").read_text()))
    assert set(synthetic["protocol"]) == set(real["protocol"])
    # Metrics that need files are there where these are.
    for scores in (synthetic["validation"], real["validation"]):
        for content in (scores, scores["bicubic"]):
            for name in ("lpips", "dists", "missing"):
                content.pop(name, None)
    assert set(synthetic["validation"]) == set(real["validation"])
    assert set(synthetic["validation"]["bicubic"]) == set(real["validation"]["bicubic"])
    columns = [(tmp_path / "real" / "metrics.csv").read_text().splitlines()[0].split(",")]
    columns.append((tmp_path / "many").rglob("metrics.csv").__next__().read_text().splitlines()[0].split(","))
    assert {"step", "train/loss", "val/psnr", "val/ssim"} <= set(columns[0]) & set(columns[1])

    run = read_run(tmp_path / "real")
    assert (run.model, run.loss, run.scale, run.seed, run.status) == ("edsr_baseline", "l1", 2, 42, "finished")
    assert (run.steps, run.max_steps, run.gan, run.parameters) == (2, 2, False, real["parameters"])
    assert run.validation["psnr"] == pytest.approx(real["validation"]["psnr"])
    assert run.curves["step"][-1] == 2
    assert run.config["optimizer"]["lr"] == 1e-4
    assert set(run.published) == {"rgb_to_y"}


def test_facts(synthetic_runs, tmp_path):
    folder = synthetic_runs.write_run(
        tmp_path / "a", random=np.random.default_rng(0), gan=True, features={"perceptual": "random"},
        overlap=[{"train": "a", "evaluated_set": "Set5"}], git={"commit": "0123456789abcdef", "dirty": True},
    )  # fmt: skip
    run = read_run(folder)
    assert (run.gan, run.random_features, run.overlap, run.commit) == (True, True, 1, "0123456789, changed")


def test_a_run_that_nobody_trains_any_more_has_stopped(synthetic_runs, tmp_path, monkeypatch):
    folder = synthetic_runs.write_run(tmp_path / "run", random=np.random.default_rng(0), status="running")
    assert read_run(folder).status == "stopped"
    with held(folder):
        assert read_run(folder).status == "running"
    assert read_run(folder).status == "stopped"

    def fail(folder):
        raise PermissionError(folder)

    monkeypatch.setattr("sr_lightning.comparison.runs.is_held", fail)
    assert read_run(folder).status == "running"


def test_an_older_run_without_later_keys(one):
    results = json.loads((one / "results.json").read_text())
    for key in ("max_steps", "multiply_adds", "config_hash", "overlap", "features", "git"):
        del results[key]
    (one / "results.json").write_text(json.dumps(results))
    run = read_run(one)
    assert (run.max_steps, run.multiply_adds, run.overlap, run.commit) == (20_000, None, 0, None)
    (one / "config.yaml").unlink()
    assert (read_run(one).max_steps, read_run(one).config) == (None, {})


def test_folders_are_searched_once_and_not_inside_runs(one, tmp_path):
    inner = one / "panels" / "results.json"
    inner.parent.mkdir()
    inner.write_text("{}")
    (tmp_path / "link").symlink_to(one)
    assert list(find_runs([tmp_path, tmp_path / "runs", one, tmp_path / "link"])) == [one]
    assert list(find_runs([tmp_path / "runs" / "none"])) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "not that of a run: it has no 'status'"),
        ('{"status": "finished", "scale": 2, "protocol": {}}', "it has no 'model'"),
        ('{"status": "finished", "model": "a", "scale": "x", "protocol": {}}', "invalid literal"),
        ('{"status": "finished", "model": "a", "scale": 2, "protocol": {}, "git": {"commit": null}}', "that of a run"),
    ],
)
def test_what_is_no_run_is_skipped_with_the_reason(one, tmp_path, text, reason):
    (tmp_path / "runs" / "other").mkdir()
    (tmp_path / "runs" / "other" / "results.json").write_text(text)
    found = read_runs([tmp_path])
    assert [run.folder for run in found.runs] == [one]
    [(path, said)] = found.skipped
    assert path == tmp_path / "runs" / "other"
    assert reason in said


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": {"name": "rgb"}}, "protocol has not all of name, color, border, rounding"),
        ({"metrics": {"Set5": {"psnr": 30.0}}}, "the scores of Set5 are not as it writes them"),
        ({"metrics": {"Set5": {"images": 5, "per_image": [1, 2]}}}, "the scores of Set5 are not as it writes them"),
        ({"metrics": {"Set5": {"images": 5, "protocol": {"name": "rgb"}}}}, "the protocol of Set5 has not all of"),
        ({"metrics": ["Set5"]}, "results.json is not that of a run"),
    ],
)
def test_scores_that_no_board_could_hold_are_no_run(one, tmp_path, change, reason):
    path = one / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    [(_, said)] = read_runs([tmp_path]).skipped
    assert reason in said


@pytest.mark.parametrize("name", ["config.yaml", "metrics.csv"])
def test_wherever_a_file_was_cut_off_the_run_keeps_its_row(one, name):
    """Also where what is left can be read, and holds something else than it did: `model: spec` for its first lines."""
    path = one / name
    whole = path.read_bytes()
    told = 0
    for length in range(0, min(len(whole), 1200), 7):
        path.write_bytes(whole[:length])
        run = read_run(one)
        told += bool(run.damaged)
        [(_, order)] = compare([run]).boards
        assert order.rows[0].rank == 1
        published(compare([run]))
        assert all(len(column) == len(run.curves["step"]) for column in run.curves.values())
    # Of values that are cut off between two lines nothing tells: the run may have been that young.
    assert (told > 0) == (name == "config.yaml")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.yaml", b"model: [1,", "is left out: while parsing a flow"),
        ("config.yaml", b"mod", "is left out: expected a configuration, got str."),
        ("metrics.csv", b"a,b\n1,2\n", "is left out: expected a column step, got 'a,b'."),
        ("metrics.csv", b"step,\xff\n1,2\n", "is left out: 'utf-8' codec can't decode"),
    ],
)
def test_a_damaged_file_is_named(one, name, content, reason):
    (one / name).write_bytes(content)
    run = read_run(one)
    [sentence] = run.damaged
    assert sentence.startswith(f"{one / name} {reason}")
    assert (run.config if name == "config.yaml" else run.curves) == {}


def test_200_runs_are_read_in_about_a_second(synthetic_runs, tmp_path):
    synthetic_runs.write_runs(tmp_path, count=200, crops=False)
    begun = time.process_time()
    assert len(read_runs([tmp_path]).runs) == 200
    # A third of a second on a quiet core.
    assert time.process_time() - begun < 2.5


def test_nothing_heavy_is_imported():
    heavy = "('torch', 'lightning', 'plotly')"
    code = f"import sys, sr_lightning.engine.compare; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
