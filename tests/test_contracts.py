"""What every yaml in conf/ promises. A new yaml is held to it without a line here."""

import csv
import functools
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.refuse import refuse_training
from sr_lightning.data.sample import sample_images
from sr_lightning.engine import build
from sr_lightning.engine.train import train
from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.resize import imresize
from sr_lightning.losses.weighted_sum import Given
from sr_lightning.metrics.protocol import PROTOCOLS

CONF = Path(__file__).resolve().parents[1] / "conf"


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@functools.cache
def composer() -> Composer:
    return Composer("train")


@functools.cache
def compose(*overrides: str) -> Composed:
    return compose_checked(composer(), overrides)


def spec(model: str) -> dict[str, Any]:
    return compose(f"model={model}").tree["model"]["spec"]


def small(model: str, *, one_scale: bool = True) -> list[str]:
    """Overrides that make a large network quick and leave its design."""
    sizes = {"width": 8, "mapping_width": 8, "depth": 2, "growth": 4, "attention_width": 4, "reduction": 1}
    sizes |= {"groups": 2, "heads": 2}
    # Of other libraries.
    sizes |= {"embed_dim": 64, "dim": 8, "num_feat": 16, "feature_channels": 8, "gc": 8, "num_tokens": 8}
    sizes |= {"n_blocks": 2, "res_num": 1, "squeeze_factor": 2}
    lists = {"depths": [2], "depth": [2], "num_heads": [2]}
    given = compose(f"model={model}").tree["model"]
    # A network for several scales has parts that one scale does not use.
    scales = ["data.scales=[${scale}]"] if one_scale and spec(model).get("multi_scale") else []
    shorter = [key for key in lists if isinstance(given.get(key), list)]
    smaller = [key for key in sizes.keys() - shorter if given.get(key, 0) > sizes[key]]
    return [
        *scales,
        *(f"model.{key}={lists[key]}" for key in shorter),
        *(f"model.{key}={sizes[key]}" for key in sorted(smaller)),
    ]


MODELS = choices("model")
TRAINABLE = [model for model in MODELS if spec(model).get("trainable", True)]
CELLS = [(model, scale) for model in MODELS for scale in spec(model)["scales"]]


def build_small(model: str, scale: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return build.build_network(compose(f"model={model}", f"scale={scale}", *small(model)).tree["model"])


def left_alone(model: str, name: str) -> bool:
    """Whether the yaml of another library's network says that training does not reach a parameter."""
    patterns = spec(model).get("no_gradient", {})
    return any(re.fullmatch(pattern, name.removeprefix("network.")) for pattern in patterns)


def test_something_was_found():
    assert {"bicubic", "srcnn", "espcn", "edsr", "edsr_baseline", "srresnet", "srgan"} <= set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_model_states_its_facts(model):
    facts = spec(model)
    always = {"scales", "min_size", "multiple", "parameters", "paper", "published"}
    of_libraries = {"arguments", "no_gradient", "channels", "min_batch"}
    assert set(facts) - {"trainable", "multi_scale", "pyramid"} - of_libraries == always
    assert all(isinstance(scale, int) for scale in facts["scales"])
    assert facts["min_size"] >= facts["multiple"] >= 1
    for protocol, scales in facts["published"].items():
        assert protocol in PROTOCOLS
        for scale, sets in scales.items():
            assert int(scale.removeprefix("x")) in facts["scales"]
            for psnr, ssim in sets.values():
                assert 15 < psnr < 50
                assert 0.4 < ssim < 1


@pytest.mark.parametrize("model", [model for model in MODELS if spec(model)["parameters"]])
def test_model_has_the_parameters_it_states(model):
    for name, expected in spec(model)["parameters"].items():
        scale = int(name.removeprefix("x"))
        assert scale in spec(model)["scales"]
        with torch.device("meta"):
            network = build.build_network(compose(f"model={model}", f"scale={scale}").tree["model"])
        assert sum(each.numel() for each in network.parameters() if each.requires_grad) == expected, name


@pytest.mark.parametrize(("model", "scale"), CELLS)
def test_model_takes_any_size(model, scale):
    network, facts = build_small(model, scale).eval(), spec(model)
    assert (network.scale, network.channels) == (scale, compose(f"model={model}").tree["model"]["channels"])
    sides = facts["min_size"], facts["multiple"]
    for height, width in ((17, 23), (sides[0], sides[0]), (sides[0], 19)):
        height, width = (max(sides[0], side // sides[1] * sides[1]) for side in (height, width))
        with torch.no_grad():
            sr = network(torch.rand(1, network.channels, height, width))
        assert sr.shape == (1, network.channels, scale * height, scale * width)
        assert sr.dtype == torch.float32
        assert sr.isfinite().all()


@pytest.mark.parametrize(("model", "scale"), [cell for cell in CELLS if cell[0] in TRAINABLE])
def test_gradient_reaches_every_parameter(model, scale):
    network = build_small(model, scale)
    side = max(8, spec(model)["min_size"])
    network(torch.rand(2, network.channels, side, side)).square().mean().backward()
    for name, parameter in network.named_parameters():
        if left_alone(model, name):
            assert not parameter.requires_grad, name
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("model", MODELS)
def test_state_dict_round_trip(model):
    scale = spec(model)["scales"][-1]
    first, second = build_small(model, scale), build_small(model, scale)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(0.01)
    second.load_state_dict(first.state_dict())
    lr = torch.rand(1, first.channels, 8, 8)
    assert torch.equal(first.eval()(lr), second.eval()(lr))


class OneBatch(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The same two patches, as a module sees them."""

    def __init__(self, lr_patch: int, scale: int) -> None:
        side = lr_patch * scale
        self.batch = {"lr": torch.rand(2, 3, lr_patch, lr_patch), "hr": torch.rand(2, 3, side, side)}

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.batch


def train_steps(tree: dict[str, Any], lr_patch: int) -> pl.LightningModule:
    """Train the composed module for its `trainer.max_steps` on one small batch."""
    torch.manual_seed(0)
    network = build.build_network(tree["model"])
    module = build.build_module(tree, network=network, precision="32-true")
    trainer = pl.Trainer(
        max_steps=tree["trainer"]["max_steps"], accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(OneBatch(lr_patch, tree["scale"]), batch_size=None)
    trainer.fit(module, loader)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", TRAINABLE)
def test_one_composed_training_step(model):
    # Three, of which a GAN's last two are adversarial (of two, the first steps of two fresh Adams may cancel).
    # Random features, since the real ones are not on every machine.
    scale = spec(model)["scales"][0]
    overrides = [f"model={model}", f"scale={scale}", *small(model), "trainer.max_steps=3"]
    tree = compose(*overrides).tree
    if "perceptual" in tree["loss"]:
        overrides.append("loss.perceptual.weights=random")
    if tree["names"]["module"] == "gan":
        overrides += ["module.discriminator.width=4", "module.discriminator.hidden=8", "data.hr_patch=32"]
        overrides.append("data.lr_patch=null")
    tree = compose(*overrides).tree
    before = {name: value.clone() for name, value in build_small(model, scale).named_parameters()}

    module = train_steps(tree, lr_patch=32 // scale)

    assert module.step == 3
    for name, parameter in module.network.named_parameters():
        assert parameter.isfinite().all(), name
        assert torch.equal(parameter, before[name]) == left_alone(model, name), name


def loss_terms(loss: str) -> dict[str, Any]:
    """The terms of a loss yaml, with random features in place of ImageNet's."""
    terms: dict[str, Any] = compose(f"loss={loss}").tree["loss"]
    return {name: {**term, **({"weights": "random"} if "weights" in term else {})} for name, term in terms.items()}


def given_for(sr: Tensor) -> Given:
    """What a term may ask for, of a network for x2."""
    return Given(
        lr=torch.rand(len(sr), 3, sr.shape[-2] // 2, sr.shape[-1] // 2), averaged_sr=lambda: torch.rand(sr.shape)
    )


@pytest.mark.usefixtures("planted_backbones")
@pytest.mark.parametrize("loss", choices("loss"))
def test_loss_is_a_scalar_whose_gradient_reaches_sr(loss):
    terms = loss_terms(loss)
    total_of = build.build_loss(terms)
    side = max(32, *(term["spec"]["min_size"] for term in terms.values()))
    torch.manual_seed(0)
    hr = torch.rand(1, 3, side, side)
    sr = torch.rand(1, 3, side, side, requires_grad=True)
    given = given_for(sr)

    for autocast in (False, True):
        sr.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            total, values = total_of(sr.bfloat16() if autocast else sr, hr, given=given)
        total.backward()
        assert total.shape == ()
        assert total.dtype == torch.float32
        assert total.isfinite()
        assert set(values) == set(terms)
        assert sr.grad is not None
        assert sr.grad.isfinite().all()
        assert sr.grad.abs().max() > 0
        # Equal images give what the yaml says.
        floors = {name: term["spec"]["floor"] for name, term in terms.items()}
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            _, at_equality = total_of(hr, hr, given=given)
        for name, floor in floors.items():
            if floor is not None:
                assert at_equality[name].item() == pytest.approx(floor, abs=2e-6)
                assert values[name] > at_equality[name]


@pytest.mark.usefixtures("planted_backbones")
@pytest.mark.parametrize("loss", choices("loss"))
def test_loss_takes_images_from_the_size_on_that_it_states(loss):
    for name, term in loss_terms(loss).items():
        assert {"weight", "start", "ramp"} <= set(term), f"loss.{name} can be weighted, started and ramped"
        side = term["spec"]["min_size"]
        total_of = build.build_loss({name: term})
        check = getattr(total_of.terms[name], "check_images", None)
        # Where LR is at least one pixel.
        sr = torch.rand(2, 3, max(2, side), max(2, side), requires_grad=True)
        total, _ = total_of(sr, torch.rand(sr.shape), given=given_for(sr))
        total.backward()
        assert sr.grad is not None
        assert sr.grad.isfinite().all()
        if check is not None:
            check(channels=3, height=side, width=side)
            if side > 1:
                with pytest.raises(ValueError, match=f"got {side - 1}x{side}"):
                    check(channels=3, height=side - 1, width=side)


@pytest.mark.parametrize("name", choices("module"))
def test_module_builds(name):
    tree = compose("model=lapsrn" if name == "pyramid" else "model=espcn", f"module={name}").tree
    module = build.build_module(tree, network=build.build_network(tree["model"]), precision="32-true")
    assert module.scale == 4


@pytest.mark.parametrize("name", choices("module/discriminator"))
def test_discriminator_takes_the_smallest_patch_it_states(name):
    tree = compose("model=srgan", f"module/discriminator={name}", *small("srgan")).tree
    facts = tree["module"]["discriminator"]["spec"]
    scale = 2 if facts["min_size"] % 2 == 0 else 1
    side = facts["min_size"] + (-facts["min_size"]) % max(facts["multiple"], scale)
    node = {**tree["module"]["discriminator"], "width": 4}
    if "patch" in node:
        node |= {"patch": side, "hidden": 8}
    discriminator = build._instantiate(node, key="module.discriminator", kind=torch.nn.Module)
    logits = discriminator(torch.rand(2, 3, side, side))
    logits.mean().backward()
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", choices("optimizer"))
def test_optimizer_steps(name):
    make = build.build_optimizer(compose(f"optimizer={name}").tree["optimizer"], precision="32-true")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = make([weight])
    weight.sum().backward()
    optimizer.step()
    assert (weight < 1).all()


@pytest.mark.parametrize("name", choices("scheduler"))
def test_scheduler_builds_and_stays_within_the_rate(name):
    tree = compose(f"scheduler={name}").tree
    schedule = build._instantiate(tree["scheduler"], key="scheduler", kind=object)
    factors = [schedule.factor(step, 1000) for step in (0, 1, 500, 999)]
    assert all(0 < factor <= 1 for factor in factors)


@pytest.mark.parametrize("name", choices("degradation"))
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_composed_degradation_makes_lr_of_the_right_size(name, scale):
    degradation = build.build_degradation(compose(f"degradation={name}", f"scale={scale}").tree["degradation"])
    hr = torch.rand(2, 3, 16 * scale, 18 * scale)
    lr = degradation(hr, samples=[0, 1], seed=0)
    assert lr.shape == (2, 3, 16, 18)
    assert torch.equal(lr, degradation(hr, samples=[0, 1], seed=0))
    assert degradation.name


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (group, name)
        for group in ("trainer", "logger", "callbacks", "debug", "data", "paths")
        for name in choices(group)
    ],
)
def test_choice_composes_and_is_trainable(group, name, tmp_path):
    composed = compose(f"{group}={name}")
    if group == "data" and name != "sample":
        return  # needs images that are not here: tests/cli/test_refuse.py, tests/data/test_sets.py
    refuse_training(composed.tree, composed.choices)


@pytest.mark.parametrize("name", choices("experiment"))
def test_experiment_composes_and_fits_together(name):
    tree = dict(compose(f"experiment={name}").tree)
    if not tree["data"]["demonstration"]:
        tree["data"] = {
            **compose("data=sample").tree["data"],
            **{key: tree["data"][key] for key in ("hr_patch", "lr_patch")},
        }  # a paper's photographs are not here
        tree["names"] = {**tree["names"], "data": "sample"}
    refuse_training(tree, {**tree["names"]})
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert f"experiment={name}" in text, "an experiment begins with the command that runs it"


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """One photograph to train on, whose patches are much alike, and one to validate; patches of 64 pixels fit."""
    root = tmp_path_factory.mktemp("photographs")
    for part in ("train", "val"):
        (root / part).mkdir()
        image = Image.open(sample_images()[part][0]).convert("RGB").crop((40, 40, 328, 328))
        image.resize((72, 72)).save(root / part / "photograph.png")
    return root


def briefly(name: str, photographs: Path) -> list[str]:
    """Overrides that leave an experiment's design and make its first 20 steps a matter of seconds."""
    tree = compose(f"experiment={name}").tree
    data, loss = tree["data"], tree["loss"]
    patch = f"data.hr_patch={min(data['hr_patch'], 64)}" if data["hr_patch"] else ""
    return [
        f"experiment={name}", *small(tree["names"]["model"], one_scale=False), patch or
        f"data.lr_patch={min(data['lr_patch'], 16)}", f"data.batch_size={min(data['batch_size'], 2)}",
        "data=folder", *(f"data.{part}_dir={photographs / part}" for part in ("train", "val")), "data.root=none",
        *(["data.exclude=[]"] if data["exclude"] else []), f"paths.cache={photographs / 'cache'}",
        *(f"loss.{term}.weights=random" for term in loss if "weights" in loss[term]), "~callbacks.panels",
        *(["module.pretrain_steps=14"] if tree["module"].get("pretrain_steps") else []), "samples.per_set=0",
        *(["module.discriminator.width=8"] if "discriminator" in tree["module"] else []),
        "trainer.max_steps=20", "trainer.val_every_steps=20", "trainer.log_every_steps=1", "trainer.accelerator=cpu",
    ]  # fmt: skip


def distance(network: torch.nn.Module, photographs: Path) -> float:
    """Mean absolute error on the photograph that was trained on; by the batch's own statistics."""
    pixels = np.asarray(Image.open(photographs / "train" / "photograph.png"))[:64, :64] / 255
    hr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    hr = (rgb_to_y(hr) if network.channels == 1 else hr)[..., : 64 // network.scale * network.scale, :]
    hr = hr[..., : hr.shape[-2]]
    with torch.no_grad():
        return float((network.train()(imresize(hr, Fraction(1, network.scale))) - hr).abs().mean())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", choices("experiment"))
def test_first_steps_of_an_experiment(name, photographs, tmp_path, monkeypatch):
    # Nothing is downloaded: features are random, and LPIPS is left out.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    tree = compose(*briefly(name, photographs)).tree
    torch.manual_seed(0)
    network = build.build_network(tree["model"])
    before = {key: value.clone() for key, value in network.named_parameters()}
    torch.save(network.state_dict(), tmp_path / "before.pth")
    tree["model"]["pretrained"] = str(tmp_path / "before.pth")

    results = train(OmegaConf.create(tree), tmp_path / "run")

    assert (results["status"], results["steps"]) == ("finished", 20), results["error"]
    assert math.isfinite(results["validation"]["psnr"])
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert len(losses) == 20
    assert all(math.isfinite(loss) for loss in losses)
    assert len(set(losses)) == 20
    after = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for key, value in before.items():
        moved = not torch.equal(after[f"network.{key}"], value)
        assert moved != left_alone(tree["names"]["model"], key), key
    # What a discriminator takes part in need not come nearer, nor what takes turns in scales or sees other colours.
    if tree["names"]["module"] != "gan" and not tree["data"]["scales"] and not tree["augment"]["colour_jitter"]:
        first = distance(network, photographs)
        network.load_state_dict(
            {key.removeprefix("network."): value for key, value in after.items() if key.startswith("network.")}
        )
        assert distance(network, photographs) < first


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_yaml_says_what_it_is(path):
    first = next(line for line in path.read_text().splitlines() if not line.startswith("# @package"))
    assert first.startswith("# "), f"{path} begins with a comment"
    assert path.stem != "none"
