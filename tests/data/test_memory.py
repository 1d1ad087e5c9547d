from pathlib import Path

import pytest

from sr_lightning.data.memory import available_memory


@pytest.mark.parametrize(("limit", "expected"), [(None, 4096), ("max\n", 4096), ("3000\n", 3000), ("5000\n", 4096)])
def test_available_memory_is_the_machine_s_or_the_container_s(tmp_path: Path, limit: str | None, expected: int) -> None:
    assert available_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       9 kB\nMemAvailable:       4 kB\n")
    if limit is not None:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/memory.max").write_text(limit)
    assert available_memory(tmp_path) == expected
