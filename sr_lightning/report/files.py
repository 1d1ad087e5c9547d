"""Files that are either the old one or the new one, never half of it."""

import json
import math
import os
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a kill at any moment leaves the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may write the same file: each its own part.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text)
    os.replace(partial, path)  # noqa: PTH105 - the name says that it is atomic


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON atomically; infinities and NaN, which JSON does not have, become null."""
    write_atomically(path, json.dumps(_finite(content), indent=2) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
