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
def test_how_to_go_on(run_with, capsys, arguments, line):
    run_with(None, *arguments)
    assert line in capsys.readouterr().out


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
