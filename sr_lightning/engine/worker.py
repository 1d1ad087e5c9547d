"""A second, third, ... process of a distributed run.

Lightning starts its other processes by repeating the command line, which for a sweep would be the whole sweep and for
a relative path perhaps another folder. Here they get the run's folder alone: its `config.yaml` says all.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig


@contextmanager
def relaunched_with(run_dir: Path) -> Iterator[None]:
    """While this lasts, Lightning starts its other processes as `python -m sr_lightning.engine.worker RUN_FOLDER`."""
    import __main__

    argv, spec, hydra_cfg = sys.argv, __main__.__spec__, HydraConfig.instance().cfg
    sys.argv = [__file__, str(run_dir.resolve())]
    __main__.__spec__ = None
    # With Hydra's singleton set, Lightning would add Hydra's arguments to the command.
    HydraConfig.instance().cfg = None
    try:
        yield
    finally:
        sys.argv, __main__.__spec__ = argv, spec
        HydraConfig.instance().cfg = hydra_cfg


def main() -> None:
    """Take part in the run of the folder given as the only argument."""
    from omegaconf import DictConfig, OmegaConf

    from sr_lightning.engine.train import train

    # Python puts this file's folder first, where `train` and `build` would be top-level modules.
    sys.path[0] = str(Path.cwd())
    run_dir = Path(sys.argv[1])
    config = OmegaConf.load(run_dir / "config.yaml")
    assert isinstance(config, DictConfig)
    if (run_dir / "checkpoints" / "last.ckpt").is_file():
        config.resume = str(run_dir)
    results = train(config, run_dir)
    sys.exit(results["exit_code"])


if __name__ == "__main__":
    main()
