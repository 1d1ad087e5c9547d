"""The files that a store is made of: how they are read, what they will be, and when they are other ones."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.filling import map_in_order
from sr_lightning.data.image import Header, read_header
from sr_lightning.data.scan import DataError

# Of the store's files: another one, and every store is built again.
VERSION = 3


@dataclass(frozen=True)
class Sources:
    """The HR files of a store and how they are read; see `Store.open_or_build`.

    Raises:
        DataError: there is no file.
    """

    paths: Sequence[Path]
    channels: int
    resize: int | None

    def __post_init__(self) -> None:
        if not self.paths:
            raise DataError("a store needs at least one image, got none.")

    @cached_property
    def root(self) -> str:
        """The folder that all have in common."""
        return os.path.commonpath([os.path.dirname(path) for path in self.absolute])  # noqa: PTH120

    @cached_property
    def absolute(self) -> list[str]:
        """The paths, from the root of the file system on."""
        here = os.getcwd()  # noqa: PTH109
        return [os.path.join(here, path) for path in self.paths]  # noqa: PTH118

    @cached_property
    def key(self) -> str:
        """Another one whenever the pixels of the store may be other ones."""
        return digest([VERSION, self.channels, self.resize], self.absolute)[:32]


@dataclass(frozen=True)
class Plan:
    """What a store of some files will be, by their headers.

    Attributes:
        headers: header of each file, or why it cannot be read.
        sizes: `(N, 2)`, height and width; 0 where there is no header.
        dtype: uint16 if a file has 16 bits, else uint8.
    """

    headers: Sequence[Header | str]
    sizes: NDArray[np.int64]
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]
    bytes_per_pixel: int

    def bytes(self, scales: Sequence[int]) -> int:
        """Bytes on the disk of HR and of LR of these scales."""
        return sum(int(lengths(self.sizes // scale, self.bytes_per_pixel).sum()) for scale in (1, *scales))


def plan(sources: Sources) -> Plan:
    """Read the headers of all files; without decoding, but for 85,000 files it takes a while."""
    read = partial(_header, channels=sources.channels)
    headers: list[Header | str] = map_in_order(read, [Path(path) for path in sources.absolute], at_once=256)
    deep = any(isinstance(header, Header) and header.bits == 16 for header in headers)
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16] = np.dtype(np.uint16) if deep else np.dtype(np.uint8)
    sizes = np.array([_size(header, sources.resize) for header in headers], np.int64)
    return Plan(headers, sizes, dtype, dtype.itemsize * sources.channels)


def lengths(sizes: NDArray[np.int64], bytes_per_pixel: int) -> NDArray[np.int64]:
    """Bytes of images of these sizes `(N, 2)`."""
    result: NDArray[np.int64] = sizes.prod(axis=1) * bytes_per_pixel
    return result


def _header(path: Path, *, channels: int) -> Header | str:
    try:
        return read_header(path, channels=channels)
    except DataError as error:
        return str(error)


def _size(header: Header | str, side: int | None) -> tuple[int, int]:
    if isinstance(header, str):
        return 0, 0
    return (side, side) if side else (header.height, header.width)


def digest(options: Sequence[object], paths: Sequence[str]) -> str:
    """A hash of options, and of path, size and modification time of files.

    Raises:
        DataError: a file is missing.
    """
    result = hashlib.sha256(json.dumps(options).encode())
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116  (making a Path of each of 85,000 files costs more than the call)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        result.update(os.fsencode(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0"))
    return result.hexdigest()
