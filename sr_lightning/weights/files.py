"""What a file of weights looks like from outside; nothing here imports torch, so that commands refuse early."""

import os
from pathlib import Path

from sr_lightning.refusal import Refusal

SAFETENSORS = ".safetensors"
SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".pth.tar", SAFETENSORS)
# How torch.save's files begin: a zip archive, or before PyTorch 1.6 a pickle.
_BEGINNINGS = (b"PK\x03\x04", b"\x80")
# What comes instead when a web page, or a file that Git keeps elsewhere, was downloaded.
_IMPOSTORS = {
    b"<": "a web page; download the file itself",
    b"version https://git-lfs": "the pointer that Git LFS leaves; git lfs pull fetches the file",
}


def check_there(path: Path, *, key: str) -> None:
    """Refuse what is no file; of a run's folder, name the checkpoint in it.

    Raises:
        Refusal: no such file.
    """
    if path.is_dir():
        best = path / "checkpoints" / "best.ckpt"
        hint = f"; say {key}={best}" if best.is_file() else ""
        raise Refusal(f"{key}: expected a file, got {path}, which is a folder{hint}.")
    if not path.is_file():
        raise Refusal(f"{key}: expected a file, got {path}, which is not there.")


def check_file(path: Path, *, key: str) -> None:
    """Refuse what cannot be a file of weights, by its name and its first bytes.

    Args:
        path: the file.
        key: under which it was given.

    Raises:
        Refusal: no such file, no file that may be read, or none of a kind that holds weights.
    """
    check_there(path, key=key)
    if not path.name.lower().endswith(SUFFIXES):
        raise Refusal(f"{key}: expected a file of weights ({', '.join(SUFFIXES)}), got {path.name}.")
    if not os.access(path, os.R_OK):
        raise Refusal(f"{key}: {path} may not be read by this user.")
    with path.open("rb") as file:
        beginning = file.read(32)
    # The length of the header, eight bytes, which may be any, and the header, which is JSON.
    safetensors = path.suffix.lower() == SAFETENSORS and beginning[8:9] == b"{"
    if safetensors or (path.suffix.lower() != SAFETENSORS and beginning.startswith(_BEGINNINGS)):
        return
    what = next((what for start, what in _IMPOSTORS.items() if beginning.startswith(start)), None)
    kind = "safetensors wrote" if path.suffix.lower() == SAFETENSORS else "torch.save wrote"
    raise Refusal(f"{key}: {path} is {what or f'no file that {kind}'}.")
