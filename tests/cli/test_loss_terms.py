"""Terms of the loss: named, weighted, started, ramped; two of one kind side by side."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.cli.check import compose_checked
from sr_lightning.cli.compose import Composer
from sr_lightning.cli.refuse import refuse_training
from sr_lightning.cli.train import rewrite
from sr_lightning.refusal import Refusal


def compose(*arguments: str, config_dirs: tuple[Path, ...] = ()) -> dict[str, Any]:
    composer = Composer("train", config_dirs=config_dirs)
    composed = compose_checked(composer, rewrite(list(arguments)).overrides)
    refuse_training(composed.tree, composed.choices)
    return composed.tree


def refusal(*arguments: str) -> str:
    with pytest.raises(Refusal) as caught:
        compose(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_second_term_of_a_kind_has_a_name_of_its_own():
    tree = compose(
        "loss=[l1,perceptual]", "+loss@loss.deep=perceptual", "loss.deep.layers={relu3_4:2}", "loss.deep.weight=0.1",
        "+loss@loss.late=l1", "loss.late.start=1000", "loss.late.ramp=500",
    )  # fmt: skip
    assert list(tree["loss"]) == ["l1", "perceptual", "deep", "late"]
    assert tree["names"]["loss"] == "l1+perceptual+deep+late"
    assert tree["loss"]["deep"]["_target_"] == tree["loss"]["perceptual"]["_target_"]
    assert tree["loss"]["deep"]["layers"] == {"relu3_4": 2}
    assert tree["loss"]["perceptual"]["layers"] == {"conv5_4": 1.0}
    assert [tree["loss"]["late"][key] for key in ("weight", "start", "ramp")] == [1.0, 1000, 500]


def test_an_experiment_names_them_in_its_defaults(tmp_path: Path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "two.yaml").write_text(
        "# @package _global_\ndefaults:\n  - /loss@loss.late: l1\n  - override /loss: [l1]\n  - _self_\n"
        "loss:\n  late: {weight: 0.5, start: 3}\n"
    )
    tree = compose("experiment=two", config_dirs=(tmp_path,))
    assert [(name, term["weight"], term["start"]) for name, term in tree["loss"].items()] == [
        ("l1", 1.0, 0), ("late", 0.5, 3),
    ]  # fmt: skip


def test_the_first_phase_of_a_gan_takes_terms_too():
    tree = compose("model=srgan", "+loss@module.pretrain_loss.ssim=ssim", "module.pretrain_loss.ssim.weight=0.1")
    assert list(tree["module"]["pretrain_loss"]) == ["mse", "ssim"]
    assert "ssim" not in tree["loss"]


def test_presets():
    esrgan, real = compose("loss=esrgan")["loss"], compose("loss=real_esrgan")["loss"]
    assert {name: term["weight"] for name, term in esrgan.items()} == {"perceptual": 1.0, "l1": 1e-2}
    assert (esrgan["perceptual"]["layers"], esrgan["perceptual"]["criterion"]) == ({"conv5_4": 1.0}, "l1")
    assert {name: term["weight"] for name, term in real.items()} == {"l1": 1.0, "perceptual": 1.0}
    assert real["perceptual"]["layers"] == {
        "conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0,
    }  # fmt: skip
    srgan = compose("loss=srgan")["loss"]["perceptual"]
    assert (srgan["weight"], srgan["layers"], srgan["criterion"]) == (0.006, {"relu5_4": 1.0}, "mse")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("loss.l1.weight=-1",), "loss.l1.weight: expected a number, zero or more, got -1."),
        (("loss.l1.weight=nan",), "loss.l1.weight: expected a number, zero or more, got nan."),
        (("loss.l1.weight=inf",), "loss.l1.weight: expected a number, zero or more, got inf."),
        (("loss.l1.weight=much",), "loss.l1.weight: expected a number, got 'much'."),
        (("loss.l1.start=-5",), "loss.l1.start: expected a number of steps, zero or more, got -5."),
        (("loss.l1.start=0.5",), "loss.l1.start: expected an integer, got 0.5."),
        (("loss.l1.ramp=-1",), "loss.l1.ramp: expected a number of steps, zero or more, got -1."),
        (("loss.l1.ramp=yes",), "loss.l1.ramp: expected an integer, got"),
        (("loss.l1.begin=5",), "unknown key 'loss.l1.begin'"),
        (("model=srgan", "module.pretrain_loss.mse.weight=-1"), "module.pretrain_loss.mse.weight: expected a number"),
        (("model=srgan", "module.adversarial.penalty=r2"), "module.adversarial.penalty: expected one of none, r1"),
        (("model=srgan", "module.adversarial.penalty_every=0"), "penalty_every: expected a positive number, got 0"),
        (("model=srgan", "module.adversarial.penalty_weight=-1"), "penalty_weight: expected zero or more, got -1"),
        (("loss=[l1,ldl]",), "loss.ldl compares with what the averaged network makes, and no average is kept: add"),
    ],
)
def test_refused(arguments: tuple[str, ...], expected: str):
    assert expected in refusal(*arguments)


@pytest.mark.parametrize(("key", "value"), [("weight", "-1"), ("weight", "much"), ("start", "1.5"), ("ramp", "-1")])
def test_a_term_of_ones_own_is_held_to_it_too(key: str, value: str):
    mine = f"+loss.mine={{_target_:sr_lightning.losses.pixel.L1Loss,{key}:{value}}}"
    assert f"loss.mine.{key}: expected a number" in refusal(mine)


def test_ldl_with_its_average_or_without():
    assert "ema" in compose("loss=[l1,ldl]", "callbacks=ema")["callbacks"]
    assert compose("loss=[l1,ldl]", "loss.ldl.refine=false")["loss"]["ldl"]["refine"] is False


@pytest.mark.parametrize("loss", ["perceptual", "style", "lpips", "dists"])
def test_features_are_of_photographs(loss: str):
    assert f"loss.{loss} compares features of RGB images or Y, got model.channels=5" in refusal(
        f"loss={loss}", "model.channels=5", "protocol=rgb"
    )


def test_every_loss_stands_in_the_documentation(repository: Path):
    text = (repository / "docs" / "losses.md").read_text()
    for path in sorted((repository / "conf" / "loss").glob("*.yaml")):
        assert f"`{path.stem}`" in text, path.stem


def test_a_sweep_may_add_a_term(tmp_path: Path, repository: Path):
    command = [
        sys.executable, str(repository / "train.py"), "-m", "+loss@loss.second=l1,ssim", "trainer.max_steps=0",
        f"paths.runs={tmp_path}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    # Composed and checked as a sweep; only its length is refused.
    assert "trainer.max_steps: expected a positive number, got 0" in done.stdout + done.stderr
    assert json.dumps("unknown") not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("loss.l1.weight=0",),
            "loss: expected a term that counts within its 10000 steps, got l1 with weight=0; raise a weight, or let it "
            "start earlier.",
        ),
        (
            ("loss=[l1,ssim]", "loss.l1.weight=0", "loss.ssim.start=50", "trainer.max_steps=50"),
            "within its 50 steps, got l1 with weight=0, ssim with start=50;",
        ),
        (
            ("model=srgan", "module.pretrain_loss.mse.start=10", "module.pretrain_steps=10", "trainer.max_steps=100"),
            "module.pretrain_loss: expected a term that counts within its 10 steps, got mse with start=10;",
        ),
        # The content loss of a GAN is counted from its second phase on.
        (
            (
                "model=srgan", "loss=l1", "loss.l1.start=90", "module.adversarial.weight=0", "module.pretrain_steps=10",
                "trainer.max_steps=100",
            ),
            "loss: expected a term that counts within its 90 steps, got l1 with start=90;",
        ),
        (
            ("loss=[l1,tv]", "loss.l1.weight=0"),
            "loss: expected a term that compares SR with HR, got tv alone; loss=[l1,tv] has one.",
        ),
        (
            ("loss=ms_ssim", "data.hr_patch=96"),
            "loss.ms_ssim compares images of 176x176 pixels or more, got data.hr_patch=96 (model=edsr_baseline at "
            "scale=4); data.hr_patch=176 fits.",
        ),
        (("loss=ms_ssim", "scale=3", "data.lr_patch=48"), "got data.lr_patch=48 (model=edsr_baseline at scale=3)"),
        (("loss=ms_ssim", "scale=3", "data.lr_patch=48"), "data.lr_patch=59 fits."),
        (("loss=ms_ssim", "model=mdsr", "data.scales=[2,4]", "data.lr_patch=80"), "data.lr_patch=88 fits."),
        (("loss=dists", "data.hr_patch=16"), "loss.dists compares images of 32x32 pixels or more"),
        (("loss=[l1,perceptual]", "data.hr_patch=12"), "loss.perceptual compares images of 16x16 pixels or more"),
        (("loss=perceptual", "loss.perceptual.layers={pool5:1}", "data.hr_patch=16"), "of 32x32 pixels or more"),
        # The first of its two levels has 8x8 pixels.
        (("model=lapsrn", "loss=ssim", "data.hr_patch=16"), "loss.ssim compares images of 11x11 pixels or more"),
        (("model=lapsrn", "loss=ssim", "data.hr_patch=16"), "data.hr_patch=24 fits."),
        (
            ("loss=[l1,lr_consistency]", "loss.lr_consistency.compare=chroma", "model.channels=1"),
            "loss.lr_consistency.compare=chroma is of RGB images, got model.channels=1; "
            "loss.lr_consistency.compare=all takes any.",
        ),
    ],
)  # fmt: skip
def test_what_no_run_could_train_on_is_refused_before_anything_is_built(arguments: tuple[str, ...], expected: str):
    assert expected in refusal(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("loss=[l1,ssim]", "loss.l1.weight=0"),
        ("loss.l1.start=9999",),
        # The adversarial term alone.
        ("model=srgan", "loss=l1", "loss.l1.weight=0"),
        ("model=srgan", "loss=tv"),
        ("model=srgan", "module.pretrain_steps=0", "module.pretrain_loss.mse.weight=0"),
        ("loss=ms_ssim", "data.hr_patch=176"),
        ("loss=ms_ssim", "data.hr_patch=48", "loss.ms_ssim.exponents=[0.2,0.3,0.5]"),
        ("loss=[l1,ms_ssim]", "loss.ms_ssim.weight=0", "data.hr_patch=48"),
        ("loss=perceptual", "loss.perceptual.layers={relu2_2:1}", "data.hr_patch=8"),
        ("model=lapsrn", "loss=ssim", "data.hr_patch=24"),
        ("loss=[l1,lr_consistency]", "loss.lr_consistency.compare=luma"),
        ("loss=ms_ssim", "data.hr_patch=48", "data.crop=whole", "data.batch_size=1"),
    ],
)
def test_what_comes_near_to_it_is_not(arguments: tuple[str, ...]):
    assert compose(*arguments)["loss"]
