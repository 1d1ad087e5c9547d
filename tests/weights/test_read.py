"""Reading files: every kind of them, nothing unpickled, what is wrong said in a line."""

import hashlib
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sr_lightning.refusal import Refusal
from sr_lightning.weights.read import read_weights


class TheirNetwork(nn.Conv2d):
    """As a program pickles its whole network."""


STATE = {"weight": torch.arange(4.0).view(1, 1, 2, 2), "bias": torch.ones(1)}


def reason(path):
    with pytest.raises(Refusal) as refusal:
        read_weights(path, key="model.pretrained")
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"model.pretrained: {path} ")
    return str(refusal.value)


@pytest.mark.parametrize("kind", ["new", "old", "safetensors"])
def test_tensors_come_as_they_were_saved(tmp_path, kind):
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "new")
    file = read_weights(path, key="model.pretrained")
    assert {name: tensor.tolist() for name, tensor in file.content.items()} == {
        name: tensor.tolist() for name, tensor in STATE.items()
    }
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert file.description is None


@pytest.mark.parametrize("new", [True, False])
def test_a_pickled_network_is_refused_with_what_to_do(saved, tmp_path, new):
    network = TheirNetwork(1, 1, 2)
    path = tmp_path / "model_epoch_50.pth"
    torch.save({"epoch": 50, "model": network}, path, _use_new_zipfile_serialization=new)
    found = reason(path)
    assert "holds an object (" in found
    assert "TheirNetwork) besides tensors" in found
    assert "torch.save(network.state_dict(), 'weights.pth')" in found


def test_an_object_beside_the_tensors_is_not_called(tmp_path):
    marker = tmp_path / "called"

    class Trap:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    torch.save({"state_dict": STATE, "note": Trap()}, tmp_path / "trap.pth")
    assert "open) besides tensors" in reason(tmp_path / "trap.pth")
    assert not marker.exists()


def test_what_torch_did_not_pickle_is_refused_as_such(tmp_path, recwarn):
    for protocol in (4, 5):
        (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": [1.0]}, protocol=protocol))
        found = reason(tmp_path / "plain.pth")
        assert "was pickled otherwise than torch.save does it" in found
        assert "torch.save(network.state_dict(), 'weights.pth')" in found
    assert not recwarn.list


def test_a_number_of_numpy_is_refused_by_its_name(saved):
    path = saved({"state_dict": STATE, "best_psnr": np.float64(32.1)})
    assert "scalar) besides tensors and plain values; it is not read, because" in reason(path)


def test_damaged_files_are_refused(tmp_path):
    torch.save(STATE, tmp_path / "whole.pth")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(STATE, tmp_path / "whole.safetensors")
    for name in ("whole.pth", "old.pth", "whole.safetensors"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        assert "is damaged" in reason(tmp_path / name)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.pth", "w") as archive:
        archive.writestr("images/a.txt", "a")
    assert "no file that torch.save wrote" in reason(tmp_path / "images.pth")


@pytest.mark.filterwarnings(
    "ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning", "error:.*archive"
)
def test_a_compiled_program_is_refused(tmp_path):
    torch.jit.script(nn.Conv2d(1, 1, 2)).save(tmp_path / "program.pt")
    assert "is a compiled program (TorchScript)" in reason(tmp_path / "program.pt")


def test_what_has_no_names_is_refused(saved):
    with pytest.raises(Refusal, match=r"expected tensors by their names in .*, got list"):
        read_weights(saved([torch.ones(1)]), key="model.pretrained")


def test_a_checkpoint_of_this_project_describes_its_network(saved):
    description = {"name": "edsr", "scale": 2, "model": {"_target_": "sr_lightning.networks.edsr.EDSR", "width": 4}}
    content = {"state_dict": {}, "sr_lightning": description}
    assert read_weights(saved(content), key="checkpoint").description == description


@pytest.mark.parametrize(
    "value",
    ["1.2", {"version": 1}, {"name": "a", "scale": 2, "model": {}}, {"name": "a", "model": {"_target_": "A"}}],
    ids=str,
)
def test_another_programs_value_under_our_key_describes_nothing(saved, value):
    assert read_weights(saved({"params": STATE, "sr_lightning": value}), key="checkpoint").description is None


@pytest.mark.parametrize("further", [{}, {"name": "a", "scale": "two", "model": "{}"}, {"name": "a", "scale": "2"}])
def test_another_programs_metadata_under_our_key_describes_nothing(tmp_path, further):
    save_file(STATE, tmp_path / "a.safetensors", metadata={"sr_lightning": "hello", **further})
    assert read_weights(tmp_path / "a.safetensors", key="checkpoint").description is None


def test_a_record_that_is_not_what_was_written_is_named(tmp_path):
    torch.save({"a": torch.zeros(9), "b": torch.arange(10000.0)}, tmp_path / "weights.pth")
    content = bytearray((tmp_path / "weights.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "weights.pth").write_bytes(content)
    # torch.load takes it.
    assert torch.load(tmp_path / "weights.pth", weights_only=True)["b"].isfinite().all()
    assert "is damaged: its record weights/data/1 is not what was written" in reason(tmp_path / "weights.pth")


def test_a_hash_in_a_name_is_held_against_the_file(saved):
    path = saved(STATE, "net.pth")
    whole = read_weights(path, key="model.pretrained").sha256
    # Eight digits alone are a date.
    for name, expected in {
        f"net_x2-{whole}.pth": None, "net_x2-1bc95232.pt": "1bc95232", "net-20210131.pth": None, "net-x2.pth": None,
    }.items():  # fmt: skip
        path = path.rename(path.with_name(name))
        assert read_weights(path, key="model.pretrained").other_than_named == expected, name
