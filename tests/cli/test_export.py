"""`export` from its command line to its file, and what it refuses before torch is imported."""

import pytest
import torch
from safetensors import safe_open

from sr_lightning.cli import export
from sr_lightning.cli.compose import Composer


@pytest.fixture
def checkpoint(tmp_path):
    """Of a small EDSR."""
    from sr_lightning.engine.build import build_network, describe

    config = Composer("train").compose(["model=edsr_baseline", "model.width=4", "model.depth=1", "scale=2"]).tree
    state = {f"network.{name}": value for name, value in build_network(config["model"]).state_dict().items()}
    path = tmp_path / "it's, a.ckpt"
    torch.save({"state_dict": state, "sr_lightning": {**describe(config), "step": 3}}, path)
    return path


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["export.py", *arguments])
    try:
        export.main()
    except SystemExit as end:
        return end.code
    return 0


def test_from_end_to_end(monkeypatch, capsys, tmp_path, checkpoint):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, f"checkpoint={checkpoint}") == 0
    written = tmp_path / "it's, a.safetensors"
    assert capsys.readouterr().out == (
        f"weights  {written}\nedsr_baseline x2, 12 tensors, by sr_lightning names, which spandrel does not know\n"
    )
    with safe_open(written, framework="pt") as file:
        assert file.metadata()["name"] == "edsr_baseline"

    assert run(monkeypatch, f"checkpoint={checkpoint}") == 1
    assert f"output: {written} is already there; overwrite=true replaces it." in capsys.readouterr().err
    assert run(monkeypatch, f"checkpoint={checkpoint}", "overwrite=true") == 0

    # In another program's names, from what was exported before.
    assert (
        run(monkeypatch, f"checkpoint={written}", "format=pth", "output=new folder/a.pth", "layout=EDSR-PyTorch") == 0
    )
    assert "by EDSR-PyTorch names" in capsys.readouterr().out
    assert "tail.1.weight" in torch.load(tmp_path / "new folder" / "a.pth", weights_only=True)["params"]
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint.name, written.name, "new folder"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("format=pth",), "checkpoint: expected a value, got nothing; say checkpoint=..."),
        (("checkpoint=no.ckpt",), "checkpoint: expected a file, got no.ckpt, which is not there."),
        (("checkpoint=a.ckpt", "format=onx"), "format: expected one of safetensors, pth, got 'onx'"),
        (("checkpoint=a.ckpt", "format=html"), "format: expected one of safetensors, pth, got 'html'"),
        (("checkpoint=a.ckpt", "output=a.pth"), "format=safetensors needs a name that ends in .safetensors, got a.pth"),
        (("checkpoint=a.pth", "format=pth"), "output: a.pth is the checkpoint itself; give another name."),
        (("checkpoint=a.ckpt", "output=a.safetensors"), "output: a.safetensors is already there; overwrite=true"),
        (("checkpoint=a.ckpt", "output=folder"), "output: expected a file, got folder, which is a folder."),
        (("checkpoint=a.ckpt", "layot=own"), "did you mean 'layout'?"),
    ],
)
def test_refused_early(command, tmp_path, arguments, expected):
    for name in ("a.ckpt", "a.pth"):
        torch.save({}, tmp_path / name)
    (tmp_path / "a.safetensors").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert expected in command("export", *arguments).error


def test_an_unknown_layout_and_a_file_of_others_are_refused_in_a_line(monkeypatch, capsys, tmp_path, checkpoint):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": torch.ones(1)}, "theirs.pth")
    assert run(monkeypatch, f"checkpoint={checkpoint}", "layout=ESRGAN") == 1
    assert capsys.readouterr().err.startswith("error: layout: expected one of auto, own, EDSR-PyTorch, BasicSR, got")
    assert run(monkeypatch, "checkpoint=theirs.pth") == 1
    assert "theirs.pth is not a checkpoint of sr_lightning" in capsys.readouterr().err
