import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from sr_lightning.refusal import Refusal
from sr_lightning.report.lock import HELD, NAME, held, is_held


def test_a_folder_belongs_to_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert not is_held(folder)
    with held(folder):
        assert is_held(folder)
        with pytest.raises(Refusal, match=f"^{HELD} .*run right now"), held(folder):
            raise AssertionError("not reached")
        # Who asked in vain has not taken it away.
        assert is_held(folder)
    assert not is_held(folder)
    with held(folder):
        pass


def test_who_only_looks_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    looking = FileLock(tmp_path / NAME, thread_local=False)
    looking.acquire()
    timer = threading.Timer(0.3, looking.release)
    timer.start()
    with held(tmp_path):
        assert not timer.is_alive()
        assert is_held(tmp_path)


def test_the_kernel_frees_it(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom sr_lightning.report.lock import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert is_held(tmp_path)
    process.kill()
    process.communicate()
    assert not is_held(tmp_path)
