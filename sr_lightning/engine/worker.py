"""A second, third, ... process of a distributed run.

Lightning starts its other processes by repeating the command line, which for a sweep would be the whole sweep and for
a relative path perhaps another folder. Here they get the run's folder alone: its `config.yaml` says all.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch import Trainer

# Seconds that the other processes get to leave by themselves.
PATIENCE = 10


@contextmanager
def relaunched_with(run_dir: Path) -> Iterator[None]:
    """While this lasts, Lightning starts its other processes as `python -m sr_lightning.engine.worker RUN_FOLDER`."""
    import __main__

    argv, spec, hydra_cfg = sys.argv, __main__.__spec__, HydraConfig.instance().cfg
    environment = dict(os.environ)
    sys.argv = [argv[0], str(run_dir.resolve())]
    __main__.__spec__ = importlib.util.find_spec(__name__)
    # With Hydra's singleton set, Lightning would add Hydra's arguments to the command.
    HydraConfig.instance().cfg = None
    try:
        yield
    finally:
        sys.argv, __main__.__spec__ = argv, spec
        HydraConfig.instance().cfg = hydra_cfg
        # Lightning leaves LOCAL_RANK and others behind, by which the next run of a sweep would take itself for a
        # process that somebody else has started.
        os.environ.clear()
        os.environ.update(environment)


def end_workers(trainer: Trainer) -> None:
    """Leave the process group; processes that do not end by themselves, for their partner has failed, are killed."""
    started = getattr(trainer.strategy.launcher, "procs", [])
    processes = list(started)
    # Lightning watches this very list, and would kill this process too for one that has ended with an error.
    started.clear()
    for process in processes:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def main() -> None:
    """Take part in the run of the folder given as the only argument."""
    from omegaconf import DictConfig, OmegaConf

    from sr_lightning.engine.train import train

    # SLURM may send every process of a job what tells the first of the time limit; the first tells the others.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    run_dir = Path(sys.argv[1])
    config = OmegaConf.load(run_dir / "config.yaml")
    assert isinstance(config, DictConfig)
    if (run_dir / "checkpoints" / "last.ckpt").is_file():
        config.resume = str(run_dir)
    results = train(config, run_dir)
    # Lightning kills the first process as soon as another one ends with an error, and an interrupted run is none.
    sys.exit(1 if results["status"] == "failed" else 0)


if __name__ == "__main__":
    main()
