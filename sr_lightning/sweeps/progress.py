"""How far a job has come, by the files that its run keeps up to date."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sr_lightning.report.progress import read_progress


@dataclass(frozen=True)
class Progress:
    """A look at a run.

    Attributes:
        state: `starting` before this attempt has said anything, `training`, `scoring` or `ended`.
        step: of `max_steps`.
        psnr: on the validation images, in dB; the last one of a run that goes on.
        gain: what that is above bicubic, in dB.
        eta: seconds to go.
    """

    state: str = "starting"
    step: int | None = None
    psnr: float | None = None
    gain: float | None = None
    eta: float | None = None


def progress_of_run(folder: Path, *, since: float) -> Progress:
    """Return how far a run is that was started at a Unix time; nothing where its file is of another version."""
    found = None
    with suppress(OSError, ValueError, TypeError):
        found = read_progress(folder)
    if found is None:
        return Progress()
    seen = Progress(step=found.step, psnr=found.psnr, gain=_gain(found.psnr, found.bicubic_psnr))
    # An earlier attempt's has no more to say.
    return seen if found.updated < since else replace(seen, state=found.state, eta=found.eta_seconds)


def progress_of_results(results: Mapping[str, Any]) -> Progress:
    """Return where a run has ended, by its results."""
    validation = results.get("validation") or {}
    psnr, bicubic = validation.get("psnr"), (validation.get("bicubic") or {}).get("psnr")
    return Progress(state="ended", step=results.get("steps"), psnr=psnr, gain=_gain(psnr, bicubic))


def _gain(psnr: float | None, bicubic: float | None) -> float | None:
    return psnr - bicubic if psnr is not None and bicubic is not None else None
