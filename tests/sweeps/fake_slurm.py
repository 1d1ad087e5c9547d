"""As much of SLURM as submitit talks to: sbatch, srun, sacct, scontrol requeue, scancel. Jobs run here, one by one.

`fake_slurm.py COMMAND ARGUMENTS...`; what it knows of jobs stands in the folder FAKE_SLURM. While a file `lag` lies
there, sacct knows nothing of them.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scontrol", "scancel")


def install(folder: Path) -> dict[str, str]:
    """Put the commands into a folder; returns the variables by which they are found."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in COMMANDS:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S {shlex.quote(__file__)} {name} "$@"\n')
        program.chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}", "FAKE_SLURM": str(folder)}


def options(batch: str) -> dict[str, str]:
    """Return the options of a batch file."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", batch, re.MULTILINE))


def sbatch(file: str) -> None:
    number = 1 + len(list(KNOWN.glob("*.sbatch")))
    text = Path(file).read_text()
    (KNOWN / f"{number}.sbatch").write_text(text)
    array = re.match(r"0-(\d+)", options(text).get("array", ""))
    jobs = [f"{number}_{index}" for index in range(int(array[1]) + 1)] if array else [str(number)]
    for job in jobs:
        (KNOWN / f"{job}.state").write_text("PENDING")
    log = (KNOWN / f"{number}.log").open("w")
    subprocess.Popen([*ME, "run", str(number), *jobs], stdout=log, stderr=log, start_new_session=True)
    print(f"Submitted batch job {number}")


def run(number: str, *jobs: str) -> None:
    """Run jobs one after the other, as often as they are queued again."""
    for job in jobs:
        state = KNOWN / f"{job}.state"
        while state.read_text() == "PENDING":
            state.write_text("RUNNING")
            code = subprocess.call(["bash", str(KNOWN / f"{number}.sbatch")], env=environment(number, job))
            if (requeue := KNOWN / f"{job}.requeue").exists():
                requeue.unlink()
                state.write_text("PENDING")
            else:
                state.write_text("COMPLETED" if code == 0 else "FAILED")


def environment(number: str, job: str) -> dict[str, str]:
    index = job.partition("_")[2]
    own = {
        "SLURM_JOB_ID": str(int(number) + int(index or 0)), "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1",
        "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "here",
        "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "FAKE_SLURM_JOB": job,
    }  # fmt: skip
    if index:
        own |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": index}
    return {**os.environ, **own}


def srun(*arguments: str) -> None:
    job = os.environ["FAKE_SLURM_JOB"]
    number, _, index = job.partition("_")
    given = list(arguments)
    for name, stream in (("--output", 1), ("--error", 2)):
        at = given.index(name)
        path = given[at + 1]
        for mark, value in (("%j", job), ("%A", number), ("%a", index), ("%t", "0")):
            path = path.replace(mark, value)
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        del given[at : at + 2]
    given.remove("--unbuffered")
    os.setsid()
    (KNOWN / f"{job}.pid").write_text(str(os.getpid()))
    os.execvp(given[0], given)


def sacct(*arguments: str) -> None:
    print("JobID|State|NodeList")
    if (KNOWN / "lag").exists():
        return
    for state in KNOWN.glob("*.state"):
        print(f"{state.stem}|{state.read_text()}|here")


def scontrol(verb: str, job: str) -> None:
    assert verb == "requeue"
    (KNOWN / f"{job}.requeue").touch()


def scancel(job: str, flag: str = "--signal", name: str = "SIGTERM") -> None:
    """Send a signal to every process of a job, as SLURM does where `SignalChildrenProcesses=yes`."""
    os.killpg(int((KNOWN / f"{job}.pid").read_text()), getattr(signal, name))


if __name__ == "__main__":
    KNOWN = Path(os.environ["FAKE_SLURM"])
    ME = [sys.executable, "-S", __file__]
    {"sbatch": sbatch, "run": run, "srun": srun, "sacct": sacct, "scontrol": scontrol, "scancel": scancel}[sys.argv[1]](
        *sys.argv[2:]
    )
