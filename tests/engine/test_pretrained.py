"""`model.pretrained`: what is loaded, what is refused with what to type, and what is told."""

import shlex
from pathlib import Path

import pytest
import torch

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.build import build_network
from sr_lightning.engine.pretrained import arguments, pretrained_network, start_from
from sr_lightning.refusal import Refusal
from sr_lightning.weights.write import choose_layout, save_weights


def node_of(*overrides):
    """The content of a network's yaml: `node_of("model=edsr", "scale=2")`."""
    return Composer("train").compose(overrides).tree["model"]


SMALL = ("model=edsr_baseline", "model.width=8", "model.depth=2")
# Of other widths than the published ones, nobody knows it.
STANDS = "not in the file: model.residual_scale=1.0 stands"


@pytest.fixture
def write(tmp_path):
    """Write random weights of a network as a published file of some layout: `write("model=edsr", layout="BasicSR")`."""

    def write(*overrides, layout="EDSR-PyTorch", name="theirs.pth"):
        torch.manual_seed(7)
        network = build_network(node_of(*overrides))
        torch.save(choose_layout(network, layout).to_file(network.state_dict()), tmp_path / name)
        return tmp_path / name, network

    return write


def start(path, *overrides, strict=True):
    """What a training of these arguments begins with."""
    node = {**node_of(*overrides), "pretrained": str(path), "pretrained_strict": strict}
    torch.manual_seed(3)
    network = build_network(node)
    return start_from(network, node, name=overrides[0].removeprefix("model="))


def refusal(call, *given, **named):
    with pytest.raises(Refusal) as refused:
        call(*given, **named)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def same(one, other, names=None):
    return all(torch.equal(one.state_dict()[name], other.state_dict()[name]) for name in names or one.state_dict())


def test_a_training_begins_with_the_files_weights(write):
    path, theirs = write(*SMALL, "scale=2")
    began = start(path, *SMALL, "scale=2")
    assert same(began.network, theirs)
    line, *others = began.lines()
    assert others == [STANDS]
    assert line.startswith("weights  16 of 16 tensors from theirs.pth (EDSR-PyTorch names, sha256 ")
    assert began.facts["layout"] == "EDSR-PyTorch"
    assert (began.facts["matched"], began.facts["random"]) == (16, [])


def test_x2_weights_start_an_x4_network_when_that_is_asked_for(write):
    path, theirs = write(*SMALL, "scale=2")
    assert refusal(start, path, *SMALL, "scale=4") == (
        "model.pretrained: theirs.pth holds weights for x2: at scale=4, 2 of 18 tensors would stay random "
        "(upsample.2.weight, upsample.2.bias); model.pretrained_strict=false starts from what fits."
    )
    began = start(path, *SMALL, "scale=4", strict=False)
    torch.manual_seed(3)
    fresh = build_network(node_of(*SMALL, "scale=4"))
    random = ["upsample.2.weight", "upsample.2.bias"]
    assert same(began.network, fresh, random)
    assert same(began.network, theirs, list(theirs.state_dict()))
    assert began.lines()[1:] == [STANDS, "random:  upsample.2.weight, upsample.2.bias"]
    assert began.facts["random"] == random


def test_x3_weights_leave_the_whole_upsampler_of_x4_random(write):
    path, theirs = write(*SMALL, "scale=3", layout="BasicSR")
    found = refusal(start, path, *SMALL, "scale=4")
    assert "holds weights for x3: at scale=4, 4 of 18 tensors would stay random" in found
    assert "model.pretrained_strict=false starts from what fits" in found
    began = start(path, *SMALL, "scale=4", strict=False)
    assert same(began.network, theirs, [name for name in theirs.state_dict() if not name.startswith("upsample")])
    assert sorted(began.facts["random"]) == [f"upsample.{i}.{part}" for i in (0, 2) for part in ("bias", "weight")]


def test_other_sizes_are_refused_with_the_arguments_to_add_and_fit_with_them(write):
    path, theirs = write(*SMALL, "model.depth=3", "scale=2")
    found = refusal(start, path, "model=edsr_baseline", "scale=2")
    assert found == (
        "model.pretrained: theirs.pth is of this network with other arguments: add model.width=8 model.depth=3."
    )
    typed = shlex.split(found.partition("add ")[2].rstrip("."))
    assert same(start(path, "model=edsr_baseline", "scale=2", *typed).network, theirs)


def test_other_sizes_at_another_scale_are_refused_with_all_there_is_to_add(write):
    path, theirs = write(*SMALL, "scale=2")
    found = refusal(start, path, "model=edsr_baseline", "scale=4")
    assert "holds weights for x2" in found
    typed = shlex.split(found.partition("; add ")[2].partition(" to start")[0])
    assert typed == ["model.width=8", "model.depth=2", "model.pretrained_strict=false"]
    assert same(start(path, "model=edsr_baseline", "scale=4", *typed[:2], strict=False).network, theirs,
                list(theirs.state_dict()))  # fmt: skip


def test_evaluation_takes_the_files_sizes_and_says_so(write):
    path, theirs = write(*SMALL, "scale=2")
    node = {**node_of("model=edsr_baseline", "scale=2"), "pretrained": str(path)}
    found = pretrained_network(node, name="edsr_baseline")
    assert same(found.network, theirs)
    assert found.settings == {"width": 8, "depth": 2}
    assert found.lines()[1] == "the file has model.width=8 model.depth=2, which is taken"
    assert (found.model["width"], found.model["depth"]) == (8, 2)


def test_evaluation_at_another_scale_is_refused_with_the_files(write):
    path, _ = write(*SMALL, "scale=2")
    node = {**node_of("model=edsr_baseline", "scale=4"), "pretrained": str(path)}
    assert refusal(pretrained_network, node, name="edsr_baseline") == (
        "model.pretrained: theirs.pth holds weights for x2, got scale=4; say scale=2."
    )
    loose = pretrained_network({**node, "width": 8, "depth": 2, "pretrained_strict": False}, name="edsr_baseline")
    assert loose.lines()[1:] == [STANDS, "random:  upsample.2.weight, upsample.2.bias"]


def test_a_scale_that_the_weights_do_not_depend_on_is_free(write):
    path, theirs = write("model=srcnn", "scale=3", layout="SRCNN-pytorch")
    assert same(start(path, "model=srcnn", "scale=4").network, theirs)


@pytest.mark.parametrize("given", ["model=edsr_baseline", "model=rcan", "model=bicubic"])
def test_a_file_of_another_network_is_refused_by_its_name(write, given):
    path, _ = write("model=imdn", "scale=4", "model.width=8", "model.depth=3", layout="IMDN")
    name = given.removeprefix("model=")
    assert refusal(start, path, given, "scale=2") == (
        f"model.pretrained: theirs.pth does not fit model={name}; it fits model=imdn model.width=8 model.depth=3 "
        "model.reduction=8 scale=4."
    )


@pytest.mark.parametrize(
    ("theirs", "layout", "given", "told"),
    [
        # EDSR's, RCAN's and MDSR's files have head and body in common.
        (("model=edsr_baseline", "model.depth=2"), "EDSR-PyTorch", "mdsr", "edsr_baseline model.depth=2"),
        (("model=mdsr", "model.depth=2"), "EDSR-PyTorch", "edsr_baseline", "mdsr model.depth=2"),
        (("model=carn_m",), "CARN-pytorch", "edsr_baseline", "carn_m"),
        # Of several yamls for a network the one that needs the fewest words; a GAN's only if there is no other.
        (("model=edsr_baseline",), "EDSR-PyTorch", "rcan", "edsr_baseline"),
        (("model=rrdb", "model.depth=1"), "BasicSR", "rcan", "rrdb model.depth=1"),
        (
            ("model=srresnet", "model.depth=5", "model.after_trunk=prelu", "model.output=tanh"),
            "leftthomas SRGAN, x4",
            "rcan",
            "srresnet model.depth=5 model.after_trunk=prelu model.output=tanh",
        ),
    ],
)
def test_the_network_of_a_file_is_named_with_what_there_is_to_type(write, theirs, layout, given, told):
    path, _ = write(*theirs, "scale=4", layout=layout)
    expected = f"model.pretrained: theirs.pth does not fit model={given}; it fits model={told}."
    assert refusal(evaluated, path, f"model={given}", "scale=4") == expected


def test_a_file_of_no_known_network_is_refused_by_what_it_holds(tmp_path):
    torch.save({"fc1.weight": torch.ones(2, 2), "fc1.bias": torch.ones(2)}, tmp_path / "mlp.pth")
    assert refusal(start, tmp_path / "mlp.pth", *SMALL, strict=True) == (
        "model.pretrained: mlp.pth has nothing of model=edsr_baseline; it holds fc1.weight, fc1.bias."
    )
    found = refusal(start, tmp_path / "mlp.pth", *SMALL, strict=False)
    assert "none of the tensors in" in found
    assert "would be all random" in found


def test_tensors_that_have_no_place_are_refused_and_told_when_they_are_left(write):
    path, theirs = write(*SMALL, "scale=2")
    torch.save({**torch.load(path, weights_only=True), "body.7.scale": torch.ones(1)}, path)
    assert refusal(start, path, *SMALL, "scale=2") == (
        "model.pretrained: theirs.pth does not fit model=edsr_baseline: 1 in the file have no place (body.7.scale); "
        "model.pretrained_strict=false takes what fits all the same."
    )
    began = start(path, *SMALL, "scale=2", strict=False)
    assert same(began.network, theirs)
    assert began.lines()[1:] == [STANDS, "not used: body.7.scale"]


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    assert refusal(start, tmp_path / "empty.pth", *SMALL) == (
        f"model.pretrained: expected tensors by their names in {tmp_path / 'empty.pth'}, got epoch."
    )


def test_a_checkpoint_of_ours_tells_what_shapes_do_not(save_checkpoint):
    path = save_checkpoint(*SMALL, "scale=2", "model.image_skip=true")
    assert refusal(start, path, *SMALL, "scale=2") == (
        "model.pretrained: best.ckpt was trained with other arguments: add model.image_skip=true."
    )
    began = start(path, *SMALL, "scale=2", "model.image_skip=true")
    assert began.lines()[0].startswith(
        "weights  16 of 16 tensors from best.ckpt (sr_lightning names, state_dict, network."
    )
    node = {**node_of("model=edsr_baseline", "scale=2"), "pretrained": str(path)}
    assert pretrained_network(node, name="edsr_baseline").network.image_skip


def test_averaged_weights_of_a_checkpoint_are_taken(save_checkpoint):
    path = save_checkpoint(*SMALL, "scale=2", ema=True)
    raw = torch.load(path, weights_only=True)["state_dict"]
    began = start(path, *SMALL, "scale=2")
    assert began.facts["averaged"]
    assert torch.equal(began.network.head.weight, raw["network.head.weight"] * 0.5)


def test_a_gans_checkpoint_gives_its_generator(save_checkpoint):
    path = save_checkpoint(
        "model=srgan", "loss=l1", "model.width=4", "model.depth=1", "scale=2", "module/discriminator=patch",
        "module.discriminator.width=4",
    )  # fmt: skip
    began = start(path, "model=srresnet", "model.width=4", "model.depth=1", "scale=2")
    assert began.found.complete


def test_a_checkpoint_of_another_network_is_refused_by_its_name(save_checkpoint):
    path = save_checkpoint("model=espcn", "scale=2")
    assert refusal(start, path, *SMALL, "scale=2") == (
        "model.pretrained: best.ckpt is of model=espcn, not of model=edsr_baseline."
    )


def test_an_exported_file_starts_a_training(save_checkpoint, tmp_path):
    from sr_lightning.engine.export import export_weights

    path = save_checkpoint(*SMALL, "scale=2")
    for layout in ("own", "BasicSR"):
        exported = export_weights(path, tmp_path / f"{layout}.pth", kind="pth", layout=layout).path
        began = start(exported, *SMALL, "scale=2")
        raw = torch.load(path, weights_only=True)["state_dict"]
        assert all(torch.equal(began.network.state_dict()[name], raw[f"network.{name}"]) for name in
                   began.network.state_dict())  # fmt: skip
        assert began.found.layout.name == ("sr_lightning" if layout == "own" else layout)


def test_settings_are_shown_as_they_are_typed():
    shown = arguments({"depth": 3, "bias": False, "heads": [6, 6], "upsampler": "nearest+conv", "depths": None})
    assert shown == "model.depth=3 model.bias=false 'model.heads=[6,6]' model.upsampler=nearest+conv model.depths=null"


def test_a_home_folder_is_found(write, monkeypatch):
    path, theirs = write(*SMALL, "scale=2")
    monkeypatch.setenv("HOME", str(path.parent))
    assert same(start(Path("~") / path.name, *SMALL, "scale=2").network, theirs)


def test_write_and_read_agree_on_a_name_with_a_blank(write, tmp_path):
    _, theirs = write(*SMALL, "scale=2")
    save_weights(theirs, tmp_path / "a b.safetensors", kind="safetensors", layout=choose_layout(theirs, "own"),
                 description={"name": "edsr_baseline", "scale": 2, "model": node_of(*SMALL, "scale=2")})  # fmt: skip
    assert same(start(tmp_path / "a b.safetensors", *SMALL, "scale=2").network, theirs)


def own(tmp_path, *overrides, **further):
    """A file of this project: random weights with their description."""
    node = node_of(*overrides)
    torch.manual_seed(5)
    network = build_network(node)
    description = {"name": overrides[0].removeprefix("model="), "scale": node["scale"], "model": node, **further}
    save_weights(network, tmp_path / "own.pth", kind="pth", layout=choose_layout(network, "own"),
                 description=description)  # fmt: skip
    return tmp_path / "own.pth"


def evaluated(path, *overrides, strict=True, typed=()):
    """What an evaluation of these arguments scores; `typed` are those that a person typed."""
    node = node_of(*overrides)
    node = {**node, "spec": {**node["spec"], "typed": typed}, "pretrained": str(path), "pretrained_strict": strict}
    return pretrained_network(node, name=overrides[0].removeprefix("model="))


def test_our_own_file_of_another_scale_is_not_scored_where_its_shapes_fit(tmp_path):
    path = own(tmp_path, "model=fsrcnn", "scale=3")
    assert refusal(evaluated, path, "model=fsrcnn", "scale=4") == (
        "model.pretrained: own.pth holds weights for x3, got scale=4; say scale=3."
    )
    assert len(evaluated(path, "model=fsrcnn", "scale=3").lines()) == 1
    trained_at = "the file was trained at x3, and goes on here at x4"
    assert evaluated(path, "model=fsrcnn", "scale=4", strict=False).lines()[1:] == [trained_at]
    # The paper starts x2 and x4 from x3.
    began = start(path, "model=fsrcnn", "scale=4")
    assert began.lines()[1:] == began.facts["notes"] == [trained_at]


def test_our_own_file_for_several_scales_serves_each_of_them(tmp_path):
    several = ("data.scales=[2,3]", "data.hr_patch=null", "data.lr_patch=12")
    path = own(tmp_path, "model=mdsr", "scale=2", "model.width=4", "model.depth=1", *several)
    node = ("model.width=4", "model.depth=1", *several)
    assert len(evaluated(path, "model=mdsr", "scale=3", *node).lines()) == 1
    assert refusal(evaluated, path, "model=mdsr", "scale=4") == (
        "model.pretrained: own.pth holds weights for x2, x3, got scale=4; say scale=2 or scale=3."
    )
    # VDSR has no parts of a scale: what it was trained for stands beside the network, if anywhere.
    vdsr = ("model=vdsr", "model.width=4", "model.depth=3")
    path = own(tmp_path, *vdsr, "scale=2", scales=[2, 3, 4])
    assert len(evaluated(path, *vdsr, "scale=3").lines()) == 1
    path = own(tmp_path, *vdsr, "scale=2", scales=None)
    assert "holds weights for x2, got scale=3" in refusal(evaluated, path, *vdsr, "scale=3")
    path = own(tmp_path, *vdsr, "scale=2")
    assert evaluated(path, *vdsr, "scale=3").lines()[1:] == ["the file was trained at x2, and goes on here at x3"]


def test_a_scale_that_shapes_do_not_tell_is_told_as_assumed(write):
    path, _ = write("model=fsrcnn", "scale=2", layout="FSRCNN-pytorch")
    told = "names and shapes do not tell the scale of this file: x4 is assumed"
    assert evaluated(path, "model=fsrcnn", "scale=4").lines()[1:] == [told]
    assert start(path, "model=fsrcnn", "scale=4").lines()[1:] == [told]
    # Where shapes tell it, and where one network serves all, there is nothing to say.
    path, _ = write("model=espcn", "scale=2", layout="ESPCN-pytorch")
    assert len(evaluated(path, "model=espcn", "scale=2").lines()) == 1
    path, _ = write("model=vdsr", "model.depth=3", "scale=2", layout="pytorch-vdsr")
    assert len(evaluated(path, "model=vdsr", "model.depth=3", "scale=2").lines()) == 1


def test_what_the_file_does_not_tell_is_assumed_unless_it_was_typed(write):
    path, theirs = write("model=edsr", "model.width=64", "model.depth=1", "scale=2")
    sizes = ("model.width=64", "model.depth=1")
    found = evaluated(path, "model=edsr", *sizes, "scale=2")
    assert found.network.body[0].residual_scale == 1.0
    assert found.lines()[1:] == ["assumed, since the file does not tell it: model.residual_scale=1.0"]
    stands = "not in the file: model.residual_scale=0.1 stands; other files of its kind have model.residual_scale=1.0"
    # The same value is in the yaml.
    found = evaluated(path, "model=edsr", *sizes, "model.residual_scale=0.1", "scale=2", typed=["residual_scale"])
    assert found.network.body[0].residual_scale == 0.1
    assert found.lines()[1:] == [stands]
    # A training has what its configuration says.
    began = start(path, "model=edsr", *sizes, "scale=2")
    assert same(began.network, theirs)
    assert began.lines()[1:] == [stands]
    assert "add model.depth=1 model.residual_scale=1.0." in refusal(start, path, "model=edsr", sizes[0], "scale=2")


def test_what_neither_the_file_nor_its_family_tells_is_said_to_stand(write):
    sizes = ("model.width=8", "model.depth=2", "scale=2")
    path, _ = write("model=edsr", *sizes)
    stands = "not in the file: model.residual_scale=0.1 stands"
    assert evaluated(path, "model=edsr", *sizes).lines()[1:] == [stands]
    assert start(path, "model=edsr", *sizes).lines()[1:] == [stands]
    typed = evaluated(path, "model=edsr", *sizes, typed=["residual_scale"])
    assert typed.lines()[1:] == []
    path, _ = write("model=span", "model.feature_channels=8", "scale=2", layout="spandrel")
    told = evaluated(path, "model=span", "model.feature_channels=8", "scale=2").lines()
    assert told[1:] == ["not in the file: model.img_range=255.0 stands"]


def test_what_the_yaml_computes_from_an_argument_follows_the_file(write):
    sizes = ("model.window_size=16", "model.embed_dim=12", "model.depths=[1]", "model.num_heads=[2]", "scale=2")
    path, theirs = write("model=swin2sr", *sizes, layout="spandrel")
    found = evaluated(path, "model=swin2sr", "scale=2")
    assert found.model["spec"]["min_size"] == node_of("model=swin2sr", *sizes)["spec"]["min_size"]
    lr = torch.rand(1, 3, 20, 17)
    with torch.no_grad():
        assert torch.equal(found.network.eval()(lr), theirs.eval()(lr))


def test_a_stage_by_two_is_no_swinir_by_three(write):
    sizes = ("model.width=8", "model.heads=2", "model.groups=1", "model.depth=2", "model.upsampler=nearest+conv")
    path, theirs = write("model=swinir", *sizes, "scale=2", layout="SwinIR")
    assert refusal(evaluated, path, "model=swinir", "scale=3") == (
        "model.pretrained: theirs.pth holds weights for x2, got scale=3; say scale=2."
    )
    found = evaluated(path, "model=swinir", "scale=2")
    assert same(found.network, theirs)
    assert not any("assumed" in line for line in found.lines())
    # By three is ours alone, and read as well as written.
    path, theirs = write("model=swinir", *sizes, "scale=3", layout="SwinIR")
    assert same(evaluated(path, "model=swinir", "scale=3").network, theirs)


def test_parameters_saved_as_such_are_read_without_a_word(write, recwarn):
    path, theirs = write(*SMALL, "scale=2")
    content = {name: torch.nn.Parameter(tensor) for name, tensor in torch.load(path, weights_only=True).items()}
    torch.save(content, path)
    assert same(start(path, *SMALL, "scale=2").network, theirs)
    assert not recwarn.list


def test_a_tanh_that_no_file_tells_is_assumed_unless_it_was_typed(write):
    sizes = ("model.depth=5", "model.after_trunk=prelu", "model.width=4")
    path, _ = write("model=srresnet", "scale=4", *sizes, layout="leftthomas SRGAN, x4")
    found = evaluated(path, "model=srresnet", "scale=4")
    assert found.network.output == "tanh"
    assert "assumed, since the file does not tell it: model.output=tanh" in found.lines()
    assert evaluated(path, "model=srresnet", "scale=4", typed=["output"]).network.output == "linear"


def test_a_file_for_other_constants_is_refused_with_their_names(write):
    path, theirs = write(*SMALL, "scale=2")
    content = torch.load(path, weights_only=True)
    # Of ImageNet.
    content["add_mean.bias"] = 255 * torch.tensor([0.485, 0.456, 0.406])
    torch.save(content, path)
    assert refusal(start, path, *SMALL, "scale=2") == (
        "model.pretrained: theirs.pth does not fit model=edsr_baseline: it was made for other constants than the "
        "network computes with (add_mean.bias); model.pretrained_strict=false takes what fits all the same."
    )
    began = start(path, *SMALL, "scale=2", strict=False)
    assert same(began.network, theirs)
    assert began.lines()[1:] == [STANDS, "the file was made for other constants: add_mean.bias"]


def test_a_file_for_pixels_from_0_to_1_computes_the_same(write):
    path, theirs = write(*SMALL, "scale=2")
    content = torch.load(path, weights_only=True)
    # As --rgb_range 1 trains it.
    content["head.0.weight"] *= 255
    for name in ("tail.1.weight", "tail.1.bias", "sub_mean.bias", "add_mean.bias"):
        content[name] /= 255
    torch.save(content, path)
    found = evaluated(path, *SMALL, "scale=2")
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(found.network(lr), theirs(lr))
    assert found.lines()[1:] == [
        STANDS,
        "made for another range of pixels: its first and last layers were scaled to that of this network",
    ]


def test_a_file_that_is_not_what_its_name_says_is_told(write):
    path, _ = write(*SMALL, "scale=2", name="edsr_baseline_x2-1bc95232.pt")
    began = start(path, *SMALL, "scale=2")
    assert began.lines()[1].startswith("its name says sha256 1bc95232, its content has ")
    assert began.facts["notes"] == [began.lines()[1], STANDS]


def test_a_file_of_two_networks_that_fit_is_refused_with_both(write):
    path, _ = write(*SMALL, "scale=2")
    content = torch.load(path, weights_only=True)
    torch.save({"student": content, "teacher": {**content, "tail.1.bias": torch.ones(3)}}, path)
    assert refusal(start, path, *SMALL, "scale=2") == (
        f"model.pretrained: {path} holds several networks that fit (student, teacher); save the one you mean alone."
    )


def test_a_file_for_a_scale_that_the_network_is_not_listed_for_is_told(write):
    sizes = ("model.width=4", "model.depth=1", "model.growth=4", "model.unshuffle=false")
    node = {**node_of("model=rrdb", "scale=4", *sizes), "scale": 8}
    path, _ = write("model=rrdb", "scale=4", *sizes, layout="BasicSR")
    torch.save(build_network(node).layouts[0].to_file(build_network(node).state_dict()), path)
    assert refusal(evaluated, path, "model=rrdb", "scale=4") == (
        "model.pretrained: theirs.pth holds weights for x8; model=rrdb is for scale 2, 4."
    )


def test_another_programs_value_under_our_key_is_nothing_to_us(write):
    path, theirs = write(*SMALL, "scale=2")
    torch.save({"params": torch.load(path, weights_only=True), "sr_lightning": {"version": 1}}, path)
    assert same(start(path, *SMALL, "scale=2").network, theirs)
    assert "does not fit model=imdn; it fits model=edsr" in refusal(start, path, "model=imdn", "scale=2")
