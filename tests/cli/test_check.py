"""Unknown names, wrong types and ranges, each with one line that says what was expected, what came, what is near."""

import re
from pathlib import Path

import pytest
from hydra.utils import get_class
from lightning.pytorch.strategies import StrategyRegistry

from sr_lightning.cli.check import CHOICES, CHOICES_OF
from sr_lightning.losses.adversarial import AdversarialLoss
from sr_lightning.metrics.protocol import PROTOCOLS
from sr_lightning.modules.schedules import Constant

REFUSED = [
    # unknown choices
    ("model=edsr_baselin", "model: expected one of ", " bicubic, ", "got 'edsr_baselin'", "mean 'edsr_baseline'?"),
    ("loss=l3", "loss: expected one of charbonnier, dists,", "got 'l3'", "mean 'l1'?"),
    ("loss=[l1,percptual]", "loss: expected one of", "got 'percptual'", "mean 'perceptual'?"),
    ("loss=[]", "loss: expected one of", "got none of them"),
    ("data=smaple", "data: expected one of bsd100, bsds300, ", "got 'smaple'", "mean 'sample'?"),
    ("experiment=quickstrt", "experiment: expected one of", "mean 'quickstart'?"),
    ("scheduler=null", "scheduler: expected one of constant, cosine, multistep, got null"),
    ("model=null", "model: expected one of", "got null"),
    ("experiment=null", "got null; ~experiment leaves it out"),
    ("~logger", "logger: expected one of csv, wandb, got ~logger"),
    ("~loss", "loss: expected one of", "got ~loss"),
    # unknown keys
    ("typo=1", "unknown key 'typo': expected a key that the configuration has, got 'typo=1'; the keys there are"),
    ("+typo=1", "unknown key 'typo'", "got '+typo=1'"),
    ("++scal=2", "unknown key 'scal'", "mean 'scale'?"),
    ("modle=srgan", "unknown key 'modle'", "mean 'model'?"),
    ("modul=gan", "unknown key 'modul'", "mean 'module'?"),
    ("model.widht=8", "unknown key 'model.widht'", "mean 'model.width'?"),
    ("+model.widht=8", "unknown key 'model.widht'", "mean 'model.width'?"),
    ("loss.l1.wieght=2", "unknown key 'loss.l1.wieght'", "mean 'loss.l1.weight'?"),
    ("+loss.foo.weight=1", "unknown key 'loss.foo.weight': the loss has no term 'foo'; it has l1"),
    ("loss.perceptual.weight=1", "unknown key 'loss.perceptual.weight'", "loss=perceptual or ", " has it"),
    ("module.adversarial.kind=vanilla", "unknown key 'module.adversarial.kind'", "module=gan has it"),
    ("model.mapping_width=8", "unknown key 'model.mapping_width'", "model=espcn or model=fsrcnn or model=srcnn"),
    ("module/discriminator=patch", "module/discriminator: module=pixel has no such part; module=gan has it"),
    ("lr=1e-3", "unknown key 'lr'", "mean 'optimizer.lr'?"),
    ("max_steps=5", "unknown key 'max_steps'", "mean 'trainer.max_steps'?"),
    ("~scale", "the key 'scale' cannot be taken away"),
    ("~optimizer.lr", "the key 'optimizer.lr' cannot be taken away"),
    ("names.model=x", "names.model only says what was chosen; choose with model=..."),
    # wrong types
    ("scale=four", "scale: expected an integer, got 'four'"),
    ("scale=2.5", "scale: expected an integer, got 2.5"),
    ("scale=true", "scale: expected an integer, got True"),
    ("scale=null", "scale: expected an integer, got null"),
    ("scale=", "scale: expected an integer, got ''"),
    ("optimizer.lr=fast", "optimizer.lr: expected a number, got 'fast'"),
    ("optimizer.betas=[a,b]", "optimizer.betas[0]: expected a number, got 'a'"),
    ("trainer.max_steps=1.5", "trainer.max_steps: expected an integer, got 1.5"),
    ("compile=maybe", "compile: expected true or false, got 'maybe'"),
    ("data.hr_patch=big", "data.hr_patch: expected an integer, got 'big'"),
    ("model=7", "model: expected one of"),
    ("data={root: x}", "data: expected one of bsd100, "),
    # ranges and plain choices
    ("scale=0", "scale: expected a positive number, got 0"),
    ("trainer.max_steps=0", "trainer.max_steps: expected a positive number, got 0"),
    ("data.batch_size=-1", "data.batch_size: expected a positive number, got -1"),
    ("seed=-1", "seed: expected zero or more, got -1"),
    (
        "protocol=rgb2y",
        "protocol: expected one of rgb_to_y, y_chain, y_float, rgb, rgb_div2k, got 'rgb2y'",
        "did you mean",
    ),
    ("trainer.precision=fp16", "trainer.precision: expected one of auto, 32-true,"),
    ("trainer.strategy=ddpx", "trainer.strategy: expected one of auto, ddp,", "mean 'ddp'?"),
    ("trainer.accelerator=tpu", "trainer.accelerator: expected one of"),
    ("scheduler.unit=step", "scheduler.unit: expected one of steps, epochs", "mean 'steps'?"),
    ("optimizer.lr=nan", "optimizer.lr: expected a number, got nan"),
    # Sizes of networks; of other numbers zero is one.
    ("model.depth=-1", "model.depth: expected 0 or more, got -1"),
    # what is no key=value
    ("srgan", "cannot read 'srgan': expected key=value"),
    ("model=", "model: expected one of"),
    ("loss=[l1", "cannot read 'loss=[l1'"),
    ("--hlep", "unknown flag '--hlep'", "mean '--help'?"),
    ("--config-dir", "expected one argument"),
    ("-cn=other", "-cn is not for this program"),
    ("model=edsr,srgan", "model has several values; add -m"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_refused_with_what_was_expected_what_came_and_the_nearest(refusal, case):
    argument, *parts = case

    error = refusal(argument)

    for part in parts:
        assert part in error


def test_module_keys_of_the_chosen_module_are_known(refusal, command):
    assert "mean 'vanilla'?" in refusal("model=srgan", "module.adversarial.kind=vanila")
    assert "module/discriminator: expected one of patch, srgan" in refusal("model=srgan", "module/discriminator=ptch")
    assert "module.discriminator.patch: expected an integer" in refusal("model=srgan", "module.discriminator.patch=big")
    tree = command("train", "model=srgan", "module.adversarial.kind=least_squares", "module/discriminator=patch").tree
    assert tree["module"]["adversarial"]["kind"] == "least_squares"
    assert tree["module"]["discriminator"]["_target_"].endswith("PatchDiscriminator")


def test_choices_of_one_class_alone(refusal):
    error = refusal("degradation=resize", "degradation.kind=cv3")
    assert "degradation.kind: expected one of pil, cv2, bilinear, got 'cv3'" in error
    error = refusal("degradation.border=mirror")
    assert "degradation.border: expected one of symmetric, replicate, got 'mirror'" in error


def test_null_switches_off_what_may_be_off(command):
    tree = command("train", "module.gradient_clip=null", "data.hr_patch=96").tree
    assert tree["module"]["gradient_clip"] is None
    assert tree["data"]["lr_patch"] is None


def test_members_of_a_collection_may_be_added_and_taken_away(command, refusal):
    mine = "+loss.mine={_target_: mypkg.Loss, weight: 0.5}"
    tree = command("train", mine, "~loss.l1", "~callbacks.panels").tree
    assert list(tree["loss"]) == ["mine"]
    assert "panels" not in tree["callbacks"]
    assert "unknown key 'loss.mien.weight'" in refusal(mine, "loss.mien.weight=2")


def test_choices_are_those_of_the_code_behind_them(refusal):
    assert set(CHOICES["protocol"]) == set(PROTOCOLS)
    for kind in CHOICES["module.adversarial.kind"]:
        AdversarialLoss(kind=kind)
    with pytest.raises(ValueError, match=", ".join(CHOICES["module.adversarial.kind"])):
        AdversarialLoss(kind="other")
    for unit in CHOICES["scheduler.unit"]:
        Constant(unit=unit, epoch_steps=1, warmup=0)
    with pytest.raises(ValueError, match=" or ".join(CHOICES["scheduler.unit"])):
        Constant(unit="other", epoch_steps=1, warmup=0)
    assert set(CHOICES["trainer.strategy"]) - {"auto"} <= set(StrategyRegistry.available_strategies())
    for target, keys in CHOICES_OF.items():
        for key, choices in keys.items():
            for choice in choices:
                get_class(target)(scale=2, **{key: choice})
            with pytest.raises(ValueError, match="got 'other'"):
                get_class(target)(scale=2, **{key: "other"})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def mine(tmp_path) -> Path:
    """A folder of a user's own yamls."""
    folder = tmp_path / "my conf"
    write(
        folder / "experiment" / "e.yaml",
        "# @package _global_\ndefaults:\n  - override /loss: [l1, perceptual]\n"
        "loss:\n  perceptual:\n    weight: 0.01\ntrainer:\n  max_steps: 77\n",
    )
    write(folder / "experiment" / "typo.yaml", "# @package _global_\ntrainer:\n  max_stpes: 5\n")
    write(
        folder / "experiment" / "typo_in_list.yaml",
        "# @package _global_\ndefaults:\n  - override /loss: [l1, perceptual]\nloss:\n  perceptual:\n    wieght: 1\n",
    )
    write(folder / "experiment" / "wrong_type.yaml", "# @package _global_\nscale: four\n")
    write(
        folder / "model" / "mine.yaml",
        "_target_: mypkg.Net\nscale: ${scale}\nchannels: 3\nlayers: [1, 2]\nspec: {scales: [3]}\n",
    )
    return folder


def test_own_experiment(command, mine):
    tree = command("train", "--config-dir", str(mine), "experiment=e").tree
    assert list(tree["loss"]) == ["l1", "perceptual"]
    assert tree["loss"]["perceptual"]["weight"] == 0.01
    assert tree["trainer"]["max_steps"] == 77
    assert (
        command("train", f"--config-dir={mine}", "experiment=e", "trainer.max_steps=3").tree["trainer"]["max_steps"]
        == 3
    )


def test_fragment_of_a_replaced_loss_is_dropped(command, refusal, mine):
    answer = command("train", "--config-dir", str(mine), "experiment=e", "loss=charbonnier", "scale=8")
    assert list(answer.tree["loss"]) == ["charbonnier"]
    assert answer.tree["names"]["loss"] == "charbonnier"
    assert answer.tree["scale"] == answer.tree["model"]["scale"] == 8
    error = refusal("--config-dir", str(mine), "experiment=e", "loss=charbonnier", "loss.perceptual.weight=1")
    assert error.startswith("unknown key 'loss.perceptual.weight'")


@pytest.mark.parametrize(
    ("experiment", "key", "hint"),
    [("typo", "trainer.max_stpes", "trainer.max_steps"), ("typo_in_list", "loss.perceptual.wieght", "weight")],
)
def test_typo_in_an_own_experiment_is_refused(refusal, mine, experiment, key, hint):
    error = refusal("--config-dir", str(mine), f"experiment={experiment}")
    assert f"unknown key '{key}' (from experiment={experiment})" in error
    assert re.search(f"mean '.*{hint}'", error)


def test_wrong_type_in_an_own_experiment_is_refused(refusal, mine):
    assert "scale: expected an integer, got 'four'" in refusal("--config-dir", str(mine), "experiment=wrong_type")


def test_own_model_has_keys_and_facts_of_its_own(command, refusal, mine):
    tree = command("train", "--config-dir", str(mine), "model=mine", "scale=3", "model.layers=[4]").tree
    assert tree["model"]["layers"] == [4]
    assert "model=mine supports scale 3, got scale=4" in refusal("--config-dir", str(mine), "model=mine")
    assert "mean 'model.layers'?" in refusal("--config-dir", str(mine), "model=mine", "scale=3", "model.layer=[4]")


def test_missing_config_dir_is_refused(refusal):
    assert refusal("--config-dir", "nowhere") == "--config-dir: expected a folder, got nowhere, which is not one."


def test_local_file_is_read_and_its_typos_are_refused(command, refusal, repository, tmp_path, monkeypatch):
    # As conf/local/default.yaml, which is the user's own and may not be touched here.
    local = tmp_path / "conf"
    write(local / "local" / "default.yaml", "# @package _global_\npaths:\n  data: /datasets\ntrainer:\n  devices: 1\n")
    arguments = ("--config-dir", str(local))

    assert command("train", *arguments).tree["data"]["root"] == "/datasets"
    # The other commands have no trainer, some no paths.
    assert "got /datasets, which is not there" in command("evaluate", *arguments, "model=bicubic", "scale=4").error
    assert command("upscale", *arguments, "checkpoint=x", "input=y", "output=z").error.startswith("checkpoint:")

    write(local / "local" / "default.yaml", "# @package _global_\npaths:\n  dat: /datasets\n")
    error = refusal(*arguments)
    assert "unknown key 'paths.dat' (from local=default); did you mean 'paths.data'?" in error


def test_layers_of_a_perceptual_loss_are_replaced_not_merged(refusal, command):
    layers = command("train", "loss=perceptual", "loss.perceptual.layers={relu3_4:1,conv2_2:0.5}").tree["loss"]
    assert layers["perceptual"]["layers"] == {"relu3_4": 1, "conv2_2": 0.5}
    swept = command("train", "-m", "model=srgan", "loss.perceptual.layers={relu3_4:1},{relu2_2:1}").runs
    assert [list(run.tree["loss"]["perceptual"]["layers"]) for run in swept] == [["relu3_4"], ["relu2_2"]]
    error = refusal("loss=perceptual", "loss.perceptual.layers={relu3_4:much}")
    assert "loss.perceptual.layers.relu3_4: expected a number, got 'much'" in error
    assert "unknown key 'loss.l1.layers'" in refusal("loss.l1.layers={relu3_4:1}")


def test_the_first_phase_has_a_schedule_of_its_own(command):
    plain = command("train", "model=srgan", "scheduler=multistep").tree["module"]["pretrain_scheduler"]
    assert plain["_target_"].endswith(".Constant")
    chosen = command("train", "model=srgan", "scheduler@module.pretrain_scheduler=cosine").tree["module"]
    assert chosen["pretrain_scheduler"]["_target_"].endswith(".Cosine")
