"""`evaluate` from its command line to its JSON, and what it refuses before torch is imported."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.cli import evaluate
from sr_lightning.functional.resize import downscale_uint8


@pytest.fixture
def root(tmp_path):
    """Two small sets, one with LR files."""
    for name in ("Set5", "Set14"):
        pixels = np.random.default_rng(len(name)).integers(0, 256, (48, 52, 3), np.uint8)
        folder = tmp_path / "the sets" / name
        (folder / "HR").mkdir(parents=True)
        Image.fromarray(pixels).save(folder / "HR" / "baby.png")
    lr = downscale_uint8(torch.from_numpy(pixels).permute(2, 0, 1)[None], 4)[0].permute(1, 2, 0).numpy()
    (folder / "LR_bicubic" / "x4").mkdir(parents=True)
    Image.fromarray(lr).save(folder / "LR_bicubic" / "x4" / "babyx4.png")
    return tmp_path / "the sets"


def run(monkeypatch, *arguments):
    """The whole command, in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["evaluate.py", *arguments])
    try:
        evaluate.main()
    except SystemExit as end:
        return end.code
    return 0


@pytest.mark.parametrize("protocol", ["rgb_to_y", "y_chain", "y_float", "rgb"])
def test_bicubic_from_end_to_end(monkeypatch, capsys, tmp_path, root, protocol):
    monkeypatch.chdir(tmp_path)
    code = run(
        monkeypatch, "model=bicubic", "scale=4", f"data.root={root}", f"protocol={protocol}", "output=out/scores.json",
        "save=sr images",
    )  # fmt: skip

    assert code == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (content["model"], content["scale"], content["checkpoint"]) == ("bicubic", 4, None)
    assert content["protocol"] == {
        "name": protocol, "color": "rgb" if protocol == "rgb" else "y", "border": 4,
        "rounding": "none" if protocol == "y_float" else "uint8",
        "grey": "y" if protocol == "y_chain" else "replicate", "ema": False, "self_ensemble": False, "tile": None,
    }  # fmt: skip
    assert list(content["metrics"]) == ["Set5", "Set14"]
    for scores in content["metrics"].values():
        assert set(scores) == {"psnr", "ssim", "images", "bicubic", "per_image"}
        assert scores["images"] == 1
        assert (
            scores["per_image"]["baby"]["psnr"] == scores["psnr"] == pytest.approx(scores["bicubic"]["psnr"], abs=0.01)
        )
    assert (tmp_path / "sr images" / "Set5" / "baby.png").is_file()
    out = capsys.readouterr().out
    assert "Set14 (1)" in out
    assert f"protocol {protocol}:" in out
    assert "scores   out/scores.json" in out

    if protocol in ("rgb_to_y", "rgb"):
        code = run(
            monkeypatch, "images=sr images", "scale=4", f"data.root={root}", f"protocol={protocol}", "eval=set14",
            "output=again.json",
        )  # fmt: skip
        assert code == 0
        again = json.loads((tmp_path / "again.json").read_text())["metrics"]
        assert again["Set14"]["psnr"] == pytest.approx(content["metrics"]["Set14"]["psnr"])
        assert list(again) == ["Set14"]
    assert {path.name for path in tmp_path.iterdir()} <= {"the sets", "out", "sr images", "again.json"}


def test_perfect_images_leave_valid_json(monkeypatch, tmp_path, root):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, f"images={root / 'Set5' / 'HR'}", "scale=4", f"data.root={root}", "eval=[set5]",
               "output=scores.json") == 0  # fmt: skip
    text = (tmp_path / "scores.json").read_text()
    assert "Infinity" not in text
    assert json.loads(text)["metrics"]["Set5"]["psnr"] is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "expected exactly one of checkpoint=PATH, model=bicubic and images=DIR, got none of them"),
        (("model=bicubic", "checkpoint=x", "scale=4"), "got checkpoint and model"),
        (("model=bicubic",), "scale: expected a number, got nothing; say scale=4"),
        (("model=bicubic", "scale=5"), "model=bicubic supports scale 2, 3, 4, 8, got scale=5"),
        (("model=bicubci", "scale=4"), "did you mean 'bicubic'?"),
        (("model=srgan", "scale=4"), "model=srgan without weights would give a random network's score"),
        (("model=edsr", "scale=4"), "model=edsr without weights"),
        (("checkpoint=nowhere.ckpt",), "checkpoint: expected a file, got nowhere.ckpt, which is not there"),
        (("model=bicubic", "scale=4", "data.root=nowhere"), "data.root: expected a folder with evaluation sets"),
        (("model=bicubic", "scale=4", "eval=[sett5]"), "did you mean 'Set5'?"),
        (("model=bicubic", "scale=4", "protocol=y"), "protocol: expected one of rgb_to_y"),
        (("model=bicubic", "scale=4", "device=gpu"), "device: expected one of auto, cpu, cuda, mps"),
        (("images=nowhere", "scale=4"), "images: expected a folder, got nowhere"),
        (("model=bicubic", "scale=4", "output=."), "output: expected a file"),
        (("model=bicubic", "scale=4", "save=file"), "save: expected a folder"),
        (("model=bicubic", "scale=4", "sav=x"), "did you mean 'save'?"),
    ],
)
def test_refused_early(command, root, tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    given = [] if any(text.startswith("data.root=") for text in arguments) else [f"data.root={root}"]
    assert expected in command("evaluate", *arguments, *given).error


def test_missing_sr_image_is_refused_early(command, root, tmp_path):
    (tmp_path / "sr").mkdir()
    error = command("evaluate", "images=sr", "scale=4", f"data.root={root}", "eval=[set5]").error
    assert "expected one image for 'baby'" in error


def test_folder_without_sets_is_refused(command, tmp_path):
    (tmp_path / "empty").mkdir()
    error = command("evaluate", "model=bicubic", "scale=4", "data.root=empty").error
    assert "found none" in error


@pytest.fixture
def checkpoint(tmp_path):
    from sr_lightning.cli.compose import Composer
    from sr_lightning.engine.build import build_network, describe

    config = Composer("train").compose(["model=edsr_baseline", "model.width=4", "model.depth=1", "scale=4"]).tree
    state = {f"network.{name}": value for name, value in build_network(config["model"]).state_dict().items()}
    torch.save({"state_dict": state, "sr_lightning": {**describe(config), "step": 3}}, tmp_path / "it's, a.ckpt")
    return tmp_path / "it's, a.ckpt"


def test_checkpoint_knows_its_scale(monkeypatch, capsys, tmp_path, root, checkpoint):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, f"checkpoint={checkpoint}", f"data.root={root}", "output=scores.json") == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert (content["model"], content["scale"]) == ("edsr_baseline", 4)
    out = capsys.readouterr().out
    assert "gain on bicubic" in out
    assert "bicubic, published (y_chain)" in out


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("scale=2", "the checkpoint was trained for x4, got scale=2"), ("protocol=y_chain", "use protocol=rgb_to_y")],
)
def test_what_the_checkpoint_cannot_do_is_refused_before_any_work(
    monkeypatch, capsys, tmp_path, root, checkpoint, argument, expected
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sr_lightning.engine.report_scores.evaluate_set", lambda *_, **__: pytest.fail("work began"))
    assert run(monkeypatch, f"checkpoint={checkpoint}", f"data.root={root}", argument) == 1
    assert expected in capsys.readouterr().err
