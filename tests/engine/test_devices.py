import pytest
import torch

from sr_lightning.engine.devices import device_name, number_of_processes, resolve_accelerator, resolve_strategy


@pytest.mark.parametrize(
    ("devices", "num_nodes", "partial", "expected"),
    [
        (1, 1, False, "auto"),
        ("1", 1, True, "auto"),
        ("3,", 1, False, "auto"),
        ("0,1", 1, False, "ddp"),
        ([3], 1, False, "auto"),
        ([0, 1], 1, False, "ddp"),
        (2, 1, True, "ddp_find_unused_parameters_true"),
        ("auto", 1, False, "ddp"),
        (1, 2, False, "ddp"),
    ],
)
def test_several_devices_work_together(devices: object, num_nodes: int, partial: bool, expected: str) -> None:
    assert resolve_strategy("auto", devices=devices, num_nodes=num_nodes, partial=partial) == expected


def test_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert resolve_accelerator("auto") == resolve_accelerator("gpu") == expected
        assert resolve_accelerator("cpu") == "cpu"


def test_device_in_words() -> None:
    assert device_name("cpu").startswith("cpu (")


@pytest.mark.parametrize(
    ("devices", "nodes", "processes"),
    [(1, 1, 1), (4, 2, 8), ("2", 1, 2), ([0, 3], 1, 2), ("0,3", 2, 4), ("auto", 1, None), (-1, 1, None)],
)
def test_number_of_processes(devices: object, nodes: int, processes: int | None) -> None:
    assert number_of_processes({"devices": devices, "num_nodes": nodes}) == processes
