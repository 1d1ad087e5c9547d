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
    """Set5 with five small images and LR files, and one image of Set14."""
    random = np.random.default_rng(0)
    images = {"Set5": ("baby", "bird", "butterfly", "head", "woman"), "Set14": ("baby",)}
    for name, stems in images.items():
        folder = tmp_path / "the sets" / name
        (folder / "HR").mkdir(parents=True)
        for stem in stems:
            pixels = random.integers(0, 256, (48, 52, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "HR" / f"{stem}.png")
            lr = downscale_uint8(torch.from_numpy(pixels).permute(2, 0, 1)[None], 4)[0].permute(1, 2, 0).numpy()
            if name == "Set5":
                (folder / "LR_bicubic" / "x4").mkdir(parents=True, exist_ok=True)
                Image.fromarray(lr).save(folder / "LR_bicubic" / "x4" / f"{stem}x4.png")
    return tmp_path / "the sets"


@pytest.fixture
def add_div2k(root):
    """Ten of DIV2K's validation images, where the archive leaves them."""
    folder = root / "DIV2K" / "DIV2K_valid_HR"
    folder.mkdir(parents=True)
    for number in range(801, 811):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 52, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")


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
    five, fourteen = content["metrics"].values()
    assert set(five) == {"psnr", "ssim", "lsd", "images", "bicubic", "per_image"}
    assert set(fourteen) == set(five) | {"whole"}
    assert (five["images"], fourteen["images"], fourteen["whole"]) == (5, 1, 14)
    for scores in (five, fourteen):
        assert scores["psnr"] == pytest.approx(scores["bicubic"]["psnr"], abs=0.01)
    assert fourteen["per_image"]["baby"]["psnr"] == fourteen["psnr"]
    assert (tmp_path / "sr images" / "Set5" / "baby.png").is_file()
    out = capsys.readouterr().out
    assert "Set14 (1 of 14)" in out
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
        (("model=bicubic", "scale=4", "eval=[urban100]"), "python prepare.py data=urban100 data.root="),
        (("model=bicubic", "scale=4", "eval_exclude=[Set5/womn]"), "did you mean 'Set5/woman'?"),
        (("model=bicubic", "scale=4", "eval_exclude=womn"), "eval_exclude: expected an image of Set5, Set14, got"),
        (("model=bicubic", "scale=4", "eval_exclude=7"), "eval_exclude: expected a list or a text, got 7"),
        (("images=.", "scale=4", "degradation=bicubic"), "images=. are SR already"),
        (("model=bicubic", "scale=4", "degradation=bicubic", "protocol=y_chain"), "use protocol=rgb_to_y"),
        (("model=bicubic", "scale=4", "degradation=bicubc"), "did you mean 'bicubic'?"),
        (("model=bicubic", "scale=4", "degradation.kind=pil"), "degradation=resize has it"),
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


def test_an_image_left_out_is_said_everywhere(monkeypatch, capsys, tmp_path, root):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    arguments = ("model=bicubic", "scale=4", f"data.root={root}", "eval=[set5]", "output=scores.json")
    assert run(monkeypatch, *arguments) == 0
    assert "published" in capsys.readouterr().out
    whole = json.loads((tmp_path / "scores.json").read_text())["metrics"]["Set5"]

    assert run(monkeypatch, *arguments, "eval_exclude=[Set5/woman]") == 0
    out = capsys.readouterr().out
    assert "Set5 without woman (4)" in out
    assert "published" not in out
    scores = json.loads((tmp_path / "scores.json").read_text())["metrics"]["Set5"]
    del whole["per_image"]["woman"]
    assert (scores["images"], scores["excluded"], scores["per_image"]) == (4, ["woman"], whole["per_image"])
    assert scores["psnr"] == pytest.approx(np.mean([each["psnr"] for each in whole["per_image"].values()]))


@pytest.mark.parametrize("protocol", ["rgb_to_y", "y_chain"])
def test_div2k_has_a_table_of_its_own(monkeypatch, capsys, tmp_path, root, add_div2k, protocol):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "model=bicubic", "scale=4", f"data.root={root}", "output=scores.json",
               f"protocol={protocol}") == 0  # fmt: skip
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["protocol"]["name"] == protocol
    assert list(content["metrics"]) == ["Set5", "Set14", "DIV2K_801_810"]
    own = content["metrics"]["DIV2K_801_810"]
    assert (own["protocol"]["name"], own["protocol"]["border"]) == ("rgb_div2k", 10)
    assert "protocol" not in content["metrics"]["Set5"]
    assert own["psnr"] == pytest.approx(own["bicubic"]["psnr"], abs=1e-6)
    out = capsys.readouterr().out
    assert out.index(f"protocol {protocol}:") < out.index("DIV2K_801_810 (10)") < out.index("protocol rgb_div2k: RGB")


def test_bicubic_on_lr_by_a_degradation(monkeypatch, capsys, tmp_path, root):
    monkeypatch.chdir(tmp_path)
    arguments = ("model=bicubic", "scale=4", f"data.root={root}", "eval=set5", "degradation=noise_down", "save=sr")
    assert run(monkeypatch, *arguments, "output=scores.json") == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["protocol"]["degradation"].startswith("noise_down_x4_30")
    assert (content["seed"], content["trained_on"]) == (42, None)
    scores = content["metrics"]["Set5"]
    assert "protocol" not in scores
    assert scores["standard"].keys() == {"psnr", "ssim", "lsd", "bicubic"}
    assert scores["standard"]["psnr"] > scores["psnr"] + 0.1
    out = capsys.readouterr().out
    assert f"{scores['psnr'] - scores['standard']['psnr']:+.2f}" in out
    assert "Trained on" not in out
    # The SR images are those of the degraded LR.
    assert run(monkeypatch, "images=sr", "scale=4", f"data.root={root}", "eval=set5", "output=again.json") == 0
    again = json.loads((tmp_path / "again.json").read_text())["metrics"]["Set5"]
    assert again["psnr"] == pytest.approx(scores["psnr"])

    assert run(monkeypatch, *arguments, "seed=1", "output=other.json") == 0
    other = json.loads((tmp_path / "other.json").read_text())["metrics"]["Set5"]
    assert other["psnr"] != scores["psnr"]
    assert other["standard"] == scores["standard"]


def test_missing_sr_image_is_refused_early(command, root, tmp_path):
    (tmp_path / "sr").mkdir()
    error = command("evaluate", "images=sr", "scale=4", f"data.root={root}", "eval=[set5]").error
    assert "expected one image for 'baby'" in error


def test_folder_without_sets_is_refused(command, tmp_path):
    (tmp_path / "empty").mkdir()
    error = command("evaluate", "model=bicubic", "scale=4", "data.root=empty").error
    assert "found none" in error


def save_checkpoint(path, **description):
    """A small untrained EDSR for x4."""
    from sr_lightning.cli.compose import Composer
    from sr_lightning.engine.build import build_network, describe

    torch.manual_seed(0)
    config = Composer("train").compose(["model=edsr_baseline", "model.width=4", "model.depth=1", "scale=4"]).tree
    state = {f"network.{name}": value for name, value in build_network(config["model"]).state_dict().items()}
    torch.save({"state_dict": state, "sr_lightning": {**describe(config), "step": 3, **description}}, path)
    return path


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint(tmp_path / "it's, a.ckpt")


@pytest.fixture
def pil_checkpoint(tmp_path):
    """Trained on LR that Pillow made."""
    return save_checkpoint(tmp_path / "pil.ckpt", degradation="resize_pil_x4")


def test_a_checkpoint_is_shown_on_its_own_condition_and_on_the_sets(
    monkeypatch, capsys, tmp_path, root, pil_checkpoint
):
    monkeypatch.chdir(tmp_path)
    arguments = (f"checkpoint={pil_checkpoint}", f"data.root={root}", "eval=set5", "output=scores.json")
    assert run(monkeypatch, *arguments) == 0
    assert "Trained on LR by resize_pil_x4, scored on LR by MATLAB's bicubic" in capsys.readouterr().out
    standard = json.loads((tmp_path / "scores.json").read_text())
    assert standard["trained_on"] == "resize_pil_x4"

    assert run(monkeypatch, *arguments, "degradation=resize", "degradation.kind=pil") == 0
    out = capsys.readouterr().out
    assert "edsr_baseline, LR by resize_pil_x4, as trained" in out
    assert "edsr_baseline, the sets' LR" in out
    assert "penalty of the mismatch" in out
    assert "Trained on" not in out
    scores = json.loads((tmp_path / "scores.json").read_text())["metrics"]["Set5"]
    assert scores["standard"]["psnr"] == standard["metrics"]["Set5"]["psnr"]

    assert run(monkeypatch, *arguments, "degradation=resize", "degradation.kind=cv2") == 0
    assert "Trained on LR by resize_pil_x4, scored on LR by resize_cv2_x4" in capsys.readouterr().out


def test_a_checkpoint_of_matlabs_bicubic_is_told_of_other_lr_alone(monkeypatch, capsys, tmp_path, root, checkpoint):
    monkeypatch.chdir(tmp_path)
    arguments = (f"checkpoint={checkpoint}", f"data.root={root}", "eval=set5", "output=scores.json")
    for given in ((), ("degradation=bicubic",)):
        assert run(monkeypatch, *arguments, *given) == 0
        assert "Trained on" not in capsys.readouterr().out
        assert json.loads((tmp_path / "scores.json").read_text())["trained_on"] is None
    assert run(monkeypatch, *arguments, "degradation=resize", "degradation.kind=cv2") == 0
    out = capsys.readouterr().out
    assert "edsr_baseline, the sets' LR, as trained" in out
    assert "Trained on LR by MATLAB's bicubic, scored on LR by resize_cv2_x4" in out
    assert run(monkeypatch, *arguments, "degradation=bicubic", "degradation.scale=2") == 1
    assert "degradation.scale: expected the scale of what is scored, 4, got 2" in capsys.readouterr().err


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
