import pytest
import torch

from sr_lightning.engine import precision
from sr_lightning.engine.precision import has_bfloat16, resolve_device, resolve_precision
from sr_lightning.refusal import Refusal


@pytest.mark.parametrize(("hardware", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bfloat16_where_the_hardware_has_it(monkeypatch, hardware, expected):
    monkeypatch.setattr(precision, "has_bfloat16", lambda accelerator: hardware)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("32", "cpu") == resolve_precision(32, "cpu") == "32-true"
    assert resolve_precision("bf16-mixed", "cpu") == "bf16-mixed"


def test_fp16_on_a_cpu_would_silently_be_something_else():
    with pytest.raises(Refusal, match="16-mixed needs a GPU"):
        resolve_precision("16-mixed", "cpu")
    assert resolve_precision("16-mixed", "cuda") == "16-mixed"


@pytest.mark.parametrize(("amx", "avx"), [(True, False), (False, True), (False, False)])
def test_cpu_has_bfloat16_with_amx_or_avx512(monkeypatch, amx, avx):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    assert has_bfloat16("cpu") is (amx or avx)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not has_bfloat16("cpu")


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpu_has_bfloat16_from_ampere_on(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert has_bfloat16("cuda") is expected
    assert not has_bfloat16("mps")


def test_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(Refusal, match="device: expected one that this machine has, got cuda"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
