"""What a command that trains nothing is given of a network, and what a person typed of it."""

import pytest

from sr_lightning.cli.borrow_model import borrow_model
from sr_lightning.cli.compose import Composer
from sr_lightning.refusal import Refusal
from sr_lightning.yamls import conf_dir


def borrowed(*overrides):
    others, given = borrow_model(overrides)
    return others, Composer("evaluate").compose([*others, *given]).tree


def test_what_was_typed_is_told_beside_what_the_yaml_says():
    others, tree = borrowed("model=edsr", "scale=2", "model.residual_scale=0.1", "++model.width=32", "eval=[set5]")
    assert others == ["scale=2", "eval=[set5]"]
    assert (tree["model"]["width"], tree["model"]["residual_scale"], tree["names"]["model"]) == (32, 0.1, "edsr")
    assert tree["model"]["spec"]["typed"] == ["residual_scale", "width"]
    assert borrowed("model=edsr", "scale=2")[1]["model"]["spec"]["typed"] == []


MODELS = sorted(path.stem for path in (conf_dir() / "model").glob("*.yaml"))


@pytest.mark.parametrize("model", MODELS)
def test_every_networks_yaml_arrives_whole(model):
    trained = Composer("train").compose([f"model={model}", "scale=2"]).tree["model"]
    given = borrowed(f"model={model}", "scale=2")[1]["model"]
    assert given["spec"].pop("typed") == []
    assert given == {**trained, "spec": trained.get("spec") or {}}


def test_an_argument_without_its_network_is_refused():
    with pytest.raises(Refusal, match=r"say which, model=NAME model\.depth=3"):
        borrow_model(["model.depth=3"])
