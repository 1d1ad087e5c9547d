"""Reading a file of weights: tensors and plain values, and nothing that could run."""

import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sr_lightning.refusal import Refusal
from sr_lightning.weights.files import SAFETENSORS, check_file
from sr_lightning.weights.own import CHECKPOINT_KEY

# As many as torch.hub puts into names of files, such as edsr_x4-4f62e9ef.pt.
DIGITS = 8
_SAVE_ALONE = "In the program that wrote it, save the tensors alone: torch.save(network.state_dict(), 'weights.pth')."
# Such a name; eight decimal digits are a date.
_NAMED = re.compile(r"-(?=\d*[a-f])([0-9a-f]{8})\.")


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        path: The file.
        sha256: The first eight hex digits of its hash.
        content: As it was read: tensors by name, perhaps below wrappers and beside other values.
        description: What a file of this project says of its network (`name`, `scale`, `model`, ...); None of others.
    """

    path: Path
    sha256: str
    content: Mapping[str, Any]
    description: Mapping[str, Any] | None

    @property
    def other_than_named(self) -> str | None:
        """The hash that the file's name holds, as torch.hub names files, where it is not that of its content."""
        named = _NAMED.search(self.path.name)
        return named[1] if named and named[1] != self.sha256 else None


def read_weights(path: Path, *, key: str) -> WeightsFile:
    """Reads a file of weights without unpickling any object.

    Args:
        path: A `.pth`, `.pt`, `.ckpt` or `.safetensors`.
        key: Under which it was given; refusals begin with it.

    Raises:
        Refusal: There is no such file, it is damaged, or it holds objects besides tensors and plain values.
    """
    check_file(path, key=key)
    content: Any
    description: Mapping[str, Any] | None
    if path.suffix.lower() == SAFETENSORS:
        content, description = _read_safetensors(path, key=key)
    else:
        content = _read_pickle(path, key=key)
        description = _whole(content.get(CHECKPOINT_KEY)) if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping):
        raise Refusal(f"{key}: expected tensors by their names in {path}, got {type(content).__name__}.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WeightsFile(path=path, sha256=digest[:DIGITS], content=content, description=description)


def _read_safetensors(path: Path, *, key: str) -> tuple[dict[str, Tensor], Mapping[str, Any] | None]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise Refusal(f"{key}: {path} is damaged, or not complete.") from error
    return tensors, _described(metadata) if CHECKPOINT_KEY in metadata else None


def _described(metadata: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What a file that `save_weights` wrote says of its network; None where somebody else wrote these keys."""
    try:
        return _whole(
            {
                "name": metadata["name"],
                "scale": int(metadata["scale"]),
                "model": json.loads(metadata["model"]),
                **json.loads(metadata[CHECKPOINT_KEY]),
            }
        )
    except (KeyError, TypeError, ValueError):
        return None


def _whole(description: Any) -> Mapping[str, Any] | None:
    """A description that rebuilds a network; None for another program's value under our key."""
    if not isinstance(description, Mapping):
        return None
    model = description.get("model")
    ours = isinstance(model, Mapping) and isinstance(model.get("_target_"), str)
    named = isinstance(description.get("name"), str) and isinstance(description.get("scale"), int)
    return description if ours and named else None


def _read_pickle(path: Path, *, key: str) -> Any:
    _check_records(path, key=key)
    try:
        with warnings.catch_warnings():
            # Before it refuses a compiled program, torch tells how to run it.
            warnings.filterwarnings("ignore", message=".*TorchScript archive.*")
            # And of a pickle that it did not write, to report it.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, by what is wrong with the file
        raise Refusal(f"{key}: {path} {_reason(error)}") from error


def _check_records(path: Path, *, key: str) -> None:
    """Refuse a zip whose records are not what was written: torch.load does not look at their checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError):
        # Older than PyTorch 1.6, or so far from whole that torch.load says it.
        return
    if damaged is not None:
        raise Refusal(
            f"{key}: {path} is damaged: its record {damaged} is not what was written (by its checksum); copy or "
            "download it again."
        )


def _reason(error: Exception) -> str:
    text = str(error)
    # torch names the first thing that it will not make.
    if named := re.search(r"GLOBAL (\S+)", text):
        return (
            f"holds an object ({named[1]}) besides tensors and plain values; it is not read, because reading objects "
            f"may run code that came with the file. {_SAVE_ALONE}"
        )
    if "Unsupported operand" in text:
        return (
            f"was pickled otherwise than torch.save does it; it is not read, because that may run code. {_SAVE_ALONE}"
        )
    if "TorchScript" in text:
        return "is a compiled program (TorchScript), not weights by their names."
    return "is damaged, not complete, or no file that torch.save wrote."
