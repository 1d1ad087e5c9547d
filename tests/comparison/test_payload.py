"""The page's values: complete, plain, and its pictures without loss."""

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from sr_lightning.comparison.payload import notes_of, payload
from sr_lightning.comparison.runs import read_runs
from sr_lightning.report.samples import read_samples

RUN_KEYS = {
    "id", "label", "folder", "experiment", "model", "module", "gan", "loss", "data", "scale", "seed", "status", "error",
    "parameters", "multiply_adds", "steps", "max_steps", "hr_pixels", "seconds", "samples_per_second", "device",
    "precision", "ema", "warm_start", "degradation", "overlap", "random_features", "best_step", "commit", "config_hash",
    "board", "boards", "scores", "per_image", "curves", "overrides",
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(synthetic_runs, tmp_path_factory):
    """48 runs of which one failed; GANs, two scales and protocols among them."""
    folder = tmp_path_factory.mktemp("runs")
    synthetic_runs.write_runs(folder, count=48)
    return read_runs([folder]).runs


@pytest.fixture(scope="module")
def page(runs):
    return payload(runs, title="mine", budget_bytes=40_000_000, notes=["a note"])


def test_further_metrics_regions_and_what_is_missing(synthetic_runs, tmp_path):
    """A page shows the metrics that runs have, whatever else stands beside them."""
    folders = [synthetic_runs.write_run(tmp_path / name, random=np.random.default_rng(0)) for name in ("a", "b")]
    for folder in folders:
        results = json.loads((folder / "results.json").read_text())
        five = results["metrics"]["Set5"]
        for scores in (five, five["bicubic"], *five["per_image"].values()):
            scores.update(niqe=5.5, ms_ssim=0.97)
        five["missing"] = {"dists": "no file"}
        five["regions"] = {"edges": {"psnr": 27.0, "pixels": 5, "bicubic": {"psnr": 25.0}, "per_image": {}}}
        rules = results["protocol"] | {"degradation": "blur_down_x4"}
        results["metrics"]["Set5/blur_down"] = five | {"protocol": rules, "niqe": 6.5}
        results["missing"] = five["missing"]
        (folder / "results.json").write_text(json.dumps(results))
    data = payload(read_runs([tmp_path]).runs, title="t", budget_bytes=1_000_000).data
    first = data["runs"][0]
    assert first["scores"]["Set5"]["niqe"] == first["scores"]["Set5"]["bicubic"]["niqe"] == 5.5
    assert first["scores"]["Set5"]["dists"] is None
    assert first["scores"]["Set5/blur_down"]["niqe"] == 6.5
    assert first["per_image"]["Set5"]["baby"]["ms_ssim"] == 0.97
    assert [board["sets"] for board in data["boards"]] == [["Set5", "Set14", "BSD100"], ["Set5/blur_down"]]


def pixels(uri):
    kind, content = uri.removeprefix("data:image/").split(";base64,")
    assert kind in ("webp", "png", "jpeg")
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB"))


def test_values_are_plain_and_complete(page, runs):
    assert json.loads(json.dumps(page.data, allow_nan=False)) == page.data
    assert set(page.data) == {"title", "generated", "version", "notes", "runs", "boards", "crops", "published"}
    assert page.data["notes"] == ["a note"]
    assert [set(run) for run in page.data["runs"]] == [RUN_KEYS] * 48
    assert [run["id"] for run in page.data["runs"]] == list(range(48))
    assert len({run["label"] for run in page.data["runs"]}) == 48
    for run, source in zip(page.data["runs"], runs, strict=True):
        assert run["folder"] == str(source.folder)
        assert run["curves"].keys() >= {"step", "hr_pixels", "val/psnr", "train/loss", "train/gradient_norm"}
        assert run["board"] in run["boards"]
        for name, scores in run["scores"].items():
            board = page.data["boards"][scores["board"]]
            assert name in board["sets"]
            assert (board["scale"], run["id"]) == (run["scale"], source and run["id"])
            assert scores["psnr"] == pytest.approx(source.metrics[name]["psnr"], abs=1e-5)
            assert scores["bicubic"]["psnr"] < scores["psnr"] or run["gan"]
            assert run["per_image"][name].keys() == source.metrics[name]["per_image"].keys()


def test_boards_hold_the_leaderboard(page):
    boards = page.data["boards"]
    assert {board["id"] for board in boards} == {run["board"] for run in page.data["runs"]}
    assert {board["perceptual"] for board in boards} == {None, "lsd"}
    shown = [number for board in boards for row in board["rows"] for number in (*row["runs"], *row["left_out"])]
    assert sorted(shown) == list(range(48))
    for board in boards:
        assert board["protocol_text"].startswith("protocol ")
        ranks = [row["rank"] for row in board["rows"] if row["rank"]]
        assert ranks == sorted(ranks)
        for row in board["rows"]:
            mean, deviation = row["mean"]["psnr"]
            assert mean > board["bicubic"]["Set5"]["psnr"] - 5
            assert (deviation is None) == (len(row["runs"]) == 1)


def test_published_rows_are_of_the_same_scale_and_protocol(page):
    assert page.data["published"]
    for row in page.data["published"]:
        board = page.data["boards"][row["board"]]
        assert row["protocol"] == board["protocol"]["name"]
        assert row["set"] in board["sets"]
        assert not board["validation_only"]
    values = {
        (page.data["boards"][row["board"]]["scale"], row["name"], row["set"]): row["psnr"]
        for row in page.data["published"]
    }
    assert values[2, "edsr_baseline", "Set5"] == 37.99


def test_crops_show_the_runs_own_pixels(page, runs):
    assert page.data["crops"]
    crop = next(crop for crop in page.data["crops"] if crop["board_scale"] == 4)
    for number, shown in crop["by_run"].items():
        [sample] = [
            sample
            for sample in read_samples(runs[int(number)].folder)
            if (sample.set, sample.image) == (crop["set"], crop["image"])
        ]
        for key, name in ((shown["sr"], "sr"), (crop["hr"], "hr"), (crop["lr"], "lr"), (crop["bicubic"], "bicubic")):
            with Image.open(sample.files[name]) as image:
                np.testing.assert_array_equal(pixels(page.images[key]), np.asarray(image.convert("RGB")))
        assert shown["psnr"] == pytest.approx(sample.psnr, abs=1e-4)
    assert pixels(page.images[crop["whole"]]).shape[0] <= 480


def test_pictures_stand_once_and_webp_only_where_it_is_smaller(page, runs):
    crops = page.data["crops"]
    used = {crop[key] for crop in crops for key in ("lr", "bicubic", "hr", "whole")}
    used |= {entry["sr"] for crop in crops for entry in crop["by_run"].values()}
    assert used == set(page.images)
    assert len(set(page.images.values())) == len(page.images)
    files = sum(
        path.stat().st_size for run in runs for each in read_samples(run.folder) for path in each.files.values()
    )
    assert sum(map(len, page.images.values())) < files / 2
    assert any(uri.startswith("data:image/webp") for uri in page.images.values())


def test_one_image_of_each_set_comes_first(page):
    first = [(crop["board_scale"], crop["set"]) for crop in page.data["crops"]]
    assert len(set(first[:4])) == 4


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_within_the_budget(page, runs, share):
    budget = int(share * sum(map(len, page.images.values())))
    small = payload(runs, title="", budget_bytes=budget)
    shown, whole = len(small.data["crops"]), len(page.data["crops"])
    assert sum(map(len, small.images.values())) <= budget
    assert small.data["crops"] == page.data["crops"][:shown]
    assert (shown == 0) if share == 0 else (0 < shown < whole)
    [note] = small.data["notes"]
    assert note == f"{shown} of {whole} crops are shown: images.megabytes={budget / 1e6:g} holds no more."


def test_what_must_be_known_is_noted(synthetic_runs, tmp_path):
    random = np.random.default_rng(0)
    synthetic_runs.write_run(tmp_path / "a", random=random, features={"perceptual": "random"})
    synthetic_runs.write_run(tmp_path / "b", random=random, overlap=[{}])
    notes = payload(read_runs([tmp_path]).runs, title="", budget_bytes=0).data["notes"]
    assert notes == [
        "1 of the runs compared RANDOM features in a perceptual loss: no result to judge by.",
        "1 of the runs trained on images that they are scored on: too good to be compared.",
    ]


def test_infinite_psnr_and_crops_of_other_lr(synthetic_runs, tmp_path):
    """PSNR of equal images is null in JSON; runs that saw another LR share no crop."""
    random = np.random.default_rng(0)
    folders = [synthetic_runs.write_run(tmp_path / name, random=random, crops=True) for name in "ab"]
    index = folders[0] / "samples" / "samples.json"
    content = json.loads(index.read_text())
    content["samples"][0]["psnr"] = None
    index.unlink()
    index.write_text(json.dumps(content))
    lr = folders[1] / "samples" / content["samples"][1]["files"]["lr"]
    lr.unlink()
    Image.new("RGB", (36, 36)).save(lr)
    crops = payload(read_runs([tmp_path]).runs, title="", budget_bytes=40_000_000).data["crops"]
    assert crops[0]["by_run"]["0"]["psnr"] is None
    assert math.isfinite(crops[0]["by_run"]["1"]["psnr"])
    assert sorted(len(crop["by_run"]) for crop in crops) == [1, 1, 2, 2, 2, 2]


def test_a_run_whose_pictures_are_gone_is_shown_without(synthetic_runs, tmp_path):
    folder = synthetic_runs.write_run(tmp_path / "a", random=np.random.default_rng(0), crops=True)
    for path in (folder / "samples").glob("Set5_*"):
        path.unlink()
    data = payload(read_runs([tmp_path]).runs, title="", budget_bytes=40_000_000).data
    assert {crop["set"] for crop in data["crops"]} == {"Set14"}
    assert data["notes"] == [f"3 of 5 crops of {folder} are left out: samples/Set5_baby_lr.png is not there."]


def test_a_run_whose_list_of_crops_is_damaged_is_shown_without(synthetic_runs, tmp_path):
    folders = [synthetic_runs.write_run(tmp_path / name, random=np.random.default_rng(0), crops=True) for name in "ab"]
    index = folders[0] / "samples" / "samples.json"
    index.write_text(index.read_text()[:300])
    data = payload(read_runs([tmp_path]).runs, title="", budget_bytes=40_000_000).data
    assert len(data["runs"]) == 2
    assert {number for crop in data["crops"] for number in crop["by_run"]} == {"1"}
    [note] = data["notes"]
    assert note.startswith(f"{folders[0]} is shown without pictures: expected the list of a run's crops, got {index}")


def test_a_picture_that_was_cut_off_is_left_out(synthetic_runs, tmp_path):
    folder = synthetic_runs.write_run(tmp_path / "a", random=np.random.default_rng(0), crops=True)
    sr = folder / "samples" / "Set5_bird_sr.png"
    sr.write_bytes(sr.read_bytes()[:-2000])
    data = payload(read_runs([tmp_path]).runs, title="", budget_bytes=40_000_000).data
    assert "bird" not in {crop["image"] for crop in data["crops"]}
    assert data["notes"] == [f"1 of 5 crops of {folder} are left out: samples/Set5_bird_sr.png cannot be read."]


def test_many_damaged_runs_need_no_line_each():
    told = [f"{number} is gone." for number in range(8)]
    assert notes_of([], told) == [*told[:5], "3 more files of runs cannot be read."]
    assert notes_of([], told[:5]) == told[:5]
