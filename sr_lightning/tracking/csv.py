"""`metrics.csv`: one row per recorded step, kept over resumes."""

import csv
import io
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from sr_lightning.report.files import write_atomically


class CSVLogger(Logger):
    """Writes metrics by the generator's step.

    Lightning's own logger deletes the file of an earlier part of the run; this one goes on with it, without the
    rows past the checkpoint that the run goes on from.

    Args:
        path: the file.
        resume_step: the step that the run goes on from; 0 for a new one.
    """

    def __init__(self, *, path: Path, resume_step: int) -> None:
        super().__init__()
        self.path = path
        self._rows: dict[int, dict[str, str]] = {}
        if resume_step and path.is_file():
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    if int(row["step"]) <= resume_step:
                        self._rows[int(row["step"])] = row

    @property
    def name(self) -> str:
        """Return what Lightning calls this logger by."""
        return "csv"

    @property
    def version(self) -> str:
        """Return nothing: a run has one folder."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the configuration to `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of a step."""
        assert step is not None
        row = self._rows.setdefault(step, {"step": str(step)})
        row.update({name: f"{value:.8g}" for name, value in metrics.items()})
        if any(name.startswith("val/") for name in metrics):
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write the whole table, atomically: columns may have come since."""
        names = sorted({name for row in self._rows.values() for name in row} - {"step"})
        text = io.StringIO()
        writer = csv.DictWriter(text, ["step", *names], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows[step] for step in sorted(self._rows))
        write_atomically(self.path, text.getvalue())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what has come since the last validation."""
        self.save()
