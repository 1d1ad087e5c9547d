"""Recipes of papers against a table typed from the papers and their authors' programs, not from the yamls."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composer, Tree

EDSR_HALF, EVERY_200K = (200_000,), (200_000, 400_000, 600_000, 800_000)
SWINIR = (250_000, 400_000, 450_000, 475_000)


@dataclass(frozen=True, kw_only=True)
class First:
    """The generator's own phase before the adversarial one."""

    steps: int
    rate: float
    loss: str
    falls: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a paper trains with; falls are the steps at which the rate is multiplied by `gamma`."""

    patch: str
    batch: int
    rate: float
    steps: int
    loss: dict[str, float]
    falls: tuple[int, ...] = ()
    gamma: float = 0.5
    optimizer: str = "Adam"
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.0
    data: str = "div2k"
    last_layer: float = 1.0
    averaged: bool = False
    clip: float | None = None
    scales: tuple[int, ...] = ()
    # Of the second phase, which then `steps`, `rate` and `falls` are of.
    adversarial: dict[str, Any] = field(default_factory=dict)
    first: First | None = None
    sharpened: bool = False
    layers: dict[str, float] = field(default_factory=dict)


PAPERS = {
    # 8e8 backpropagated samples; N(0, 0.001). Half of the sum over 33x33.
    "srcnn": Recipe(
        data="t91", patch="HR 33", batch=128, optimizer="SGD", rate=1e-4, last_layer=0.1, steps=800_000_000 // 128,
        loss={"mse": 33 * 33 / 2},
    ),
    # LR 7 at x3. Length is ours.
    "fsrcnn": Recipe(
        data="t91", patch="LR 7", batch=128, optimizer="SGD", rate=1e-3, last_layer=0.1, steps=1_000_000,
        loss={"mse": 21 * 21 / 2},
    ),
    # Adam along a cosine, batch and length are ours.
    "espcn": Recipe(data="t91", patch="LR 17", batch=64, rate=1e-3, last_layer=0.1, steps=300_000, loss={"mse": 1.0}),
    # 80 epochs, a tenth after each 20. LR 12 in place of 41 upsampled pixels is ours, the clipping a port's.
    "vdsr": Recipe(
        data="mix", patch="LR 12", batch=64, optimizer="SGD", rate=0.1, decay=1e-4, steps=9_960,
        falls=(9_960 // 4, 9_960 // 2, 9_960 * 3 // 4), gamma=0.1, loss={"mse": 36 * 36 / 2}, clip=0.4,
        scales=(2, 3, 4),
    ),
    # Adam at 1e-4 in place of SGD at 1e-5 is ours.
    "lapsrn": Recipe(
        data="mix", patch="HR 128", batch=64, rate=1e-4, decay=1e-4, steps=1000 * 100, falls=(5_000, 10_000, 15_000),
        loss={"charbonnier": 1.0},
    ),
    "carn_m": Recipe(
        patch="LR 64", batch=64, rate=1e-4, steps=600_000, falls=(400_000,), loss={"l1": 1.0}, clip=10.0,
        scales=(2, 3, 4),
    ),
    "srresnet": Recipe(data="folder", patch="HR 96", batch=16, rate=1e-4, steps=1_000_000, loss={"mse": 1.0}),
    "srgan": Recipe(
        data="folder", patch="HR 96", batch=16, rate=1e-4, steps=200_000, falls=(100_000,), gamma=0.1,
        loss={"perceptual": 0.006}, layers={"relu5_4": 1.0}, adversarial={"kind": "vanilla", "weight": 1e-3},
        first=First(steps=1_000_000, rate=1e-4, loss="mse"),
    ),
    "edsr_baseline": Recipe(patch="LR 48", batch=16, rate=1e-4, steps=300_000, falls=EDSR_HALF, loss={"l1": 1.0}),
    "edsr": Recipe(patch="LR 48", batch=16, rate=1e-4, steps=300_000, falls=EDSR_HALF, loss={"l1": 1.0}),
    "mdsr": Recipe(
        patch="LR 48", batch=16, rate=1e-4, steps=650_000, falls=(200_000, 400_000, 600_000), loss={"l1": 1.0},
        scales=(2, 3, 4),
    ),
    "rcan": Recipe(patch="LR 48", batch=16, rate=1e-4, steps=1_000_000, falls=EVERY_200K, loss={"l1": 1.0}),
    "imdn": Recipe(patch="HR 192", batch=16, rate=2e-4, steps=1_000_000, falls=EVERY_200K, loss={"l1": 1.0}),
    "rlfn": Recipe(
        data="df2k", patch="HR 192", batch=64, rate=5e-4, steps=1_000_000, falls=EVERY_200K, loss={"l1": 1.0}
    ),
    "rrdb": Recipe(
        data="df2k", patch="HR 128", batch=16, rate=2e-4, steps=1_000_000, falls=EVERY_200K, loss={"l1": 1.0}
    ),
    "esrgan": Recipe(
        data="df2k", patch="HR 128", batch=16, rate=1e-4, steps=400_000, falls=(50_000, 100_000, 200_000, 300_000),
        loss={"perceptual": 1.0, "l1": 1e-2}, layers={"conv5_4": 1.0},
        adversarial={"kind": "relativistic_average", "weight": 5e-3},
        first=First(steps=1_000_000, rate=2e-4, falls=EVERY_200K, loss="l1"),
    ),
    "swinir": Recipe(patch="LR 48", batch=32, rate=2e-4, steps=500_000, falls=SWINIR, loss={"l1": 1.0}, averaged=True),
    "swinir_light": Recipe(
        patch="LR 64", batch=64, rate=2e-4, steps=500_000, falls=SWINIR, loss={"l1": 1.0}, averaged=True
    ),
    "hat": Recipe(
        data="df2k", patch="LR 64", batch=32, rate=2e-4, betas=(0.9, 0.99), steps=500_000, falls=SWINIR,
        loss={"l1": 1.0}, averaged=True,
    ),
    "real_esrnet": Recipe(
        data="df2k", patch="HR 256", batch=48, rate=2e-4, betas=(0.9, 0.99), steps=1_000_000, loss={"l1": 1.0},
        averaged=True, sharpened=True,
    ),
    "real_esrgan": Recipe(
        data="df2k", patch="HR 256", batch=48, rate=1e-4, betas=(0.9, 0.99), steps=400_000,
        loss={"l1": 1.0, "perceptual": 1.0}, averaged=True, sharpened=True,
        layers={"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
        adversarial={"kind": "vanilla", "weight": 0.1}, first=First(steps=1_000_000, rate=2e-4, loss="l1"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


def falls(schedule: Tree) -> tuple[tuple[int, ...], float | None]:
    if not schedule["_target_"].endswith(".MultiStep"):
        return (), None
    steps = schedule["epoch_steps"] if schedule["unit"] == "epochs" else 1
    return tuple(each * steps for each in schedule["milestones"]), schedule["gamma"]


def of_optimizer(optimizer: Tree) -> dict[str, Any]:
    found = {key: optimizer[key] for key in ("lr", "weight_decay")}
    name = optimizer["_target_"].rpartition(".")[2]
    return {"name": name, **found, **({"betas": tuple(optimizer["betas"])} if name == "Adam" else {})}


def expected_optimizer(recipe: Recipe) -> dict[str, Any]:
    found = {"name": recipe.optimizer, "lr": recipe.rate, "weight_decay": recipe.decay}
    return {**found, **({"betas": recipe.betas} if recipe.optimizer == "Adam" else {})}


def test_every_paper_is_in_the_table(composer: Composer):
    papers = {name for name in composer.groups["experiment"] if not name.startswith(("tutorial_", "quickstart"))}
    assert papers == set(PAPERS)


@pytest.mark.parametrize("experiment", PAPERS)
def test_the_recipe_is_that_of_the_paper(experiment: str, composer: Composer):
    recipe = PAPERS[experiment]
    tree = compose_checked(composer, [f"experiment={experiment}"]).tree
    data, optimizer, module = tree["data"], tree["optimizer"], tree["module"]
    kind, side = ("HR", data["hr_patch"]) if data["hr_patch"] else ("LR", data["lr_patch"])
    assert (f"{kind} {side}", data["batch_size"], tree["names"]["data"]) == (recipe.patch, recipe.batch, recipe.data)
    assert tuple(data["scales"] or ()) == recipe.scales
    assert of_optimizer(optimizer) == expected_optimizer(recipe)
    assert optimizer.get("momentum", 0.9) == 0.9
    assert list(optimizer["layer_lr"].values()) == ([] if recipe.last_layer == 1 else [recipe.last_layer])
    assert falls(tree["scheduler"]) == (recipe.falls, recipe.gamma if recipe.falls else None)
    assert module["gradient_clip"] == recipe.clip
    assert {name: term["weight"] for name, term in tree["loss"].items()} == recipe.loss
    assert all(term["start"] == term["ramp"] == 0 for term in tree["loss"].values())
    assert tree["loss"].get("perceptual", {}).get("layers", {}) == recipe.layers
    assert tree["callbacks"].get("ema", {}).get("decay") == (0.999 if recipe.averaged else None)
    assert tree["degradation"].get("usm", False) is recipe.sharpened
    assert tree["degradation"]["_target_"].endswith(".SecondOrder" if recipe.sharpened else ".Bicubic")
    assert tree["augment"]["flip"]
    assert tree["trainer"]["precision"] == "32-true"
    assert tree["trainer"]["max_steps"] == recipe.steps + (recipe.first.steps if recipe.first else 0)
    assert bool(module.get("discriminator")) == bool(recipe.adversarial)


@pytest.mark.parametrize("experiment", [name for name, recipe in PAPERS.items() if recipe.adversarial])
def test_the_phases_of_gans_are_those_of_the_paper(experiment: str, composer: Composer):
    recipe = PAPERS[experiment]
    first = recipe.first
    assert first is not None
    module = compose_checked(composer, [f"experiment={experiment}"]).tree["module"]
    assert (module["pretrain_steps"], module["pretrain_lr"]) == (first.steps, first.rate)
    assert falls(module["pretrain_scheduler"]) == (first.falls, 0.5 if first.falls else None)
    assert {name: term["weight"] for name, term in module["pretrain_loss"].items()} == {first.loss: 1.0}
    adversarial = {"start": 0, "ramp": 0, "penalty": "none", **recipe.adversarial}
    assert {key: module["adversarial"][key] for key in adversarial} == adversarial
    # One step of it for each of the generator's, at the same rate; its schedule is the module's: tests/modules.
    assert of_optimizer(module["discriminator_optimizer"]) == expected_optimizer(recipe)
    criterion = compose_checked(composer, [f"experiment={experiment}"]).tree["loss"]["perceptual"]["criterion"]
    assert criterion == ("mse" if experiment == "srgan" else "l1")


def test_what_is_of_one_network_alone(composer: Composer):
    def model(experiment: str) -> Tree:
        return compose_checked(composer, [f"experiment={experiment}"]).tree["model"]

    assert model("srcnn")["deviation"] == 0.001
    assert model("edsr")["residual_scale"] == 0.1
    assert (model("edsr")["width"], model("edsr")["depth"]) == (256, 32)
    assert (model("swinir_light")["width"], model("swinir_light")["upsampler"]) == (60, "pixelshuffledirect")


@pytest.mark.parametrize(
    ("experiment", "milestones"),
    [("swinir", "[125000,200000,225000,237500]"), ("hat", "[125000,200000,225000,240000]")],
)
def test_from_x2_with_half_the_rate_and_half_the_steps(experiment: str, milestones: str, repository: Any):
    text = (repository / "conf" / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    for argument in ("optimizer.lr=1e-4", "trainer.max_steps=250000", f"'scheduler.milestones={milestones}'"):
        assert argument in text
