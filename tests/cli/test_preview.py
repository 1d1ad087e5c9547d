"""`preview` from its command line to its files, and what it refuses before torch is imported."""

import numpy as np
import pytest
from PIL import Image

from sr_lightning.cli import preview

FOLDERS = ("data=folder", "data.root=none")


def run(monkeypatch, *arguments):
    """The whole command, in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["preview.py", *arguments])
    try:
        preview.main()
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def data(photos):
    return (*FOLDERS, f"data.train_dir={photos('train')}", f"data.val_dir={photos('val')}")


def test_from_end_to_end(monkeypatch, capsys, tmp_path, data):
    monkeypatch.chdir(tmp_path)
    arguments = (
        *data, "scale=4", "degradation=noise_down", "data.hr_patch=48", "data.batch_size=4", "n=6", "pairs=my pairs",
        "output=look here.png", "paths.cache=cache", "trainer.accelerator=cpu",
    )  # fmt: skip
    assert run(monkeypatch, *arguments) == 0
    # Nothing of a run is left, neither a folder of Hydra's nor a log.
    assert {path.name for path in tmp_path.iterdir()} == {
        "train", "val", "cache", "my pairs", "look here.png", "look here.html",
    }  # fmt: skip
    assert len(list((tmp_path / "my pairs" / "LR").iterdir())) == 6
    assert np.asarray(Image.open(sorted((tmp_path / "my pairs" / "HR").iterdir())[0])).shape == (48, 48, 3)
    out = capsys.readouterr().out
    assert "sheet    look here.png\npage     look here.html\npairs    my pairs\n" in out


def test_what_the_engine_refuses_is_one_line(monkeypatch, capsys, tmp_path, data):
    monkeypatch.chdir(tmp_path)
    # Images differ in size only once they are open.
    Image.new("RGB", (210, 220)).save(tmp_path / "train" / "c.png")
    arguments = (*data, "data.crop=whole", "data.batch_size=16", "paths.cache=cache", "trainer.accelerator=cpu")
    assert run(monkeypatch, *arguments) == 1
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert "c.png" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("n=0",), "n: expected at least one sample, got 0."),
        (("n=null",), "n: expected"),
        (("n=some",), "n: expected"),
        (("output=preview.jpg",), "output: expected a name that ends in .png, got preview.jpg."),
        (("output=null",), "output: expected a name that ends in .png, got None."),
        (("output=folder.png",), "output: expected a file, got folder.png, which is a folder."),
        (("output=page.png",), "output: expected a file, got page.html, which is a folder."),
        (("output=nowhere/preview.png",), "output: expected a folder that exists, got nowhere, which does not."),
        (("pairs=file",), "pairs: expected a folder, got file, which is a file."),
        (("pairs=train",), "pairs: expected a new or an empty folder, got train, which holds files."),
        (("resume=runs/1",), "resume goes on with a training; preview takes the arguments"),
        (("scale=2,4", "-m"), "preview runs once: -m is for train."),
        (("output=preview.png", "outputs=x"), "did you mean 'output'?"),
        (("data.hr_patch=50",), "at scale=4 takes a multiple of 4 from 4 on, got 50"),
        (("data.train_dir=nowhere",), "data.train_dir: expected a folder of images"),
        (("data=div2k",), "data=div2k: 800 training images are expected under none/DIV2K"),
        (("degradation=bicubc",), "did you mean 'bicubic'?"),
        (("scale=5",), "supports scale 2, 3, 4"),
    ],
)
def test_refused_early(command, tmp_path, data, arguments, expected):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "page.html").mkdir()
    (tmp_path / "file").write_text("")
    chosen = [text.partition("=")[0] for text in arguments]
    given = ["data.root=none"] if "data=div2k" in arguments else data
    given = [text for text in given if text.partition("=")[0] not in chosen]
    assert expected in command("preview", *given, "scale=4", *arguments).error


def test_arguments_of_a_training_are_taken_as_there(command, data, tmp_path):
    (tmp_path / "empty").mkdir()
    tree = command("preview", *data, "model=edsr_baseline", "data.hr_patch=96", "scale=4", "pairs=empty").tree
    assert (tree["n"], tree["output"], tree["pairs"]) == (64, "preview.png", "empty")
    assert (tree["data"]["hr_patch"], tree["data"]["lr_patch"]) == (96, None)


def test_help_names_its_keys(command):
    out = command("preview", "--help").out
    assert out.startswith("preview: show the pairs of LR and HR")
    assert "n=64   How many samples: the first that training with this seed would see." in out
    assert "output=preview.png   The contact sheet;" in out
    assert "pairs=null   A new folder" in out
    assert "degradation  " in out
