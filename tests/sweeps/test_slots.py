import socket
from typing import Any

import pytest

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.slots import Need, Slots, chosen_gpus, cpu_jobs, free_port, need_of

GIB = 2**30


def trainer(**settings: Any) -> dict[str, Any]:
    return {"devices": 1, "accelerator": "auto", "num_nodes": 1} | settings


@pytest.mark.parametrize(
    ("settings", "gpus", "need"),
    [
        ({}, "01", Need("gpu", 1)),
        ({}, "", Need("cpu", 1)),
        ({"accelerator": "cpu"}, "01", Need("cpu", 1)),
        ({"devices": 2}, "01", Need("gpu", 2)),
        ({"devices": "2"}, "", Need("cpu", 2)),
        ({"devices": "auto"}, "01", Need("gpu", 1)),
        ({"devices": -1}, "0123", Need("gpu", 4, translated=True)),
        ({"devices": "-1"}, "", Need("cpu", 1, translated=True)),
        ({"devices": [1, 0]}, "01", Need("gpu", 2, (1, 0), translated=True)),
        ({"devices": [1, 0]}, "", Need("cpu", 2, translated=True)),
        ({"devices": "1,"}, "012", Need("gpu", 1, (1,), translated=True)),
        ({"devices": "1,2"}, "012", Need("gpu", 2, (1, 2), translated=True)),
    ],
)
def test_what_a_job_asks_for(settings: dict[str, Any], gpus: str, need: Need) -> None:
    assert need_of(trainer(**settings), gpus=list(gpus)) == need


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": 3}, r"the sweep has 2 GPUs \(4, 7\), a job asks for 3"),
        ({"devices": [0, 2]}, r"expected positions among 2 GPUs \(4, 7\), from 0, got \[0, 2\]"),
        ({"num_nodes": 2}, "the pool has this machine alone, got 2"),
    ],
)
def test_what_no_device_can_give(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        need_of(trainer(**settings), gpus=["4", "7"])


def test_chosen_gpus_are_positions_or_names() -> None:
    visible = ["4", "7"]
    assert chosen_gpus(visible, None) == visible
    assert chosen_gpus(visible, [1]) == ["7"]
    assert chosen_gpus(visible, ["GPU-5d5b", 0]) == ["GPU-5d5b", "4"]
    for wrong in (2, -1, True, 0.5):
        with pytest.raises(Refusal, match=rf"positions among the 2 visible GPUs, .*got {wrong}"):
            chosen_gpus(visible, [wrong])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("cells", "processes", "cores", "gib", "jobs"),
    [
        (6, 1, 2, 24, 2),
        (1, 1, 64, 256, 1),
        (6, 1, 64, 256, 6),
        (1000, 1, 64, 256, 64),
        # Memory is short.
        (1000, 1, 64, 32, 16),
        (1000, 2, 64, 256, 32),
        # Two processes on one core are still one job.
        (4, 2, 1, 1, 1),
    ],
)
def test_jobs_at_a_time_on_the_cpu(cells: int, processes: int, cores: int, gib: int, jobs: int) -> None:
    assert cpu_jobs(cells, processes=processes, cores=cores, memory=gib * GIB) == jobs


def slots(gpus: str = "", **settings: Any) -> Slots:
    return Slots(gpus=list(gpus), **({"cells": 9, "most": None, "cores": 8, "memory": 256 * GIB} | settings))


def test_gpus_are_handed_out_once() -> None:
    machine = slots("0123")
    first, second = machine.take(Need("gpu", 2)), machine.take(Need("gpu", 1))
    assert first is not None
    assert second is not None
    assert (first.gpus, second.gpus) == (("0", "1"), ("2",))
    assert (first.label, second.label) == ("GPU 0,1", "GPU 2")
    # Two jobs of two GPUs each share eight cores: two threads for each of four processes.
    assert first.environment["OMP_NUM_THREADS"] == second.environment["OMP_NUM_THREADS"] == "2"
    assert "MASTER_PORT" not in second.environment
    assert machine.take(Need("gpu", 2)) is None
    machine.give(first)
    again = machine.take(Need("gpu", 2, (3, 0)))
    assert again is not None
    assert again.gpus == ("3", "0")
    assert machine.take(Need("gpu", 1, (3,))) is None


def test_no_more_jobs_than_the_user_wants() -> None:
    machine = slots("0123", most=2)
    taken = [machine.take(Need("gpu", 1)), machine.take(Need("cpu", 1))]
    assert None not in taken
    assert machine.take(Need("gpu", 1)) is None


def test_cores_are_shared() -> None:
    machine = slots(cells=3)
    shares = [machine.take(Need("cpu", 1)) for _ in range(4)]
    assert shares.pop() is None
    assert [share and share.environment for share in shares] == [{"OMP_NUM_THREADS": "2"}] * 3
    two = slots(most=2).take(Need("cpu", 2))
    assert two is not None
    assert (two.threads, two.label) == (2, "CPU 2x2")
    # More jobs than cores: a thread each.
    assert [share and share.label for share in [slots(most=20).take(Need("cpu", 1))]] == ["CPU x1"]


def test_jobs_of_several_processes_meet_at_ports_of_their_own() -> None:
    machine = slots(most=5)
    shares = [machine.take(Need("cpu", 2)) for _ in range(5)]
    assert len({share.environment["MASTER_PORT"] for share in shares if share is not None}) == 5


def test_a_port_that_nobody_uses() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        used = other.getsockname()[1]
        free = free_port(set(), ports=range(used - 5, used + 5))
        assert free != used
        with pytest.raises(Refusal, match="is free for a job of several processes"):
            free_port({used + 1}, ports=(used, used + 1))
