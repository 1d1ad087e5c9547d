"""`evaluate` from its command line to its JSON, and what it refuses before torch is imported."""

import json

import numpy as np
import pytest
import torch
import yaml
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
    assert set(five) == {"psnr", "ssim", "lsd", "images", "bicubic", "missing", "per_image"}
    assert set(five["missing"]) == set(content["missing"]) == {"ms_ssim", "lpips", "dists", "niqe"}
    assert "put alexnet-owt-7be5be79.pth into" in content["missing"]["lpips"]
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
    assert out.count("missing  ") == 2
    assert "missing  LPIPS, DISTS, NIQE: files of theirs are not here; python prepare.py data=sample" in out

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
        ((), "expected exactly one of checkpoint=PATH, model=NAME and images=DIR, got none of them"),
        (("model=bicubic", "checkpoint=x", "scale=4"), "got checkpoint and model"),
        (("model=bicubic",), "scale: expected a number, got nothing; say scale=4"),
        (("model=bicubic", "scale=5"), "model=bicubic supports scale 2, 3, 4, 8, got scale=5"),
        (("model=bicubci", "scale=4"), "did you mean 'bicubic'?"),
        (("model=srgan", "scale=4"), "model=srgan without weights would be a random network"),
        (("model=edsr", "scale=4"), "model=edsr without weights would be a random network; say model.pretr"),
        (("model=edsr", "model.depth=5", "scale=4"), "model=edsr without weights"),
        (("model=edsr", "model.pretrained=no.pth", "scale=4"), "model.pretrained: expected a file, got no.pth, which"),
        (("model=edsr", "model.pretrained=file", "scale=4"), "model.pretrained: expected a file of weights (.pth, "),
        (("model=edsr", "model.pretrained=no.pth"), "scale: expected a number, got nothing; say scale=4"),
        (("model=edsr", "model.pretrained=no.pth", "scale=5"), "model=edsr supports scale 2, 3, 4, 8, got scale=5"),
        (("model=edsr", "model.dept=5", "scale=4"), "did you mean 'model.depth'?"),
        (("model=edsr", "model.pretraind=x", "scale=4"), "did you mean 'model.pretrained'?"),
        (("model=edsr", "model.depth=deep", "scale=4"), "model.depth: expected an integer, got 'deep'"),
        (("model=bicubic,edsr", "scale=4"), "model has several values; quote a value that holds commas"),
        (("model=bicubic", "model.pretrained=no.pth", "scale=4"), "model=bicubic has no weights; leave it out"),
        (("model.pretrained=no.pth", "scale=4"), "is an argument of a network: say which, model=NAME model.pretr"),
        (("model=edsr", "model.pretrained=no.pth", "trainer.max_steps=5", "scale=4"), "unknown key 'trainer.max_step"),
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
        (("images=.",), "scale: expected a number, got nothing; say scale=4 (images do not know their own)."),
        (("images=nowhere", "scale=4"), "images: expected a folder, got nowhere"),
        (("model=bicubic", "scale=4", "output=."), "output: expected a file"),
        (("model=bicubic", "scale=4", "save=file"), "save: expected a folder"),
        (("model=bicubic", "scale=4", "sav=x"), "did you mean 'save'?"),
        (("model=bicubic", "scale=4", "metrics=[lpip]"), "got 'lpip'; did you mean 'lpips'?"),
        (("model=bicubic", "scale=4", "metrics=null"), "metrics: expected a list or a text, got null"),
        (("model=bicubic", "scale=4", "degradations=[blurdown]"), "got 'blurdown'; did you mean 'blur_down'?"),
        (("model=bicubic", "scale=4", "degradations=3"), "degradations: expected a list or several keys or a text"),
        (("model=bicubic", "scale=4", "degradations=[resize]", "protocol=y_chain"), "protocol=y_chain makes it of Y"),
        (("images=.", "scale=4", "degradations=[resize]"), "degradations is for a network, images=. are SR already"),
        (("images=.", "scale=4", "self_ensemble=true"), "self_ensemble is for a network, images=. are SR already"),
        (("model=bicubic", "scale=4", "regions=1"), "regions: expected true or false"),
    ],
)
def test_refused_early(command, root, tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    given = [] if any(text.startswith("data.root=") for text in arguments) else [f"data.root={root}"]
    assert expected in command("evaluate", *arguments, *given).error


def test_of_a_runs_folder_the_checkpoint_is_named(command, root, tmp_path):
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    best.parent.mkdir(parents=True)
    best.touch()
    error = command("evaluate", f"checkpoint={tmp_path / 'run'}", f"data.root={root}").error
    assert f"got {tmp_path / 'run'}, which is a folder; say checkpoint={best}." in error


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
    assert scores["standard"].keys() == {"psnr", "ssim", "lsd", "bicubic", "missing"}
    assert scores["standard"]["bicubic"].keys() == {"psnr", "ssim", "lsd"}
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


def test_named_degradations_have_rows_of_their_own(monkeypatch, capsys, tmp_path, root):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    arguments = ("model=bicubic", "scale=4", f"data.root={root}", "eval=set5", "output=scores.json")
    assert run(monkeypatch, *arguments) == 0
    plain = json.loads((tmp_path / "scores.json").read_text())["metrics"]["Set5"]
    capsys.readouterr()

    named = "degradations={pil:{degradation:resize},noise_down:{sigma:5}}"
    assert run(monkeypatch, *arguments, named, "save=sr") == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert list(content["metrics"]) == ["Set5", "Set5/pil", "Set5/noise_down"]
    assert content["metrics"]["Set5"] == plain
    assert "degradation" not in content["protocol"]
    for name, kind in (("pil", "resize_pil_x4"), ("noise_down", "noise_down_x4_5")):
        scores = content["metrics"][f"Set5/{name}"]
        assert scores["protocol"]["degradation"].startswith(kind)
        assert scores["psnr"] == pytest.approx(scores["bicubic"]["psnr"], abs=1e-3)
        assert scores["psnr"] != plain["psnr"]
        assert len(scores["per_image"]) == 5
    out = capsys.readouterr().out
    assert "Set5/pil (5)" in out
    assert "LR by noise_down_x4_5" in out

    # The same scores as of one at a time, and the images that were saved.
    assert run(monkeypatch, *arguments, "degradation=noise_down", "degradation.sigma=5") == 0
    alone = json.loads((tmp_path / "scores.json").read_text())["metrics"]["Set5"]
    assert alone["per_image"] == content["metrics"]["Set5/noise_down"]["per_image"]
    assert run(monkeypatch, "images=sr/Set5/noise_down", "scale=4", f"data.root={root}", "eval=set5",
               "output=again.json") == 0  # fmt: skip
    again = json.loads((tmp_path / "again.json").read_text())["metrics"]["Set5"]
    assert again["psnr"] == pytest.approx(alone["psnr"])


def test_regions_and_chosen_metrics(monkeypatch, capsys, tmp_path, root):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "model=bicubic", "scale=4", f"data.root={root}", "eval=set5", "output=scores.json",
               "regions=true", "metrics=psnr") == 0  # fmt: skip
    content = json.loads((tmp_path / "scores.json").read_text())
    five = content["metrics"]["Set5"]
    assert set(five) == {"psnr", "ssim", "images", "bicubic", "regions", "per_image"}
    assert content["missing"] == {}
    assert sum(each["pixels"] for each in five["regions"].values()) == 5 * 40 * 44
    out = capsys.readouterr().out
    assert "missing" not in out
    assert "PSNR on edges" in out


def test_self_ensemble_is_another_protocol(monkeypatch, capsys, tmp_path, root, checkpoint):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    arguments = (f"checkpoint={checkpoint}", f"data.root={root}", "eval=set5", "output=scores.json")
    found = {}
    for value in (False, True):
        assert run(monkeypatch, *arguments, f"self_ensemble={value}") == 0
        found[value] = json.loads((tmp_path / "scores.json").read_text())
        assert found[value]["protocol"]["self_ensemble"] is value
        assert ("x8 self-ensemble" in capsys.readouterr().out) is value
    assert found[True]["metrics"]["Set5"]["psnr"] != found[False]["metrics"]["Set5"]["psnr"]
    assert found[True]["metrics"]["Set5"]["bicubic"] == found[False]["metrics"]["Set5"]["bicubic"]


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


# Published with the weights, or as measured by an independent program; the rest of the files stand in tests/proofs.
PUBLISHED = [
    ("vdsr", "vdsr_official.pth", 2, "y_chain", "pytorch-vdsr", 37.53, ()),
    # The yaml has 20 layers as the file has them; the argument is wrong, and the file knows better.
    ("vdsr", "vdsr_official.pth", 4, "y_chain", "pytorch-vdsr", 31.35, ("model.depth=5",)),
    ("fsrcnn", "fsrcnn_x2_asadbe.pth", 2, "y_float", "FSRCNN-pytorch", 37.14, ()),
    ("imdn", "imdn_x4.pth", 4, "rgb_to_y", "IMDN", 32.21, ()),
]


@pytest.mark.parametrize(("model", "file", "scale", "protocol", "layout", "psnr", "further"), PUBLISHED)
def test_published_weights_give_their_published_psnr(
    monkeypatch, capsys, tmp_path, shared, model, file, scale, protocol, layout, psnr, further
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    path = shared / "data" / "weights" / file
    weights, sets = f"model.pretrained={path}", f"data.root={shared / 'data' / 'benchmarks'}"
    arguments = (f"model={model}", weights, f"scale={scale}", f"protocol={protocol}", sets, "eval=[set5]", *further)
    assert run(monkeypatch, *arguments, "output=scores.json") == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["metrics"]["Set5"]["psnr"] == pytest.approx(psnr, abs=0.01)
    assert (content["model"], content["checkpoint"], content["scale"]) == (model, None, scale)
    assert (content["pretrained"]["file"], content["pretrained"]["layout"]) == (file, layout)
    assert content["pretrained"]["random"] == []
    out = capsys.readouterr().out
    assert f"tensors from {file} ({layout} names" in out
    assert ("the file has model.depth=20, which is taken" in out) is bool(further)


@pytest.fixture
def theirs(tmp_path):
    """A small EDSR for x4 as EDSR-PyTorch leaves it."""
    from sr_lightning.networks.edsr import EDSR

    torch.manual_seed(0)
    network = EDSR(scale=4, width=4, depth=1)
    torch.save(network.layouts[0].to_file(network.state_dict()), tmp_path / "it's, x4.pt")
    return tmp_path / "it's, x4.pt"


def test_published_weights_score_as_the_same_weights_in_a_checkpoint(
    monkeypatch, capsys, tmp_path, root, theirs, checkpoint
):
    monkeypatch.chdir(tmp_path)
    sets = (f"data.root={root}", "eval=set5", "output=scores.json")
    assert run(monkeypatch, "model=edsr_baseline", f"model.pretrained={theirs}", "scale=4", *sets) == 0
    published = json.loads((tmp_path / "scores.json").read_text())
    assert run(monkeypatch, f"checkpoint={checkpoint}", *sets) == 0
    own = json.loads((tmp_path / "scores.json").read_text())
    assert published["metrics"] == own["metrics"]
    assert own["pretrained"] is None
    assert "model.width=4 model.depth=1, which is taken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("model=edsr_baseline", "scale=2"), "it's, x4.pt holds weights for x4, got scale=2; say scale=4."),
        (("model=imdn", "scale=4"), "does not fit model=imdn; it fits model=edsr model.width=4 model.depth=1."),
        (("model=edsr_baseline", "scale=4", "protocol=y_chain"), "this one takes RGB; use protocol=rgb_to_y"),
    ],
)
def test_published_weights_that_do_not_fit_are_refused(monkeypatch, capsys, root, theirs, arguments, expected):
    assert run(monkeypatch, *arguments, f"model.pretrained={theirs}", f"data.root={root}", "eval=set5") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error


def test_weights_that_fit_in_part_are_scored_when_that_is_asked_for(monkeypatch, capsys, tmp_path, root, theirs):
    monkeypatch.chdir(tmp_path)
    network = ("model=edsr_baseline", "model.width=4", "model.depth=2", "scale=4")
    weights = (f"model.pretrained={theirs}", "model.pretrained_strict=false")
    assert run(monkeypatch, *network, *weights, f"data.root={root}", "eval=set5", "output=scores.json") == 0
    out = capsys.readouterr().out
    random = [f"body.1.conv{i}.{part}" for i in (1, 2) for part in ("weight", "bias")]
    random += ["body.2.weight", "body.2.bias"]
    assert f"random:  {', '.join(random)}" in out
    assert json.loads((tmp_path / "scores.json").read_text())["pretrained"]["random"] == random


def test_a_network_of_ones_own_is_scored_by_a_yaml_of_ones_own(monkeypatch, tmp_path, root):
    """--config-dir serves `model=mine` as it does for a training."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "mine.yaml").write_text(
        "# Mine\n_target_: sr_lightning.networks.bicubic.Bicubic\nscale: ${scale}\nchannels: 3\n"
        "spec: {trainable: false, scales: [4], min_size: 1, multiple: 1}\n"
    )
    assert run(monkeypatch, "--config-dir", "mine", "model=mine", "scale=4", f"data.root={root}", "eval=set5",
               "output=scores.json") == 0  # fmt: skip
    assert json.loads((tmp_path / "scores.json").read_text())["model"] == "mine"


def test_the_whole_network_stands_in_the_configuration_that_is_shown(monkeypatch, capsys):
    assert run(monkeypatch, "model=vdsr", "model.depth=5", "scale=2", "--cfg", "job") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["model"]["depth"], shown["model"]["scale"], shown["names"]["model"]) == (5, 2, "vdsr")
    assert shown["model"]["spec"]["paper"]["venue"] == "CVPR 2016"
