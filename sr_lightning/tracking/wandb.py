"""Weights & Biases; the only module that imports wandb."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

# Metrics are plotted against the generator's steps, whatever wandb itself counts.
STEP = "step"


class WandbTracker(WandbLogger):
    """A W&B run that belongs to a run folder: resumed with it, and never waiting for a dead server.

    Args:
        run_dir: the run's folder; holds the offline files and the run's stable id.
        config: the resolved configuration, as plain values.
        name: shown in the run list.
        tags: model, loss, scale and data, to filter by.
        project: the W&B project.
        entity: the W&B user or team; None takes the account's default.
        offline: write files only; `wandb sync` uploads them.
        group: runs of one sweep or one question.
        init_timeout: seconds to wait for the server at the start.
        finish_timeout: seconds to wait for it at the end.
    """

    def __init__(
        self,
        *,
        run_dir: Path,
        config: dict[str, Any],
        name: str,
        tags: Sequence[str],
        project: str,
        entity: str | None,
        offline: bool,
        group: str | None,
        init_timeout: int,
        finish_timeout: int,
    ) -> None:
        # Artifacts would otherwise be copied into the home directory; only the environment can say where to.
        self._own_data_dir = "WANDB_DATA_DIR" not in os.environ
        if self._own_data_dir:
            os.environ["WANDB_DATA_DIR"] = str(run_dir)
        super().__init__(
            project=project,
            entity=entity,
            name=name,
            id=_stable_id(run_dir),
            save_dir=str(run_dir),
            offline=offline or os.environ.get("WANDB_MODE") == "offline",
            group=group,
            tags=list(tags),
            config=config,
            resume="allow",
            settings=wandb.Settings(init_timeout=init_timeout, finish_timeout=finish_timeout, silent=True),
        )
        self._defined = False

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics of a generator step."""
        self._define_step()
        self.experiment.log({**metrics, STEP: step})

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Record pictures (paths) of a generator step."""
        self._define_step()
        self.experiment.log({key: [wandb.Image(image) for image in images], STEP: step})

    @rank_zero_only
    def summarize(self, results: dict[str, Any]) -> None:
        """Put what the run reached into its summary: `Set5/psnr`, `Set5/ssim`, with the protocol beside."""
        summary = self.experiment.summary
        summary["protocol"] = results["protocol"]["name"]
        summary["parameters"] = results["parameters"]
        summary["hr_pixels"] = results["hr_pixels"]
        for name, scores in {**results["metrics"], "validation": results["validation"]}.items():
            for metric in ("psnr", "ssim"):
                summary[f"{name}/{metric}"] = scores[metric]
                summary[f"{name}/bicubic_{metric}"] = scores["bicubic"][metric]

    @rank_zero_only
    def close(self, exit_code: int) -> None:
        """End the W&B run; the next one in this process would otherwise join it."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=exit_code)
        if self._own_data_dir:
            os.environ.pop("WANDB_DATA_DIR", None)

    def _define_step(self) -> None:
        if not self._defined:
            self.experiment.define_metric(STEP, hidden=True)
            for glob in ("train/*", "val/*"):
                self.experiment.define_metric(glob, step_metric=STEP)
            self._defined = True


def _stable_id(run_dir: Path) -> str:
    """Return the id kept in the run's folder, so that a resumed run is the same W&B run."""
    path = run_dir / "wandb_id.txt"
    if path.is_file():
        return path.read_text().strip()
    name = secrets.token_hex(4)
    run_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    return name
