"""What every yaml in conf/ promises. A new yaml is held to it without a line here."""

import functools
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composed, Composer
from sr_lightning.cli.refuse import refuse_training
from sr_lightning.engine import build
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


def small(model: str) -> list[str]:
    """Overrides that make a large network quick and leave its design."""
    sizes = {"width": 8, "mapping_width": 8, "depth": 2}
    given = compose(f"model={model}").tree["model"]
    return [f"model.{key}={value}" for key, value in sizes.items() if given.get(key, 0) > value]


MODELS = choices("model")
TRAINABLE = [model for model in MODELS if spec(model).get("trainable", True)]
CELLS = [(model, scale) for model in MODELS for scale in spec(model)["scales"]]


def build_small(model: str, scale: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return build.build_network(compose(f"model={model}", f"scale={scale}", *small(model)).tree["model"])


def test_something_was_found():
    assert {"bicubic", "srcnn", "espcn", "edsr", "edsr_baseline", "srresnet", "srgan"} <= set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_model_states_its_facts(model):
    facts = spec(model)
    assert set(facts) - {"trainable"} == {"scales", "min_size", "multiple", "paper", "published"}
    assert all(isinstance(scale, int) for scale in facts["scales"])
    assert facts["min_size"] >= facts["multiple"] >= 1
    for protocol, scales in facts["published"].items():
        assert protocol in PROTOCOLS
        for scale, sets in scales.items():
            assert int(scale.removeprefix("x")) in facts["scales"]
            for psnr, ssim in sets.values():
                assert 15 < psnr < 50
                assert 0.4 < ssim < 1


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
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("loss", choices("loss"))
def test_loss_is_a_scalar_whose_gradient_reaches_sr(loss):
    tree = compose(f"loss={loss}").tree
    if "perceptual" in tree["loss"]:
        tree = compose(f"loss={loss}", "loss.perceptual.weights=random").tree
    total_of = build.build_loss(tree["loss"])
    hr = torch.rand(1, 3, 32, 32)
    sr = torch.rand(1, 3, 32, 32, requires_grad=True)

    total, terms = total_of(sr, hr)
    total.backward()

    assert total.shape == ()
    assert total.dtype == torch.float32
    assert set(terms) == set(tree["loss"])
    assert sr.grad is not None
    assert sr.grad.isfinite().all()
    assert sr.grad.abs().max() > 0
    floor, _ = total_of(hr, hr)
    assert 0 <= floor.item() <= 1.001e-3
    assert floor.item() < total.item()


@pytest.mark.parametrize("name", choices("module"))
def test_module_builds(name):
    tree = compose("model=espcn", f"module={name}").tree
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


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_yaml_says_what_it_is(path):
    first = next(line for line in path.read_text().splitlines() if not line.startswith("# @package"))
    assert first.startswith("# "), f"{path} begins with a comment"
    assert path.stem != "none"
