import os
from pathlib import Path

import pytest

from sr_lightning.sweeps.machine import cores, memory, visible_gpus

MIG = """GPU 0: NVIDIA A100 (UUID: GPU-5d5b)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222)
GPU 1: NVIDIA A100 (UUID: GPU-77aa)
"""


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path))
    return fake


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_nvidia_smi_lists_gpus_and_instances(nvidia_smi: Path) -> None:
    listed = nvidia_smi.with_name("listed")
    listed.write_text(MIG)
    program(nvidia_smi, f"IFS=\nwhile read -r line; do echo \"$line\"; done < '{listed}'")
    assert visible_gpus({}) == ["MIG-1111", "MIG-2222", "1"]


@pytest.mark.parametrize("text", ["echo 'driver not loaded'; exit 9", "echo No devices were found"])
def test_nvidia_smi_without_gpus(nvidia_smi: Path, text: str) -> None:
    program(nvidia_smi, text)
    assert visible_gpus({}) == []


def test_no_nvidia_smi(nvidia_smi: Path) -> None:
    assert not nvidia_smi.exists()
    assert visible_gpus({}) == []


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("2,3", ["2", "3"]),
        ("", []),
        ("-1", []),
        ("0, GPU-5d5b,MIG-1111", ["0", "GPU-5d5b", "MIG-1111"]),
        ("1,-1,2", ["1"]),
    ],
)
def test_what_the_caller_lets_be_seen(given: str, names: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": given}) == names


def test_a_container_limits_cores_and_memory(tmp_path: Path) -> None:
    assert 1 <= cores(tmp_path) <= (os.cpu_count() or 1)
    installed = memory(tmp_path)
    assert installed > 2**28
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert (cores(tmp_path), memory(tmp_path)) == (cores(Path("/none")), installed)
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1048576\n")
    assert (cores(tmp_path), memory(tmp_path)) == (1, 2**20)
