"""`results.json`: what a run was, and what it reached."""

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sr_lightning.report.files import write_json

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy", "pillow")


class Results:
    """The content of a run's `results.json`; every change is written at once, atomically.

    Args:
        path: the file.
        enabled: False on all ranks but the first, which then only keep the values.
        content: the first content.
    """

    def __init__(self, path: Path, *, enabled: bool, content: dict[str, Any]) -> None:
        self.path = path
        self.enabled = enabled
        self.content = content
        self.update()

    def update(self, **values: Any) -> None:
        """Change values and write the file."""
        self.content.update(values)
        if self.enabled:
            write_json(self.path, self.content, durable=True)


def read_results(path: Path) -> dict[str, Any]:
    """Return the content of a `results.json`; nothing of one that a power cut or a full disk has left unreadable."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and what it builds on."""
    found = {"python": platform.python_version()}
    for package in ("sr-lightning", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit and whether files were changed, or None outside a git checkout."""
    try:
        commit = _git("rev-parse", "HEAD", folder=folder)
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", folder=folder))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
