"""What this machine has to train on, found without torch: GPUs, cores, memory."""

import os
import re
import subprocess
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs that a process with this environment would see, by the names CUDA_VISIBLE_DEVICES takes.

    Without the variable these are nvidia-smi's numbers, which CUDA shares where CUDA_DEVICE_ORDER=PCI_BUS_ID; a GPU cut
    into MIG instances gives its instances.
    """
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return _listed()
    # CUDA does not look at what stands after an entry that means none.
    return list(takewhile(lambda name: name not in ("", "-1"), (name.strip() for name in given.split(","))))


def _listed() -> list[str]:
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    instances: dict[str, list[str]] = {}
    gpu = ""
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        if found := re.match(r"GPU (\d+):", line):
            gpu = found[1]
            instances[gpu] = []
        elif found := re.match(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)", line):
            instances[gpu].append(found[1])
    return [name for gpu, cut in instances.items() for name in cut or [gpu]]


def cores(cgroup: Path = CGROUP) -> int:
    """Return how many cores this process may use at once, by its affinity and its container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _first_line(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, max(1, int(quota) // int(period)))
    return count


def memory(cgroup: Path = CGROUP) -> int:
    """Return how many bytes of memory there are, for this machine or for its container."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _first_line(cgroup / "memory.max")
    return min(installed, int(limit)) if limit.isdigit() else installed


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0]
    except OSError:
        return ""
