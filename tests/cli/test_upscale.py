"""`upscale`: which file becomes which, and what is refused before the first is read."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import sr_lightning
from sr_lightning.cli import upscale
from sr_lightning.cli.upscale import plan
from sr_lightning.refusal import Refusal


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ("a.png", "b.jpg", "sub/c.webp", "sub/.hidden.png", "notes.txt"):
        path = tmp_path / "in put" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("hello")
        else:
            Image.linear_gradient("L").rotate(30).resize((6, 5)).convert("RGB").save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in put"


def test_folder_to_folder_keeps_relative_names(tree, tmp_path):
    out = tmp_path / "out"
    assert plan(tree, out, overwrite=False) == [
        (tree / "a.png", out / "a.png"), (tree / "b.jpg", out / "b.png"), (tree / "sub/c.webp", out / "sub/c.png"),
    ]  # fmt: skip


def test_file_to_file(tree, tmp_path):
    assert plan(tree / "a.png", tmp_path / "x.JPG", overwrite=False) == [(tree / "a.png", tmp_path / "x.JPG")]


def test_refused_plans(tree, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.png").write_text("")
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "sub" / "c.png").write_text("")
    for source, target, expected in [
        (tmp_path / "nowhere", tmp_path / "x.png", "input: expected an image or a folder, got"),
        (tmp_path / "empty", tmp_path / "x", "holds no image"),
        (tree, tmp_path / "old.png", "so expected a folder, got the file"),
        (tree / "a.png", tmp_path / "empty", "so expected a file, got the folder"),
        (tree / "a.png", tmp_path / "x", "output: expected a name that ends in"),
        (tree / "a.png", tmp_path / "x.gif", "output: expected a name that ends in"),
        (tree / "a.png", tmp_path / "old.png", "is already there; overwrite=true replaces it"),
        (tree / "a.png", tree / "a.png", "is already there"),
        (tree, tmp_path / "out", "c.png is already there"),
    ]:
        with pytest.raises(Refusal, match=expected.replace("(", r"\(")):
            plan(source, target, overwrite=False)
    assert len(plan(tree, tmp_path / "out", overwrite=True)) == 3


def test_two_inputs_with_one_target_are_refused(tree, tmp_path):
    Image.new("RGB", (6, 5)).save(tree / "a.bmp")
    with pytest.raises(Refusal, match=r"a\.bmp and .*a\.png would both become .*a\.png; rename one"):
        plan(tree, tmp_path / "out", overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("input=in put", "output=out"), "expected exactly one of checkpoint=PATH and model=NAME, got none of them."),
        (("checkpoint=file", "model=imdn", "input=in put", "output=out"), "and model=NAME, got both."),
        (("model=imdn", "input=in put", "output=out"), "scale: expected a number, got nothing; say scale=4"),
        (("model=imdn", "scale=4", "input=in put", "output=out"), "model=imdn without weights would be a random"),
        (("model=imdn", "scale=8", "input=in put", "output=out"), "model=imdn supports scale 2, 3, 4, got scale=8"),
        (("checkpoint=x",), "input: expected a value, got nothing"),
        (("checkpoint=nowhere", "input=in put", "output=out"), "checkpoint: expected a file, got nowhere"),
        (("checkpoint=file", "input=nowhere", "output=out"), "input: expected an image or a folder, got nowhere"),
        (("checkpoint=file", "input=in put", "output=in put/a.png"), "so expected a folder"),
        (("checkpoint=file", "input=in put/a.png", "output=in put/b.jpg"), "is already there; overwrite=true"),
        (("checkpoint=file", "input=in put", "output=out", "overwrite=perhaps"), "overwrite: expected true or false"),
        (("checkpoint=file", "inptu=in put", "output=out"), "did you mean 'input'?"),
    ],
)
def test_refused_early(command, tree, tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    assert expected in command("upscale", *arguments).error


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["upscale.py", *arguments])
    try:
        upscale.main()
    except SystemExit as end:
        return end.code
    return 0


def test_from_end_to_end(monkeypatch, capsys, tmp_path, tree):
    from sr_lightning.cli.compose import Composer
    from sr_lightning.engine.build import build_network, describe

    config = Composer("train").compose(["model=espcn", "scale=3"]).tree
    state = {f"network.{name}": value for name, value in build_network(config["model"]).state_dict().items()}
    torch.save({"state_dict": state, "sr_lightning": {**describe(config), "step": 0}}, tmp_path / "c.ckpt")
    monkeypatch.chdir(tmp_path)
    arguments = ("checkpoint=c.ckpt", "input=in put", "output=out [x3]")

    assert run(monkeypatch, *arguments) == 0
    assert "3 image(s), x3" in capsys.readouterr().out
    with Image.open(tmp_path / "out [x3]" / "sub" / "c.png") as image:
        assert image.size == (18, 15)
    assert run(monkeypatch, *arguments) == 1
    assert "is already there" in capsys.readouterr().err
    assert run(monkeypatch, *arguments, "overwrite=true") == 0
    plain = (tmp_path / "out [x3]" / "a.png").read_bytes()
    assert run(monkeypatch, *arguments, "overwrite=true", "self_ensemble=true") == 0
    assert (tmp_path / "out [x3]" / "a.png").read_bytes() != plain
    # One unreadable file: the others are made, and the exit code tells.
    (tree / "a.png").write_text("hello")
    (tmp_path / "out [x3]" / "b.png").unlink()
    assert run(monkeypatch, *arguments, "overwrite=true") == 1
    assert "a.png cannot be upscaled" in capsys.readouterr().err
    assert (tmp_path / "out [x3]" / "b.png").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"c.ckpt", "in put", "out [x3]"}


def test_published_weights_go_as_they_are(monkeypatch, capsys, tmp_path, tree):
    """By the command and by `load`; the arguments that the file shows are taken."""
    from sr_lightning.cli.compose import Composer
    from sr_lightning.engine.build import build_network

    torch.manual_seed(0)
    small = Composer("train").compose(["model=imdn", "scale=2", "model.width=16", "model.depth=2"]).tree["model"]
    network = build_network(small).eval()
    [layout] = [layout for layout in network.layouts if layout.name == "IMDN"]
    torch.save({f"module.{name}": value for name, value in layout.to_file(network.state_dict()).items()}, "theirs.pth")
    of_file = ("model=imdn", "model.pretrained=theirs.pth")

    assert run(monkeypatch, *of_file, "scale=2", "input=in put/a.png", "output=large.png") == 0
    out = capsys.readouterr().out
    assert "from theirs.pth (IMDN names, module.," in out
    assert "the file has model.width=16 model.depth=2" in out
    with Image.open(tree / "a.png") as lr, Image.open("large.png") as sr:
        lr, sr = (np.array(image) for image in (lr, sr))
    with torch.inference_mode():
        expected = network(torch.from_numpy(lr).permute(2, 0, 1)[None] / 255).clamp(0, 1)[0].permute(1, 2, 0)
    assert np.abs(sr / 255 - expected.numpy()).max() < 0.51 / 255
    with pytest.warns(UserWarning, match=r"the file has model\.width=16 model\.depth=2"):
        upscaler = sr_lightning.load("theirs.pth", model="imdn", scale=2, device="cpu")
    assert (upscaler(lr) == sr).all()

    assert run(monkeypatch, *of_file, "scale=4", "input=in put/a.png", "output=other.png") == 1
    assert "theirs.pth holds weights for x2, got scale=4; say scale=2." in capsys.readouterr().err
    for given, expected in (
        ({"model": "imdn"}, "expected model and scale for weights of another program, got imdn and None"),
        ({"model": "imnd", "scale": 2}, "got 'imnd'; did you mean 'imdn'?"),
        ({}, "is not a checkpoint of sr_lightning"),
        ({"model": "imdn", "scale": 8}, "model=imdn supports scale 2, 3, 4, got scale=8."),
        ({"model": "imdn", "scale": "2"}, "expected a whole number as scale, got '2'"),
    ):
        with pytest.raises(Refusal) as refused:
            sr_lightning.load("theirs.pth", **given)
        assert expected in str(refused.value)


def test_a_network_without_weights_needs_none(monkeypatch, capsys, tree):
    assert run(monkeypatch, "model=bicubic", "scale=3", "input=in put", "output=out") == 0
    assert "3 image(s), x3" in capsys.readouterr().out


def test_a_checkpoint_is_not_for_another_scale(monkeypatch, capsys, tree):
    from sr_lightning.cli.compose import Composer
    from sr_lightning.engine.build import build_network, describe

    config = Composer("train").compose(["model=espcn", "scale=3"]).tree
    state = {f"network.{name}": value for name, value in build_network(config["model"]).state_dict().items()}
    torch.save({"state_dict": state, "sr_lightning": {**describe(config), "step": 0}}, "c.ckpt")
    assert run(monkeypatch, "checkpoint=c.ckpt", "scale=2", "input=in put", "output=out") == 1
    assert "scale: the checkpoint was trained for x3, got scale=2." in capsys.readouterr().err


def test_every_networks_yaml_is_read_without_the_command_line():
    """In a fresh interpreter: what yamls compute is registered by whoever reads them."""
    code = (
        "import sys; from sr_lightning.engine.pretrained import model_of; from sr_lightning.yamls import conf_dir\n"
        "for path in (conf_dir() / 'model').glob('*.yaml'): assert model_of(path.stem, scale=2)['scale'] == 2\n"
        "assert 'sr_lightning.cli.compose' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
