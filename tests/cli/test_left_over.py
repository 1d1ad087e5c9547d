"""What an experiment sets for a choice that the command line has replaced goes, and is told of."""

from collections.abc import Callable

import pytest

from sr_lightning.cli.compose import Composer
from sr_lightning.cli.left_over import left_over
from sr_lightning.cli.sweep import expand


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer("train")


def test_keys_of_the_replaced_schedule_are_left_out(composer: Composer):
    left = left_over(composer, ["experiment=vdsr", "scheduler=cosine", "scheduler.floor=0.1"])
    assert left.overrides == ["~scheduler.milestones", "~scheduler.gamma"]
    assert left.said == (
        "left out of experiment=vdsr: scheduler.milestones, scheduler.gamma, unknown to scheduler=cosine."
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["experiment=vdsr"],
        ["scheduler=cosine", "model=vdsr"],
        ["experiment=vdsr", "scheduler=multistep"],
        ["experiment=vdsr", "optimizer=sgd"],
        # Terms that are gone go by another way; the same loss keeps its weight; a wrong choice is refused elsewhere.
        ["experiment=vdsr", "loss=charbonnier"],
        ["experiment=vdsr", "loss=mse"],
        ["experiment=vdsr", "scheduler=cosin"],
    ],
)
def test_nothing_is_left_over(composer: Composer, texts: list[str]):
    left = left_over(composer, texts)
    assert (left.overrides, left.said) == ([], None)


def test_parts_of_parts(composer: Composer):
    left = left_over(composer, ["experiment=srcnn", "model=espcn", "optimizer=adam"])
    assert "~model.deviation" in left.overrides
    assert all(key.startswith("~model.") for key in left.overrides), "Adam knows all that the experiment sets of SGD"


def test_a_run_and_what_it_says(command: Callable):
    answer = command("train", "experiment=tutorial_espcn", "data=sample", "scheduler=constant")
    assert set(answer.tree["scheduler"]) == {"_target_", "unit", "epoch_steps", "warmup"}
    assert "left out of experiment=tutorial_espcn: scheduler.length, scheduler.floor, unknown" in answer.out


def test_rates_of_another_optimizer_stay_and_are_told(composer: Composer):
    left = left_over(composer, ["experiment=vdsr", "optimizer=adam"])
    assert left.overrides == []
    assert left.said == "kept: optimizer.lr=0.1, optimizer.weight_decay=0.0001, set with another optimizer."
    left = left_over(composer, ["experiment=vdsr", "optimizer=adam", "optimizer.lr=1e-4", "scheduler=constant"])
    assert left.said == (
        "left out of experiment=vdsr: scheduler.milestones, scheduler.gamma, unknown to scheduler=constant; kept: "
        "optimizer.weight_decay=0.0001, set with another optimizer."
    )


def test_what_is_typed_is_never_left_out(refusal: Callable):
    assert "scheduler=multistep has it" in refusal("experiment=vdsr", "scheduler=cosine", "scheduler.milestones=[5]")


def test_cells_of_a_sweep_each_leave_out_their_own(composer: Composer, capsys: pytest.CaptureFixture[str]):
    overrides = composer.parse(["experiment=vdsr", "scheduler=cosine,multistep,constant", "scale=3,4"])
    made = expand(composer, overrides, [])
    kept = {cell.values["scheduler"]: "milestones" in cell.composed.tree["scheduler"] for cell in made}
    assert kept == {"cosine": False, "multistep": True, "constant": False}
    for cell in made:
        assert ("~scheduler.milestones" in cell.overrides) != kept[cell.values["scheduler"]]
    assert capsys.readouterr().out.count("left out of") == 2


def test_a_module_that_does_not_go_with_the_model(refusal: Callable):
    assert refusal("model=esrgan", "module=pixel").startswith("module=pixel does not go with model=esrgan; leave it")


def test_a_loss_of_the_command_line_keeps_its_own_values(command: Callable):
    answer = command("train", "experiment=tutorial_espcn", "data=sample", "loss=[l1,srgan]")
    assert answer.tree["loss"]["perceptual"]["weight"] == 0.006
    assert "left out of experiment=tutorial_espcn: loss.perceptual.weight, meant for another choice." in answer.out
    answer = command("train", "experiment=tutorial_espcn", "data=sample", "loss=srgan", "loss.perceptual.weight=0.5")
    assert answer.tree["loss"]["perceptual"]["weight"] == 0.5
    assert "left out" not in answer.out


def test_losses_that_bring_the_same_term(refusal: Callable):
    line = refusal("loss=[srgan,esrgan]")
    assert line == (
        "loss: srgan and esrgan both bring a term 'perceptual'; leave one out, or give a second term a name of its "
        "own, as in +loss@loss.second=l1."
    )
    assert "'l1'" in refusal("loss=[l1,esrgan]")
    assert refusal("loss=l1", "+loss@loss.l1=mse") == (
        "+loss@loss.l1=mse: the loss has a term 'l1' already; choose it by loss=[...], or give a second term a name of "
        "its own, as in +loss@loss.second=l1."
    )
    assert refusal("loss=l1", "loss@loss.second=l1").endswith("to add one say +loss@loss.second=l1")


def test_other_images_are_not_searched_for_what_the_experiment_leaves_out(composer: Composer):
    left = left_over(composer, ["experiment=vdsr", "data=folder"])
    assert left.overrides == ["~data.exclude", "+data.exclude=[]"]
    assert left.said == "left out of experiment=vdsr: data.exclude, meant for another choice."
    assert not left_over(composer, ["experiment=vdsr", "data=folder", "data.exclude=[a]"]).overrides
    # With another loss beside, and a term that is added.
    left = left_over(composer, ["experiment=tutorial_espcn", "loss=srgan", "+loss@loss.second=l1", "data=t91"])
    assert "~loss.perceptual.weight" in left.overrides
