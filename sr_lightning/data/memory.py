"""How much memory this machine has to spare."""

from pathlib import Path


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that programs and page cache may still take, by Linux's own count; None elsewhere.

    A container's limit counts where it is lower than what the machine has.

    Args:
        root: of the file system.
    """
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    available = 1024 * kilobytes["MemAvailable"]
    try:
        limit = int((root / "sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such controller, or "max"
        return available
    return min(available, limit)
