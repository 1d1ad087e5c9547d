"""Continuing a run, and the real command line from a folder that is not ours."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.resolve import make_absolute, on_its_own
from sr_lightning.cli.train import run_cell
from sr_lightning.engine.build import build_module, build_network
from sr_lightning.modules.gan import GANModule
from sr_lightning.refusal import Refusal
from sr_lightning.report.identity import config_hash

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, *, scale: int, channels: int, width: int) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, channels * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
        )

    def forward(self, lr):
        return self.body(lr)
"""
NET_YAML = """
_target_: mypkg.Net
scale: ${scale}
channels: 3
width: 4
spec:
  scales: [2]
"""


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a run, as far as a refusal looks at it."""
    folder = tmp_path / "runs" / "it's [a] run, 1"
    folder.mkdir(parents=True)
    overrides = ["model=espcn", "scale=2", "trainer.max_steps=7", "loss=[l1,mse]", "data.batch_size=16"]
    tree = Composer("train").compose([*overrides, "optimizer.lr=0.001"]).tree
    OmegaConf.save(OmegaConf.create(tree), folder / "config.yaml")
    return folder


def test_resume_goes_on_with_the_runs_own_configuration(command, run_folder):
    tree = command("train", f"resume={run_folder}", "trainer.max_steps=20", "data.num_workers=2").tree
    assert (tree["names"]["model"], tree["scale"], tree["trainer"]["max_steps"]) == ("espcn", 2, 20)
    assert (tree["resume"], list(tree["loss"])) == (str(run_folder), ["l1", "mse"])


def test_resume_takes_a_run_from_before_there_were_metrics_to_choose(command, run_folder):
    config = OmegaConf.load(run_folder / "config.yaml")
    for key in ("metrics", "regions", "degradations"):
        del config[key]
    OmegaConf.save(config, run_folder / "config.yaml")
    assert not command("train", f"resume={run_folder}", "trainer.max_steps=20").error


def test_resume_may_score_by_other_metrics(command, run_folder):
    changed = ("metrics=[niqe]", "regions=true", "degradations=[blur_down]")
    tree = command("train", f"resume={run_folder}", *changed).tree
    assert (tree["metrics"], tree["regions"], tree["degradations"]) == (["niqe"], True, ["blur_down"])


def test_resume_takes_a_quoted_and_a_relative_path(command, run_folder):
    quoted = str(run_folder).replace("'", "\\'")
    for path in (f"'{quoted}'", "runs/it's [a] run, 1"):
        assert command("train", f"resume={path}").tree["resume"] == str(run_folder)


def test_resume_accepts_what_the_run_says_anyway(command, run_folder):
    tree = command("train", f"resume={run_folder}", "model=espcn", "loss=[l1,mse]", "scale=2").tree
    assert tree["names"]["model"] == "espcn"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("model=srgan", "resume goes on with model=espcn, got model=srgan"),
        ("loss=l1", "resume goes on with loss=l1+mse, got loss=l1"),
        ("logger=wandb", "got logger=wandb"),
        ("scale=4", "resume goes on with scale=2, got 4"),
        ("optimizer.lr=0.5", "resume goes on with optimizer.lr=0.001, got 0.5"),
        ("data.batch_size=8", "resume goes on with data.batch_size=16, got 8"),
        ("trainer.max_stpes=8", "did you mean 'trainer.max_steps'?"),
        ("experiment=quickstart", "got experiment=quickstart"),
    ],
)
def test_resume_refuses_another_run(refusal, run_folder, argument, expected):
    assert expected in refusal(f"resume={run_folder}", argument)


def test_resume_of_no_run_is_refused(refusal, tmp_path):
    assert "got /nowhere, which holds no config.yaml" in refusal("resume=/nowhere")


def call(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


HEAVY = ("torch", "lightning", "torchvision", "torchmetrics", "kornia", "numpy", "wandb")


@pytest.mark.parametrize(
    ("command_name", "argument"),
    [("train", "--help"), ("train", "model=srgn"), ("train", "scale=5"), ("train", "data=folder"),
     ("evaluate", "--help"), ("evaluate", "model=bicubic"), ("upscale", "--help"), ("upscale", "input=nowhere")],
)  # fmt: skip
def test_help_and_refusals_import_nothing_heavy(repository, tmp_path, command_name, argument):
    script = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: print('HEAVY', [name for name in {HEAVY} if name in sys.modules]))\n"
        f"sys.argv = ['{command_name}.py', '{argument}']\n"
        f"runpy.run_path(r'{repository / (command_name + '.py')}', run_name='__main__')\n"
    )
    done = call("-c", script, cwd=tmp_path)
    assert "HEAVY []" in done.stdout
    assert done.returncode == (0 if argument == "--help" else 1), done.stderr
    assert not any(tmp_path.iterdir()), "a refusal leaves nothing behind"


def test_a_users_own_gan_is_a_gan(command, refusal, tmp_path):
    """What makes a GAN is its discriminator, not the name of its yaml."""
    folder = tmp_path / "conf" / "module"
    folder.mkdir(parents=True)
    (folder / "least_squares.yaml").write_text("defaults: [gan, _self_]\nadversarial:\n  kind: least_squares\n")
    own = ("--config-dir", str(tmp_path / "conf"), "module=least_squares")
    tree = command("train", *own, "trainer.max_steps=4", "model.width=4", "model.depth=1").tree
    assert tree["module"]["adversarial"]["kind"] == "least_squares"
    assert "module.gradient_clip" in refusal(*own, "trainer.gradient_clip_val=1")
    module = build_module(tree, network=build_network(tree["model"]), precision="32-true")
    assert isinstance(module, GANModule)
    assert module.adversarial.kind == "least_squares"


def test_paths_in_the_configuration_of_a_run_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = ["model=srgan", "data.root=sets", "loss.perceptual.weights=vgg.pth", "paths.cache=cache"]
    tree = copy.deepcopy(Composer("train").compose(overrides).tree)
    make_absolute(tree)
    assert (tree["data"]["root"], tree["paths"]["cache"]) == (str(tmp_path / "sets"), str(tmp_path / "cache"))
    assert tree["loss"]["perceptual"]["weights"] == str(tmp_path / "vgg.pth")
    tree["loss"]["perceptual"]["weights"] = "auto"
    make_absolute(tree)
    assert tree["loss"]["perceptual"]["weights"] == "auto"


def test_a_users_own_network_from_a_foreign_folder(tmp_path):
    (tmp_path / "mypkg.py").write_text(NET)
    model = tmp_path / "my yamls" / "model" / "mine.yaml"
    model.parent.mkdir(parents=True)
    model.write_text(NET_YAML)
    console_script = os.path.join(os.path.dirname(sys.executable), "sr-lightning")  # noqa: PTH118, PTH120

    done = call(
        console_script, "train", "--config-dir", "my yamls", "model=mine", "scale=2", "debug=fast",
        "trainer.max_steps=2", "trainer.val_every_steps=2", "trainer.precision=32-true", "hydra.run.dir=the run",
        "data.root=none", f"paths.cache={tmp_path / 'cache'}", "~callbacks.panels",
        cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr + done.stdout
    results = json.loads((tmp_path / "the run" / "results.json").read_text())
    assert (results["status"], results["model"], results["steps"]) == ("finished", "mine", 2)
    config = OmegaConf.load(tmp_path / "the run" / "config.yaml")
    assert config.model._target_ == "mypkg.Net"
    # The run can be continued from any folder: nothing in it depends on where it was started.
    assert config.data.root == str(tmp_path / "none")
    content = torch.load(tmp_path / "the run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["sr_lightning"]["model"]["_target_"] == "mypkg.Net"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, Path]]:
    """What `run_cell` has trained: the run that it goes on with, and the folder."""
    from sr_lightning.engine import train as engine

    calls = []

    def train(cfg: DictConfig, folder: Path) -> dict:
        calls.append((cfg.get("resume"), folder))
        return {"status": "finished", "exit_code": 0, "error": None, "validation": {"psnr": 30.0}}

    monkeypatch.setattr(engine, "train", train)
    return calls


def cell() -> DictConfig:
    return OmegaConf.create({"resume": None, "sweep": {"objectives": ["validation.psnr"]}})


def write_results(folder: Path, **content: object) -> None:
    (folder / "results.json").write_text(json.dumps({"exit_code": 0, "error": None, **content}))


def test_a_new_cell_is_trained(trained, tmp_path: Path):
    assert run_cell(cell(), tmp_path) == 30.0
    assert trained == [(None, tmp_path)]


def test_a_finished_cell_is_left_alone(trained, tmp_path: Path):
    write_results(tmp_path, status="finished", validation={"psnr": 31.0})
    assert run_cell(cell(), tmp_path) == 31.0
    assert not trained


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_an_unfinished_cell_goes_on(trained, tmp_path: Path, status: str):
    write_results(tmp_path, status=status)
    assert run_cell(cell(), tmp_path) == 30.0
    assert trained == [(str(tmp_path), tmp_path)]


def test_a_failed_cell_is_an_error_and_an_interrupted_one_ends_the_sweep(tmp_path: Path, monkeypatch):
    from sr_lightning.engine import train as engine

    ended = {"status": "failed", "exit_code": 1, "error": "no memory"}
    monkeypatch.setattr(engine, "train", lambda cfg, folder: ended)
    with pytest.raises(RuntimeError, match="failed: no memory"):
        run_cell(cell(), tmp_path)
    ended.update(status="interrupted", exit_code=143)
    with pytest.raises(SystemExit) as left:
        run_cell(cell(), tmp_path)
    assert left.value.code == 143


def test_a_folder_with_another_run_is_refused(trained, tmp_path: Path):
    """Of a search, whose cells are not known before."""
    config = on_its_own(Composer("train").compose([]).tree)
    write_results(tmp_path, status="finished", config_hash="0123456789ab", validation={"psnr": 31.0})
    with pytest.raises(Refusal, match="holds a run of another configuration"):
        run_cell(OmegaConf.create(config), tmp_path)
    write_results(tmp_path, status="finished", config_hash=config_hash(config), validation={"psnr": 31.0})
    assert run_cell(OmegaConf.create(config), tmp_path) == 31.0
    assert not trained
