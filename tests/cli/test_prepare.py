"""What `prepare` takes and refuses, and the whole command in a process of its own."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.prepare import run
from sr_lightning.data.scan import DataError
from sr_lightning.engine import prepare as engine
from sr_lightning.refusal import Refusal


def test_it_takes_the_arguments_of_a_training(command):
    tree = command(
        "prepare", "model=srgan", "data=bsds300", "scale=4", "loss=[l1,perceptual]", "trainer.max_steps=7"
    ).tree
    assert tree["names"] == {**tree["names"], "model": "srgan", "data": "bsds300"}
    assert list(tree["loss"]) == ["l1", "perceptual"]


def test_patches_imply_each_other_as_in_a_training(command):
    assert command("prepare", "data=t91", "data.lr_patch=24").tree["data"]["hr_patch"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data=div2",), "did you mean 'div2k'"),
        (("data=t91", "data.val=sett5"), "data.val: expected one of"),
        (("data=t91", "eval=[sett5]"), "did you mean 'set5'"),
        (("data=t91", "model=edsr_baseline", "scale=5"), "supports scale"),
        (("data=t91", "model=srresnet", "model.channels=5"), "data=t91: its images are RGB, model.channels=5"),
        (("data=t91", "resume=runs/x"), "resume goes on with a run, whose images are ready"),
        (("data=t91", "data.rot=x"), "did you mean 'data.root'"),
        (("-m", "data=t91,bsds300"), "prepare runs once"),
    ],
)
def test_refusals(command, arguments, message):
    assert message in command("prepare", *arguments).error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "data.train_dir: expected a folder of images, got nothing"),
        (("data.train_dir=nowhere",), "nowhere, which does not exist"),
        (("data.train_dir=images",), "data.val: expected images that choose the best weights"),
        (("data.train_dir=images", "data.val_dir=small"), "data.val_dir: expected an image of at least 19x19 pixels"),
        (("data.train_dir=small", "data.val_dir=images"), "data.train_dir: expected an image of at least 192x192"),
        (("data.train_dir=images", "data.val_dir=images", "data.test_dir=x"), "data.test_dir: expected a folder"),
        (("data.train_dir=images", "data.val_dir=images", "data.lr_dir=x"), "data.lr_dir: "),
        (("data.train_dir=images", "data.val_dir=images", "data.exclude=[c]"), "no training image is called 'c'"),
    ],
)
def test_folders_that_a_training_would_refuse(command, photos, arguments, message):
    photos("images")
    photos("small", side=18)
    given = ("data=folder", "model=edsr_baseline", "scale=4", "data.hr_patch=192", *arguments)
    assert message in command("prepare", *given).error
    assert message in command("train", *given).error


def test_folders_that_are_taken(command, photos):
    photos("images")
    photos("lr", "a.png", "b.png", side=50)
    folders = ("data=folder", "data.train_dir=images", "data.lr_dir=lr")
    assert not command("prepare", *folders, "data.val_dir=images").error
    # What is to be fetched is not there yet.
    assert not command("prepare", *folders, "data.val=set5", "data.root=none").error


def test_a_few_left_overs_of_a_set_are_no_reason_to_refuse(command, photos, tmp_path):
    photos("root/T91", "t1.png", "t2.png")
    assert not command("prepare", "data=t91", f"data.root={tmp_path / 'root'}", "data.exclude=[t65]").error


def test_help(command):
    out = command("prepare", "--help").out
    assert "python prepare.py data=div2k scale=4" in out
    assert "data " in out


def call(script, *arguments, cwd):
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "SR_LIGHTNING_CACHE": str(cwd / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_command(repository, tmp_path, photos):
    images = photos("images", *(f"t{number}.png" for number in range(12)), side=40)
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror/T91.zip", "w") as archive:
        for path in images.iterdir():
            archive.write(path, path.name)
    arguments = ("model=espcn", "data=t91", "scale=2", "data.hr_patch=16", "data.root=my data", "data.mirrors=[mirror]")
    done = call(repository / "prepare.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "next: python train.py model=espcn data=t91 scale=2 data.hr_patch=16 'data.root=my data'" in done.stdout
    assert len(list((tmp_path / "my data/T91").glob("*.png"))) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "images", "mirror", "my data"]


@pytest.fixture
def run_with(monkeypatch):
    """Run the task with a preparation that ends in an exception or, with None, well."""

    def run_it(error, *overrides):
        def end(config):
            assert Path(config["data"]["root"]).is_absolute()
            if error is not None:
                raise error

        monkeypatch.setattr(engine, "prepare", end)
        tree = Composer("train").compose(["command=prepare", *overrides]).tree
        run(OmegaConf.create(tree), list(overrides))

    return run_it


@pytest.mark.parametrize("error", [DataError("no such\nimages"), Refusal("no such images")])
def test_what_cannot_be_had_is_one_line(run_with, capsys, error):
    with pytest.raises(SystemExit) as end:
        run_with(error, "data=t91")
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: no such images\n"


def test_an_interruption(run_with, capsys):
    with pytest.raises(SystemExit) as end:
        run_with(KeyboardInterrupt(), "data=t91")
    assert end.value.code == 130
    assert "the same command goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("data=t91", "data.root=my data"), "next: python train.py data=t91 'data.root=my data'"),
        (("data=set5", "data.root=/sets"), "next: python evaluate.py checkpoint=PATH data.root=/sets 'eval=[set5]'"),
    ],
)
def test_how_to_go_on(run_with, capsys, photos, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    photos("my data/T91", *(f"t{number}.png" for number in range(12)))
    run_with(None, *arguments)
    assert line in capsys.readouterr().out


def test_a_training_that_would_be_refused_is_not_recommended(run_with, capsys, photos, tmp_path):
    root = photos("root/T91", *(f"t{number}.png" for number in range(12)), side=100).parent
    run_with(None, "data=t91", "scale=4", f"data.root={root}")
    out = capsys.readouterr().out
    assert "next:" not in out
    assert "to train on them, change the patch: data.lr_patch=48: 2 of 2 images of t91 are smaller than 192x192" in out
    assert "data.lr_patch=25 keeps 2 of 2" in out


def test_refusals_import_nothing_heavy(repository, tmp_path):
    script = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print('HEAVY', [n for n in ('torch', 'lightning', 'numpy') if n in sys.modules]))\n"
        "sys.argv = ['prepare.py', 'data=t91', 'eval=[sett5]']\n"
        f"runpy.run_path(r'{repository / 'prepare.py'}', run_name='__main__')\n"
    )
    done = call("-c", script, cwd=tmp_path)
    assert done.returncode == 1
    assert "HEAVY []" in done.stdout


# Ends what the program prints with the heavy modules that it has imported.
WATCHED = """
import atexit, runpy, sys
heavy = ("torch", "lightning", "torchvision", "kornia")
atexit.register(lambda: print("HEAVY", [name for name in heavy if name in sys.modules]))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # No network: nothing listens there.
        (("data=set5", "data.mirrors=[http://127.0.0.1:9]"), "http://127.0.0.1:9/Set5.zip: no connection"),
        # Images to validate on are there, those to train on are not.
        (("data=general100", "data.val=set5", "data.root=there"), "no source is known"),
        (("data=general100", "data.root=file/below"), "data.root: "),
    ],
)
def test_what_cannot_be_fetched_is_refused_before_torch_is_imported(repository, tmp_path, photos, arguments, message):
    photos("there/Set5", *(f"{number}.png" for number in range(5)), side=40)
    (tmp_path / "file").write_bytes(b"")
    root = () if any("data.root" in text for text in arguments) else ("data.root=none",)
    done = call("-c", WATCHED, str(repository / "prepare.py"), *root, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "HEAVY []" in done.stdout
    assert "to fetch: " in done.stdout, "the plan is said before"
    # A folder that cannot be written is found before a set's terms are read.
    assert ("licence" in done.stdout) == ("data.root: " not in message)
