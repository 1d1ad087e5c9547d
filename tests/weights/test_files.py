"""Files that cannot hold weights are refused by their looks, before torch is imported."""

import os
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from sr_lightning.refusal import Refusal
from sr_lightning.weights.files import SUFFIXES, check_file


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_weights_pass(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file({"a": torch.ones(1)}, path)
    else:
        torch.save({"a": torch.ones(1)}, path)
    check_file(path, key="model.pretrained")


def test_the_format_of_old_files_passes_and_so_does_a_suffix_in_capitals(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "old.PTH", _use_new_zipfile_serialization=False)
    check_file(tmp_path / "old.PTH", key="model.pretrained")


def test_a_safetensors_whose_header_is_as_long_as_the_code_of_a_bracket_passes(tmp_path):
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.ljust(ord("<"))
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    assert (tmp_path / "a.safetensors").read_bytes().startswith(b"<")
    check_file(tmp_path / "a.safetensors", key="model.pretrained")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "weights.zip",
            b"PK\x03\x04",
            "expected a file of weights (.pth, .pt, .ckpt, .bin, .pth.tar, .safetensors), got weights.zip",
        ),
        ("weights.pth", b"", "is no file that torch.save wrote"),
        ("weights.pth", b"hello", "is no file that torch.save wrote"),
        ("weights.pth", b"<!DOCTYPE html>", "is a web page; download the file itself"),
        ("weights.pth", b"version https://git-lfs.github.com/spec/v1\n", "is the pointer that Git LFS leaves"),
        ("weights.safetensors", b"<html>", "is a web page"),
        ("weights.safetensors", b"PK\x03\x04 a renamed file", "is no file that safetensors wrote"),
    ],
)
def test_what_holds_no_weights_is_refused(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal) as refusal:
        check_file(tmp_path / name, key="model.pretrained")
    assert str(refusal.value).startswith("model.pretrained: ")
    assert expected in str(refusal.value)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(Refusal, match="which is not there"):
        check_file(tmp_path / "missing.pth", key="model.pretrained")
    with pytest.raises(Refusal, match=r"which is a folder\.$"):
        check_file(tmp_path, key="model.pretrained")
    (tmp_path / "checkpoints").mkdir()
    best = tmp_path / "checkpoints" / "best.ckpt"
    best.touch()
    with pytest.raises(Refusal, match=re.escape(f"which is a folder; say model.pretrained={best}.")):
        check_file(tmp_path, key="model.pretrained")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_of_somebody_else_is_refused(tmp_path):
    torch.save({}, tmp_path / "secret.pth")
    (tmp_path / "secret.pth").chmod(0)
    with pytest.raises(Refusal, match="may not be read by this user"):
        check_file(tmp_path / "secret.pth", key="model.pretrained")


def test_torch_is_not_imported():
    code = "import sys, sr_lightning.weights.files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
