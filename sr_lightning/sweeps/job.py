"""The first moments of a job's process, which ends with the sweep that started it, however that ends.

`python -m sr_lightning.sweeps.job PARENT COMMAND ...` becomes the command. Linux then sends it SIGTERM when the sweep
dies, by which a run saves a checkpoint and leaves; elsewhere the lock of the run's folder keeps others out until it has
ended by itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Let the kernel end this process as soon as its parent is gone; ends it now where that has happened already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Become the command of the arguments."""
    parent, *command = sys.argv[1:]
    end_with(int(parent))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
