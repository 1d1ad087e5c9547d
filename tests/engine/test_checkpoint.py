"""A checkpoint alone gives its network back."""

import pytest
import torch

from sr_lightning.engine.checkpoint import NoCheckpoint, load_network
from sr_lightning.refusal import Refusal


def test_network_and_facts_come_back(rgb_checkpoint):
    loaded = load_network(rgb_checkpoint)
    assert (loaded.name, loaded.scale, loaded.ema, loaded.step) == ("edsr_baseline", 2, False, 0)
    assert loaded.model["width"] == 4
    assert loaded.model["spec"]["scales"] == [2, 3, 4, 8]
    assert not loaded.network.training
    state = torch.load(rgb_checkpoint, weights_only=True)["state_dict"]
    for name, value in loaded.network.state_dict().items():
        assert torch.equal(value, state[f"network.{name}"]), name


def test_averaged_weights_are_taken_where_there_are_any(save_checkpoint):
    loaded = load_network(save_checkpoint("model=espcn", "scale=3", ema=True))
    raw = load_network(save_checkpoint("model=espcn", "scale=3"))
    assert (loaded.ema, raw.ema) == (True, False)
    for averaged, value in zip(loaded.network.parameters(), raw.network.parameters(), strict=True):
        assert torch.equal(averaged, value * 0.5)


def test_gan_gives_its_generator(save_checkpoint):
    path = save_checkpoint(
        "model=srgan", "loss=l1", "model.width=4", "model.depth=1", "module/discriminator=patch",
        "module.discriminator.width=4",
    )  # fmt: skip
    loaded = load_network(path)
    assert loaded.name == "srgan"
    assert loaded.network(torch.rand(1, 3, 5, 6)).shape == (1, 3, 20, 24)


def test_what_is_no_checkpoint_is_refused(tmp_path, rgb_checkpoint):
    with pytest.raises(Refusal, match="which is not there"):
        load_network(tmp_path / "missing.ckpt")
    with pytest.raises(Refusal, match="expected a file"):
        load_network(tmp_path)
    (tmp_path / "text.ckpt").write_text("hello")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    for name, expected in (
        ("text", "is no file that torch.save wrote"),
        ("foreign", r"is not a checkpoint of sr_lightning .* model=NAME model\.pretrained=PATH"),
        ("list", "expected tensors by their names in .*, got list"),
    ):
        with pytest.raises(Refusal, match=f"checkpoint: .*{expected}"):
            load_network(tmp_path / f"{name}.ckpt")


def test_a_file_that_does_not_say_its_step_is_refused(tmp_path, rgb_checkpoint):
    content = torch.load(rgb_checkpoint, weights_only=True)
    del content["sr_lightning"]["step"]
    torch.save(content, tmp_path / "foreign.ckpt")
    with pytest.raises(
        NoCheckpoint, match=r"does not say how many steps .* model=NAME model\.pretrained=PATH scale=N takes"
    ):
        load_network(tmp_path / "foreign.ckpt")


def test_nothing_is_unpickled_but_tensors_and_plain_values(tmp_path, rgb_checkpoint):
    content = torch.load(rgb_checkpoint, weights_only=True)
    content["callable"] = print
    torch.save(content, tmp_path / "pickled.ckpt")
    with pytest.raises(Refusal, match=r"holds an object \(print\) besides tensors"):
        load_network(tmp_path / "pickled.ckpt")


def test_weights_that_do_not_fit_are_refused(tmp_path, rgb_checkpoint):
    content = torch.load(rgb_checkpoint, weights_only=True)
    content["sr_lightning"]["model"]["width"] = 8
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(Refusal, match=r"do not fit sr_lightning\.networks\.edsr\.EDSR"):
        load_network(tmp_path / "other.ckpt")
