"""Weights & Biases: what a run measures, shows and leaves. `wandb_names` says under which names.

wandb is imported in this folder only.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.report.samples import read_samples
from sr_lightning.tracking import wandb_names as names
from sr_lightning.tracking.wandb_results import model_artifact, samples_table, settings_artifact
from sr_lightning.tracking.wandb_session import Session

# W&B takes no longer ones.
LONGEST_TAG = 64
# The column in which the modules count HR pixels; in W&B it is an axis.
PIXELS_COLUMN = "train/hr_pixels"


class WandbTracker(Logger):
    """A W&B run that belongs to a run folder: resumed with it, and never waiting for a dead server.

    Lightning's own logger joins whatever run a process has open, leaves `WANDB_MODE` behind in its environment, and
    defines an axis that nobody fills.

    Args:
        run_dir: the run's folder; holds wandb's files and the run's stable id.
        config: the resolved configuration, as plain values.
        degradation: one line that names what makes LR in training and validation.
        name: shown in the run list.
        tags: model, loss, scale and data, to filter by.
        project: the W&B project.
        entity: the W&B user or team; None takes the account's default.
        offline: write files only; `wandb sync` uploads them.
        group: runs of one sweep or one question.
        artifacts: whether the best weights, the settings and the results are uploaded at the end.
        init_timeout: seconds to wait for the server at the start.
        finish_timeout: seconds to wait for it at the end.

    Raises:
        Refusal: there are no credentials, or malformed ones.
    """

    def __init__(
        self,
        *,
        run_dir: Path,
        config: dict[str, Any],
        degradation: str,
        name: str,
        tags: Sequence[str],
        project: str,
        entity: str | None,
        offline: bool,
        group: str | None,
        artifacts: bool,
        init_timeout: int,
        finish_timeout: int,
    ) -> None:
        super().__init__()
        self.run_dir = run_dir
        self.config = config
        self.project = project
        self.artifacts = artifacts
        published = ("lr_dir", Bicubic(scale=int(config["scale"])).name)
        self.degradation = None if degradation in published else degradation
        self._latest: dict[str, float] = {}
        self._pixels_per_step: float | None = None
        self._session: Session | None = None
        self._start(
            # wandb itself reads its environment once in a process.
            mode="offline" if offline else os.environ.get("WANDB_MODE"),
            timeouts=(init_timeout, finish_timeout),
            name=name,
            tags=[tag[:LONGEST_TAG] for tag in tags],
            project=project,
            entity=entity,
            group=group,
            job_type=names.JOB_TYPE,
            config=config,
        )

    @rank_zero_only
    def _start(self, **arguments: Any) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Artifacts, and pictures that are uploaded, would otherwise be copied into the home directory; only the
        # environment can say where to.
        folders = {
            "WANDB_DATA_DIR": self._folder,
            "WANDB_CACHE_DIR": Path(self.config["paths"]["cache"]).expanduser().absolute() / "wandb",
        }
        self._variables = {name: str(path) for name, path in folders.items() if name not in os.environ}
        os.environ.update(self._variables)
        self.id = _stable_id(self.run_dir)
        try:
            self._session = Session(folder=self.run_dir, prepare=self._prepare, id=self.id, **arguments)
        except BaseException:
            self._forget_variables()
            raise

    @property
    def name(self) -> str:
        """Return what Lightning calls this logger by."""
        return self.project

    @property
    def version(self) -> str:
        """Return nothing: a run has one folder."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the configuration to `config`, which was handed over at the start."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics of a generator step."""
        assert step is not None
        values = dict(metrics)
        if (pixels := values.pop(PIXELS_COLUMN, None)) is not None:
            self._pixels_per_step = pixels / step
        values = {self._key(key): value for key, value in values.items()}
        self._latest |= values
        self._log(values, step)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Record pictures (paths) of a generator step."""
        assert step is not None
        self._log({key: [wandb.Image(image) for image in images]}, step)

    @rank_zero_only
    def summarize(self, results: dict[str, Any]) -> None:
        """Put what the run reached into its summary, its crops into a table, its weights and settings into artifacts.

        Args:
            results: the content of `results.json`.
        """
        facts = {key: results.get(key) for key in names.FACTS}
        summary = {**facts, names.PROTOCOL: results["protocol"]["name"], **names.summary_scores(results)}
        samples = read_samples(self.run_dir)

        def leave(run: wandb.Run) -> None:
            # Artifacts and tables ask the server at once. They go first: where it is silent, all is done offline.
            if self.artifacts:
                self._log_artifacts(run, results)
            if samples:
                run.log({names.SAMPLES: samples_table(samples), **self._axes(results["steps"])})
            run.summary.update({key: value for key, value in summary.items() if value is not None})

        if self._session is not None:
            self._session.do(leave)

    @rank_zero_only
    def close(self, exit_code: int) -> None:
        """End the W&B run."""
        if self._session is not None:
            self._session.end(exit_code)
        self._forget_variables()

    @property
    def _folder(self) -> Path:
        return self.run_dir / "wandb"

    def _prepare(self, run: wandb.Run) -> None:
        """Say what curves are drawn over; a second part of the run takes over the last values of the first."""
        for axis in (names.STEP, names.HR_PIXELS):
            run.define_metric(axis, hidden=True)
        # A metric that is defined by its own name would lose the axis again.
        for section in (names.TRAINING, names.VALIDATING):
            run.define_metric(f"{section}/*", step_metric=names.STEP)
        run.summary.update(self._latest)

    def _key(self, column: str) -> str:
        """Return the name in W&B of a column of `metrics.csv`."""
        section, _, metric = column.partition("/")
        if section != names.VALIDATING:
            return column
        return names.metric_name(section, metric, self.config["protocol"], degradation=self.degradation)

    def _axes(self, step: int) -> dict[str, int]:
        """Return what stands in every row; the pixels from the first training metrics on."""
        axes = {names.STEP: step}
        if self._pixels_per_step is not None:
            axes[names.HR_PIXELS] = round(step * self._pixels_per_step)
        return axes

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        row = {**values, **self._axes(step)}
        if self._session is not None:
            self._session.do(lambda run: run.log(row))

    def _log_artifacts(self, run: wandb.Run, results: Mapping[str, Any]) -> None:
        checkpoint = self.run_dir / "checkpoints" / "best.ckpt"
        run.log_artifact(settings_artifact(self.run_dir, run_id=self.id))
        if checkpoint.is_file():
            model = model_artifact(results, checkpoint=checkpoint, run_id=self.id, folder=self._folder / "models")
            run.log_artifact(model, aliases=["best", f"x{results['scale']}"])

    def _forget_variables(self) -> None:
        for name in self._variables:
            os.environ.pop(name, None)


def _stable_id(run_dir: Path) -> str:
    """Return the id kept in the run's folder, so that a resumed run is the same W&B run."""
    path = run_dir / "wandb_id.txt"
    if path.is_file():
        return path.read_text().strip()
    name = secrets.token_hex(4)
    run_dir.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    return name
