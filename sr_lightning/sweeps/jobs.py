"""A job: the process that trains one cell, with a log and an exit code of its own."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sr_lightning.report.files import write_atomically
from sr_lightning.report.lock import HELD
from sr_lightning.sweeps.cells import state_of
from sr_lightning.sweeps.slots import Need, Share

LOG = "job.log"
# Bytes at the end of a log in which the reason of a failure is looked for.
TAIL = 20_000


@dataclass(frozen=True)
class Cell:
    """What is to be trained.

    Attributes:
        name: for tables.
        folder: its run's folder.
        config: the text of its `config.yaml`.
        need: the devices it asks for.
        max_steps: what it is finished with.
        environment: variables for its process alone.
        command: what trains it; the folder alone by default.
    """

    name: str
    folder: Path
    config: str
    need: Need
    max_steps: int
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def command_line(self) -> list[str]:
        """The command of its process."""
        if self.command:
            return list(self.command)
        devices = [f"trainer.devices={self.need.count}"] if self.need.translated else []
        return [sys.executable, "-m", "sr_lightning", "train", f"resume={self.folder}", *devices]


class Process:
    """One attempt at a cell, in a process group of its own, so that Ctrl-C comes from the sweep alone.

    Args:
        cell: what it trains.
        share: where.
        attempt: counts from 1.
    """

    def __init__(self, cell: Cell, share: Share, attempt: int) -> None:
        self.cell = cell
        self.started = time.time()
        self._killed = False
        self._signalled = False
        write_atomically(cell.folder / "config.yaml", cell.config, durable=True)
        command = cell.command_line
        with (cell.folder / LOG).open("a") as log:
            log.write(
                f"--- {datetime.now():%Y-%m-%d %H:%M:%S} attempt {attempt} on {share.label}: {shlex.join(command)}\n"
            )
            log.flush()
            self._begin = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sr_lightning.sweeps.job", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(cell, share),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process and of its group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs; what a failure leaves behind is ended."""
        code = self._process.poll()
        if code:
            # Its other processes, or a loader's, would keep the device.
            self._kill_group()
        return code

    def send_once(self, number: int) -> bool:
        """Send the first process of the group a signal, unless it had one: a second would not let it save its work."""
        if self._signalled:
            return False
        self._signalled = True
        self._process.send_signal(number)
        return True

    def kill(self) -> None:
        """End the whole group at once."""
        self._killed = True
        self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def reason(self, code: int) -> str:
        """Return why it ended with this code, in one line: its results know, or the end of its log."""
        if code == 0:
            return "it ended without results"
        if code < 0:
            why = " (out of memory?)" if code == -signal.SIGKILL and not self._killed else ""
            return f"killed by {signal.Signals(-code).name}{why}"
        results = state_of(self.cell.folder).results
        if results.get("exit_code") == code and results.get("error") and self._written_since():
            return " ".join(str(results["error"]).split())
        lines = self._lines()
        # Whoever holds the folder may be another sweep's job, whose lines follow in the same log.
        refused = next((line for line in lines if line.startswith(f"error: {HELD}")), None)
        last = refused or next(reversed(lines), None)
        return last.removeprefix("error: ") if last else f"exit code {code}"

    def _written_since(self) -> bool:
        return (self.cell.folder / "results.json").stat().st_mtime >= self.started - 1

    def _lines(self) -> list[str]:
        """Return what stands in the log since it was started, or the end of that, without empty lines."""
        with (self.cell.folder / LOG).open("rb") as log:
            log.seek(max(self._begin, log.seek(0, os.SEEK_END) - TAIL))
            lines = log.read().decode(errors="replace").splitlines()
        return [" ".join(line.split()) for line in lines if line.strip()]


def environment(cell: Cell, share: Share) -> dict[str, str]:
    """Return the variables of a cell's process."""
    own = {"PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1", **cell.environment, **share.environment}
    # A person who has said how many threads there are to be is right.
    return {**os.environ, **own, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", own["OMP_NUM_THREADS"])}


def python_path() -> str:
    """Return PYTHONPATH for a process that is to find the packages that this one finds."""
    own = [Path(sys.prefix), Path(sys.base_prefix)]
    added = [entry for entry in sys.path if entry and Path(entry).exists()]
    kept = [entry for entry in added if not any(Path(entry).is_relative_to(prefix / "lib") for prefix in own)]
    return os.pathsep.join(dict.fromkeys([*kept, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
