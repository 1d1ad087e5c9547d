"""What wins over what, and what a sweep's cells are: the statements of the house's Configuration section."""

import pytest
from omegaconf import OmegaConf

from sr_lightning.cli.compose import Composer, cells, grammar, parse_overrides, without_fragments
from sr_lightning.refusal import Refusal


def test_defaults(command):
    tree = command("train").tree
    assert tree["names"] == {
        "model": "edsr_baseline", "module": "pixel", "loss": "l1", "data": "sample", "experiment": None, "group": None,
    }  # fmt: skip
    assert (tree["scale"], tree["trainer"]["devices"], list(tree["logger"])) == (4, 1, ["csv"])


def test_model_alone_brings_module_loss_patch_and_rate(command):
    tree = command("train", "model=srgan").tree
    assert (tree["names"]["module"], tree["names"]["loss"]) == ("gan", "perceptual")
    assert tree["loss"]["perceptual"]["weight"] == 0.006
    assert (tree["data"]["hr_patch"], tree["data"]["lr_patch"], tree["data"]["batch_size"]) == (96, None, 16)
    assert tree["module"]["adversarial"]["weight"] == 1e-3
    assert tree["module"]["discriminator"]["patch"] == 96


def test_command_line_wins_over_the_model(command):
    tree = command("train", "model=srgan", "loss=l1", "optimizer.lr=0.5", "data.batch_size=3").tree
    assert (tree["names"]["module"], list(tree["loss"])) == ("gan", ["l1"])
    assert (tree["optimizer"]["lr"], tree["data"]["batch_size"]) == (0.5, 3)
    assert tree["module"]["discriminator_optimizer"]["lr"] == 0.5


def test_order_of_arguments_does_not_matter(command):
    assert command("train", "loss=l1", "model=srgan").tree == command("train", "model=srgan", "loss=l1").tree


def test_gan_for_any_model(command):
    tree = command("train", "model=edsr_baseline", "module=gan").tree
    assert tree["names"]["module"] == "gan"
    assert list(tree["loss"]) == ["l1"]
    # Its recipe gives an LR patch; the discriminator is made for the HR patch that follows.
    assert (tree["data"]["lr_patch"], tree["module"]["discriminator"]["patch"]) == (48, 192)


def test_model_of_another_module(command):
    assert command("train", "model=srgan", "module=pixel").tree["names"]["module"] == "pixel"


@pytest.fixture
def quickstart(repository):
    return OmegaConf.load(repository / "conf" / "experiment" / "quickstart.yaml")


def test_experiment_wins_over_the_model_and_the_command_line_over_both(command, quickstart):
    tree = command("train", "experiment=quickstart").tree
    assert tree["names"]["experiment"] == "quickstart"
    assert tree["scheduler"]["_target_"].endswith("Cosine")
    assert tree["trainer"]["max_steps"] == quickstart["trainer"]["max_steps"] != 10000
    over = command("train", "experiment=quickstart", "loss=charbonnier", "scale=8", "model.depth=2").tree
    assert (list(over["loss"]), over["scale"], over["model"]["depth"]) == (["charbonnier"], 8, 2)


def test_losses_as_a_list(command):
    tree = command("train", "loss=[l1,perceptual]", "loss.perceptual.weight=0.01").tree
    assert {name: term["weight"] for name, term in tree["loss"].items()} == {"l1": 1.0, "perceptual": 0.01}
    assert tree["names"]["loss"] == "l1+perceptual"


def test_perceptual_loss_falls_back_to_random_features_with_the_sample_only(command, photos):
    assert command("train", "loss=perceptual").tree["loss"]["perceptual"]["random_fallback"] is True
    folder = photos("photos")
    tree = command("train", "loss=perceptual", "data=folder", f"data.train_dir={folder}", f"data.val_dir={folder}").tree
    assert tree["loss"]["perceptual"]["random_fallback"] is False


@pytest.mark.parametrize(("given", "other"), [("hr_patch", "lr_patch"), ("lr_patch", "hr_patch")])
@pytest.mark.parametrize("model", ["edsr_baseline", "srgan", "espcn"])
def test_one_patch_takes_the_place_of_the_recipes_other(command, model, given, other):
    data = command("train", f"model={model}", f"data.{given}=48").tree["data"]
    assert (data[given], data[other]) == (48, None)


def test_a_sweep_over_models_keeps_each_ones_module(command):
    runs = command("train", "-m", "model=edsr_baseline,srgan", "loss=l1,charbonnier", "scale=2,4").runs
    assert [(run.tree["names"]["model"], run.tree["names"]["loss"], run.tree["scale"]) for run in runs] == [
        (model, loss, scale)
        for model in ("edsr_baseline", "srgan")
        for loss in ("l1", "charbonnier")
        for scale in (2, 4)
    ]
    for run in runs:
        gan = run.tree["names"]["model"] == "srgan"
        assert run.tree["names"]["module"] == ("gan" if gan else "pixel")
        assert run.tree["module"].get("adversarial", {}).get("weight") == (1e-3 if gan else None)


def test_a_sweep_over_lists_of_losses(command):
    runs = command("train", "-m", "loss=[l1],[l1,perceptual]").runs
    assert [list(run.tree["loss"]) for run in runs] == [["l1"], ["l1", "perceptual"]]


def test_a_sweep_over_experiments(command):
    runs = command("train", "-m", "experiment=quickstart", "scale=2,3").runs
    assert [run.tree["scale"] for run in runs] == [2, 3]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("model=edsr_baseline,srgn",), "got 'srgn'"),
        (("scale=2,5",), "model=edsr_baseline supports scale 2, 3, 4, 8, got scale=5"),
        (("model=espcn,srgan", "data.hr_patch=16"), "the discriminator"),
        (("optimizer.lr=interval(0,1)",), "sweep type"),
    ],
)
def test_one_bad_cell_refuses_the_whole_sweep(refusal, arguments, expected):
    assert expected in refusal("-m", *arguments)


def test_a_sweep_by_pattern(command):
    runs = command("train", "-m", "model=glob(srcnn*)").runs
    assert [run.tree["names"]["model"] for run in runs] == ["srcnn", "srcnn_915", "srcnn_subpixel"]


def test_cells_are_in_hydras_order():
    assert cells(parse_overrides(["a=1,2", "b=3,4"])) == [
        ["a=1", "b=3"], ["a=1", "b=4"], ["a=2", "b=3"], ["a=2", "b=4"],
    ]  # fmt: skip


def test_files_of_a_group_can_be_left_out(quickstart):
    composer = Composer("train")
    with_it = composer.compose(["experiment=quickstart"]).tree
    without = composer.compose(["experiment=quickstart"], without=["experiment"]).tree
    # What the experiment chooses stays, what it sets goes.
    assert without["scheduler"]["_target_"] == with_it["scheduler"]["_target_"]
    assert with_it["trainer"]["max_steps"] == quickstart["trainer"]["max_steps"]
    assert without["trainer"]["max_steps"] == 10000


def test_fragments():
    terms = {"l1": {"_target_": "x", "weight": 1}, "perceptual": {"weight": 2}}
    assert without_fragments(terms) == {"l1": {"_target_": "x", "weight": 1}}


def test_unreadable_override_is_refused():
    with pytest.raises(Refusal, match="cannot read 'a b'"):
        parse_overrides(["a b"])


def test_plain_values_come_back_from_hydras_grammar():
    value = {
        "_target_": "a.b.C", "text": "Huszár, it's {a: 'b'} \\", "empty": "", "blank": " x ", "number": "4",
        "nothing": None, "yes": True, "floats": [1e-5, 0.5, -2.0], "integer": -3, "lists": [[1, 2], []],
        "nested": {"x2": {"Set5": [1.0]}}, "none": {},
        # Keys have no quotes there.
        "patterns": {r".*\.eval_conv\.(weight|bias)": "a", "a b": 1, "a:b,c={d}[0]": 2, "end\\": 3},
    }  # fmt: skip
    [override] = parse_overrides([f"model={grammar(value)}"])
    assert override.value() == value
