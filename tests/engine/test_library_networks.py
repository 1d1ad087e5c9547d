"""The networks of other libraries that our yamls name: what holds of each of them beyond the contract of all."""

import json
import math
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image
from torch import nn

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.build import build_network
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.pretrained import pretrained_network, start_from
from sr_lightning.networks.padded import Padded
from sr_lightning.refusal import Refusal
from sr_lightning.weights.match import match
from sr_lightning.weights.own import CHECKPOINT_KEY
from sr_lightning.weights.read import read_weights
from tests.test_contracts import compose, small

MODELS = ("hat", "dat", "span", "plksr", "realplksr", "omnisr", "safmn", "atd", "drct", "swin2sr")


def node(model: str, scale: int = 2) -> dict:
    return compose(f"model={model}", f"scale={scale}", *small(model)).tree["model"]


def build(model: str, scale: int = 2) -> Padded:
    torch.manual_seed(0)
    network = build_network(node(model, scale))
    assert isinstance(network, Padded)
    return network


def test_these_are_the_yamls_of_libraries():
    groups = Composer("train").groups["model"]
    assert set(MODELS) == {name for name in groups if "arguments" in compose(f"model={name}").tree["model"]["spec"]}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (33, 20)])
def test_any_size(model, size):
    network = build(model).eval()
    lr = torch.rand(2, 3, *size)
    before = lr.clone()
    with torch.no_grad():
        sr = network(lr)
    assert sr.shape == (2, 3, 2 * size[0], 2 * size[1])
    assert sr.isfinite().all()
    assert torch.equal(lr, before)


@pytest.mark.parametrize("model", [model for model in MODELS if model != "drct"])
def test_borders_are_left_to_those_that_see_to_them(model):
    """Sides that no window divides, and the smallest; DRCT alone takes whole windows only."""
    network = build(model).eval()
    assert network.multiple == 1
    smallest = network.smallest
    for size in ((57, 86), (40, 52), (smallest, smallest), (smallest, smallest + 9)):
        lr = torch.rand(1, 3, *size)
        with torch.no_grad():
            assert torch.equal(network(lr), network.network(lr.clone())), size


@pytest.mark.parametrize("model", ["hat", "swin2sr"])
def test_below_a_window_the_mirroring_is_the_librarys_too(model):
    network = build(model).eval()
    lr = torch.rand(1, 3, network.smallest // 2 + 1, network.smallest - 1)
    with torch.no_grad():
        assert torch.equal(network(lr), network.network(lr.clone()))


@pytest.mark.parametrize("model", [model for model in MODELS if model not in ("span", "plksr", "realplksr", "safmn")])
def test_those_that_are_not_for_rgb_alone_take_y(model):
    network = build_network({**node(model), "channels": 1}).eval()
    assert network(torch.rand(1, 1, 16, 16)).shape == (1, 1, 32, 32)


@pytest.mark.parametrize("model", MODELS)
def test_bf16_training_is_finite_and_ends_in_float32(model):
    network = build(model).train()
    ran = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: ran.append((module, output.dtype)))

    with torch.autocast("cpu", torch.bfloat16):
        sr = network(torch.rand(2, 3, 16, 16))
    sr.square().mean().backward()

    assert sr.dtype == torch.float32
    # The last that runs is the one that the wrapper took.
    assert ran[-1][1] == torch.float32
    assert {dtype for _, dtype in ran[:-1]} == {torch.bfloat16}
    assert not torch.equal(sr, sr.bfloat16().float())
    gradients = [parameter.grad for parameter in network.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("model", MODELS)
def test_spandrel_reads_what_is_exported_and_makes_the_same(model):
    from spandrel import ModelLoader

    network = build(model, scale=4).eval()
    (layout,) = network.layouts

    other = ModelLoader().load_from_state_dict(layout.to_file(network.state_dict()))

    assert (other.scale, other.input_channels) == (4, 3)
    lr = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        expected, sr = other.model.eval()(lr), network(lr)
    assert (sr - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("model", ["hat", "dat", "span"])
def test_files_of_the_authors_are_recognised(model, tmp_path):
    network, other = build(model), build(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.01)
    torch.save({"params_ema": dict(other.network.state_dict())}, tmp_path / "authors.pth")

    found = match(network, read_weights(tmp_path / "authors.pth", key="model.pretrained"))

    assert found is not None
    assert found.complete
    network.load_state_dict(found.fitting)
    assert all(torch.equal(*both) for both in zip(network.parameters(), other.parameters(), strict=True))


def test_a_files_arguments_are_read_by_spandrel(tmp_path):
    torch.save(build("safmn").network.state_dict(), tmp_path / "small.pth")
    full = build_network(compose("model=safmn", "scale=2").tree["model"])

    found = match(full, read_weights(tmp_path / "small.pth", key="model.pretrained"))

    assert found is not None
    assert {key: found.settings[key] for key in ("dim", "n_blocks")} == {"dim": 8, "n_blocks": 2}


def foreign(path, model: str, *overrides: str) -> None:
    """A file as its authors have it: the library's names, and nothing that says what it was built with."""
    tree = compose(f"model={model}", "scale=2", *small(model), *overrides).tree["model"]
    network = build_network(tree)
    (layout,) = network.layouts
    torch.save({"params_ema": layout.to_file(network.state_dict())}, path)


# Settings that no shape tells, or that a shape tells but for what is rounded away.
UNTOLD = {
    "hat": ("model.drop_path_rate=0.2", "model.conv_scale=0.05", "model.mlp_ratio=1.71", "model.overlap_ratio=0.3"),
    "dat": ("model.drop_path_rate=0.2", "model.expansion_factor=1.7"),
    "drct": ("model.drop_path_rate=0.2", "model.mlp_ratio=1.71"),
    "swin2sr": ("model.drop_path_rate=0.2", "model.mlp_ratio=1.71"),
    "span": ("model.img_range=1.0",),
    "realplksr": ("model.norm_groups=2",),
    "atd": ("model.category_size=64", "model.mlp_ratio=1.71"),
    "safmn": ("model.ffn_scale=1.7",),
    "plksr": ("model.split_ratio=0.3", "model.lk_type=SparsePLK"),
    "omnisr": ("model.pe=false",),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_file_of_exactly_this_network_asks_for_nothing_else(model, tmp_path):
    for overrides in ((), UNTOLD[model]):
        foreign(tmp_path / "theirs.pth", model, *overrides)
        node = compose(f"model={model}", "scale=2", *small(model), *overrides).tree["model"]
        node = {**node, "pretrained": str(tmp_path / "theirs.pth")}

        assert start_from(build_network(node), node, name=model).found.complete
        assert not pretrained_network(node, name=model).settings


def test_what_spandrel_takes_for_granted_is_not_said_to_be_in_a_file(tmp_path):
    foreign(tmp_path / "theirs.pth", "hat", "model.embed_dim=32")
    node = compose("model=hat", "scale=2", *small("hat"), "model.conv_scale=0.05").tree["model"]

    taken = pretrained_network({**node, "pretrained": str(tmp_path / "theirs.pth")}, name="hat")

    assert taken.settings["embed_dim"] == 32
    assert not {"drop_path_rate", "conv_scale"} & set(taken.settings)
    assert taken.model["conv_scale"] == 0.05


def test_the_windows_of_a_file_are_told_by_its_tables(tmp_path):
    """Two orders of one pair have the same shapes."""
    foreign(tmp_path / "theirs.pth", "dat", "model.split_size=[8,16]")
    node = compose("model=dat", "scale=2", *small("dat"), "model.split_size=[16,8]").tree["model"]
    taken = pretrained_network({**node, "pretrained": str(tmp_path / "theirs.pth")}, name="dat")
    assert taken.settings == {"split_size": [8, 16]}


def test_the_light_form_of_atd_brings_its_categories(tmp_path):
    light = (
        "model.embed_dim=48", "model.depths=[2]", "model.num_heads=[4]", "model.category_size=128",
        "model.num_tokens=64", "model.reducted_dim=8", "model.upsampler=pixelshuffledirect",
    )  # fmt: skip
    foreign(tmp_path / "light.pth", "atd", *light)
    node = {**compose("model=atd", "scale=2").tree["model"], "pretrained": str(tmp_path / "light.pth")}
    assert pretrained_network(node, name="atd").settings["category_size"] == 128


@pytest.mark.parametrize(("theirs", "model"), [("dat", "hat"), ("dat", "atd"), ("realplksr", "plksr")])
def test_a_file_of_another_network_lends_no_arguments(theirs, model, tmp_path):
    foreign(tmp_path / "theirs.pth", theirs)
    found = match(build(model), read_weights(tmp_path / "theirs.pth", key="model.pretrained"))
    assert found is not None
    assert found.settings == {}

    with pytest.raises(Refusal, match=rf"theirs\.pth does not fit model={model}; it fits model={theirs} "):
        pretrained_network({**node(model), "pretrained": str(tmp_path / "theirs.pth")}, name=model)


@pytest.mark.parametrize("model", ["swin2sr", "span"])
def test_a_checkpoint_rebuilds_it_alone(model, tmp_path):
    network = build(model).eval()
    description = {"name": model, "scale": 2, "model": node(model), "step": 3, "ema": False}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": network.state_dict(prefix="network."), CHECKPOINT_KEY: description}, path)

    loaded = load_network(path)

    lr = torch.rand(1, 3, 9, 21)
    with torch.no_grad():
        assert torch.equal(loaded.network(lr), network(lr))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"_target_": "os.system", "command": "touch here"}, "cannot import the class|expected a torch.nn.modules"),
        ({"_target_": "spandrel.architectures.HAT.HATArch"}, "expected a torch.nn.modules.module.Module"),
        ({"_target_": "spandrel.architectures.HAT.HAT", "embed_dims": 3}, "HAT has no such argument"),
        ({"_target_": "spandrel.architectures.HAT.HAT", "spec": {"arguments": {"scale": "_target_"}}}, "model"),
    ],
)
def test_a_description_calls_nothing_but_a_network(model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = {"arguments": {"scale": "upscale", "channels": "in_chans"}, "multiple": 1, "min_size": 1}
    with pytest.raises(Refusal, match=message):
        build_network({"scale": "os.system", "channels": 3, "spec": spec, **model})
    assert not list(tmp_path.iterdir())


def test_a_pattern_of_no_parameter_is_refused():
    wrong = node("span")
    wrong = {**wrong, "spec": {**wrong["spec"], "no_gradient": {"nothing": "a reason"}}}
    with pytest.raises(Refusal, match=re.escape("model.spec.no_gradient: SPAN has no parameter 'nothing'.")):
        build_network(wrong)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(Refusal, match=re.escape("say `pip install '.[spandrel]'`.")):
        build_network(node("hat"))


def test_without_numbers_it_is_built_too():
    with torch.device("meta"):
        network = build_network(node("hat"))
    assert {tensor.device.type for tensor in (*network.parameters(), *network.buffers())} == {"meta"}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["swin2sr", "span"])
def test_trained_evaluated_and_upscaled(model, tiny_images, tmp_path, repository):
    """By the real command lines: averaged weights, bf16, validation in inference mode, then its checkpoint alone."""
    root = tmp_path / "sets"
    shutil.copytree(tiny_images / "val", root / "Set5" / "HR")
    run = tmp_path / "run"
    checkpoint = run / "checkpoints" / "best.ckpt"
    quick = [
        "data=folder", f"data.train_dir={tiny_images / 'train'}", f"data.val_dir={tiny_images / 'val'}",
        "data.root=no/benchmarks", f"paths.cache={tmp_path / 'cache'}", "scale=2", "data.batch_size=2",
        "data.lr_patch=16", "data.hr_patch=null", "trainer.max_steps=4", "trainer.val_every_steps=2", "callbacks=ema",
        "trainer.accelerator=cpu", "trainer.precision=bf16-mixed", f"hydra.run.dir={run}", "metrics=[psnr,ssim]",
    ]  # fmt: skip
    image = next((tiny_images / "val").iterdir())
    commands = [
        ["train.py", f"model={model}", *small(model), *quick],
        ["evaluate.py", f"checkpoint={checkpoint}", f"data.root={root}", f"output={tmp_path / 'scores.json'}"],
        ["upscale.py", f"checkpoint={checkpoint}", f"input={image}", f"output={tmp_path / 'sr.png'}", "device=cpu"],
    ]
    for script, *arguments in commands:
        done = subprocess.run(
            [sys.executable, str(repository / script), *arguments],
            capture_output=True, text=True, timeout=280, check=False, cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    results = json.loads((run / "results.json").read_text())
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (results["status"], results["steps"], results["ema"]) == ("finished", 4, 0.999)
    assert math.isfinite(results["validation"]["psnr"])
    assert math.isfinite(scores["metrics"]["Set5"]["psnr"])
    with Image.open(image) as lr, Image.open(tmp_path / "sr.png") as sr:
        assert sr.size == tuple(2 * side for side in lr.size)
