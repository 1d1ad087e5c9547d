"""`progress.json`: how far a run is, for whoever watches it from outside. No torch."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sr_lightning.report.files import write_json

NAME = "progress.json"


@dataclass(frozen=True)
class RunProgress:
    """How far a run was when it wrote this.

    A run that has ended, or was killed, leaves its last one: `results.json` and `updated` tell.

    Attributes:
        state: `training`, or `scoring` the best weights after it.
        step: optimiser steps of the generator done.
        max_steps: those asked for.
        psnr: of the last validation, in dB; None before the first.
        eta_seconds: until the last step; None where no step was timed yet, or all are done.
        steps_per_second: since this part of the run began; None where no step was timed yet.
        updated: Unix time in seconds.
        bicubic_psnr: of the same images enlarged by bicubic interpolation, in dB; None where it is not known.
    """

    state: Literal["training", "scoring"]
    step: int
    max_steps: int
    psnr: float | None
    eta_seconds: float | None
    steps_per_second: float | None
    updated: float
    # Files of earlier versions do not have it.
    bicubic_psnr: float | None = None


def write_progress(
    run_dir: Path,
    *,
    state: Literal["training", "scoring"],
    step: int,
    max_steps: int,
    psnr: float | None,
    bicubic_psnr: float | None = None,
    steps_per_second: float | None = None,
) -> None:
    """Write a run's progress as it is now, atomically."""
    left = (max_steps - step) / steps_per_second if steps_per_second and state == "training" else None
    now = RunProgress(state, step, max_steps, psnr, left, steps_per_second, time.time(), bicubic_psnr)
    write_json(run_dir / NAME, asdict(now))


def read_progress(run_dir: Path) -> RunProgress | None:
    """Return how far a run is; None where it has not begun to train."""
    path = run_dir / NAME
    return RunProgress(**json.loads(path.read_text())) if path.is_file() else None
