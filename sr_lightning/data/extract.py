"""Unpacking archives from strangers: nothing outside the folder, nothing without bound, no half of a set.

No torch, no numpy.
"""

import bz2
import filecmp
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from sr_lightning.data.download import taking_turns
from sr_lightning.data.scan import DataError

_CHUNK = 1 << 20
# Images hardly shrink in an archive: thirty times is far beyond any data set, a bomb reaches a thousand.
_LARGEST_GROWTH = 30
_ALWAYS_ALLOWED = 1 << 30
# ImageNet has 1.3 million.
_MOST_MEMBERS = 3_000_000
# What may be read at once of a tar: tarfile believes any length that the name of a member declares to have.
_LARGEST_READ = 1 << 18
# Of tar, and of what a file takes on a disk at least.
_BLOCK = 512
_CLUSTER = 4096
# What the readers raise for content that makes no sense.
_BROKEN = (
    EOFError, NotImplementedError, OSError, RecursionError, ValueError, OverflowError, lzma.LZMAError, struct.error,
    tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_COMPRESSIONS: dict[bytes, Callable[[Path, str], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


def extract(
    archive: Path,
    into: Path,
    *,
    max_bytes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
) -> list[Path]:
    """Unpack a zip, tar, tar.gz, tar.bz2 or tar.xz into a folder; its kind is told by content, not by name.

    The names, kinds and sizes of all members are checked before anything is written. Then everything is unpacked into
    a hidden folder on the same disk and moved into place: by one rename where `into` is not there yet, otherwise by one
    for each folder or file that is not there yet. A kill therefore leaves the old state and a hidden folder, which the
    next call removes; only one amid the renames themselves leaves a part, which the next call completes.

    What `into` already holds stays. A file of the same name is kept, with its date, where it has the same bytes, and
    replaced where not. Modes and owners of the archive are not taken over. Left out is what macOS adds: `__MACOSX`,
    `._*`, `.DS_Store`.

    Args:
        archive: the file.
        into: folder that receives the content; made if it is not there.
        max_bytes: bytes that the unpacked files may have together; by default 30 times the size of the archive, or
            1 GiB if that is more.
        progress: called with the bytes that are unpacked and all bytes to unpack.
        free: bytes that are free on the disk of a folder.

    Returns:
        The files of the archive in their place, in the order of the archive.

    Raises:
        DataError: the archive is missing, broken, encrypted or no archive; it holds a name outside the folder, a link,
            a device, two members of one name, or more than allowed; the disk is too small or cannot be written.
    """
    if not archive.is_file():
        raise DataError(f"There is no archive {archive} to unpack.")
    limit = max_bytes if max_bytes is not None else max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * archive.stat().st_size)
    try:
        with taking_turns(archive):
            # Beside `into` where that is not there, inside where it is: that may be a disk or a link of its own.
            beside, inside = into.parent / f".unpacking-{into.name}-{archive.name}", into / f".unpacking-{archive.name}"
            for left_over in (beside, inside):
                shutil.rmtree(left_over, ignore_errors=True)
            hidden = inside if into.exists() else beside
            try:
                with _open(archive, limit) as source:
                    members = _list(source, archive, limit)
                    _check_room(members, archive, into, free)
                    _unpack(source, members, hidden, archive=archive, progress=progress)
                _move(hidden, into)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{archive} cannot be unpacked into {into}: {error}") from error
    return [into.joinpath(*member.parts) for member in members if not member.is_folder]


@dataclass(frozen=True)
class _Member:
    """A file or folder of an archive.

    Attributes:
        parts: its name, cleaned and checked.
        size: bytes that it declares to have.
        is_folder: whether it is a folder.
        place: where the archive has it, in the archive's own terms.
    """

    parts: tuple[str, ...]
    size: int
    is_folder: bool
    place: int

    @property
    def name(self) -> str:
        return "/".join(self.parts)


class _Source(Protocol):
    """An opened archive; both methods raise any of `_BROKEN` where it makes no sense."""

    def members(self) -> Iterator[_Member]: ...

    def chunks(self, member: _Member) -> Iterator[bytes]: ...


class _Zip:
    """A zip. The sizes of its directory are what zipfile unpacks at most, so that they bound the real ones."""

    def __init__(self, archive: Path, zipped: zipfile.ZipFile) -> None:
        self._archive = archive
        self._zipped = zipped

    def members(self) -> Iterator[_Member]:
        for place, info in enumerate(self._zipped.infolist()):
            if info.flag_bits & 1:
                raise DataError(f"{self._archive} is encrypted ({info.filename!r}); expected one without password.")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(
                    self._archive, info.filename, "a link" if kind == stat.S_IFLNK else "neither a file nor a folder"
                )
            is_folder = info.filename.endswith(("/", "\\"))
            parts = _checked_parts(self._archive, info.filename, is_folder=is_folder)
            yield _Member(parts, 0 if is_folder else info.file_size, is_folder, place)

    def chunks(self, member: _Member) -> Iterator[bytes]:
        size = 0
        with self._zipped.open(self._zipped.infolist()[member.place]) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                yield chunk
        if size != member.size:
            raise EOFError(f"'{member.name}' has {size} bytes, {member.size} were declared")


class _Tar:
    """A tar, compressed or not, read from its beginning twice: to see what it holds, and to unpack it.

    Reading a compressed one to its end first costs half of the time again, and buys that nothing is written of an
    archive that is cut or hostile, and that the room it takes is known.
    """

    def __init__(self, archive: Path, listed: "_Bounded", unpacked: "_Bounded") -> None:
        self._archive = archive
        self._listed = listed
        self._unpacked = unpacked

    def members(self) -> Iterator[_Member]:
        with tarfile.open(fileobj=cast(IO[bytes], self._listed), mode="r:") as tar:
            while (info := tar.next()) is not None:
                # A negative size would lead tarfile in a circle.
                if info.size < 0 or info.issparse() or not (info.isdir() or info.type in tarfile.REGULAR_TYPES):
                    kind = "a link" if info.issym() or info.islnk() else "neither a file nor a folder"
                    raise _refused(self._archive, info.name, kind)
                parts = _checked_parts(self._archive, info.name, is_folder=info.isdir())
                yield _Member(parts, 0 if info.isdir() else info.size, info.isdir(), info.offset_data)
        # Where a header is cut or damaged, tarfile takes that for the end of the archive.
        if self._listed.last != bytes(_BLOCK):
            raise EOFError("it ends without the mark of its end")
        while self._listed.read(_LARGEST_READ):  # the checksum of a compressed stream stands at its end
            pass

    def chunks(self, member: _Member) -> Iterator[bytes]:
        self._unpacked.seek(member.place)
        left = member.size
        while left:
            chunk = self._unpacked.read(min(left, _LARGEST_READ))
            if not chunk:
                raise EOFError(f"'{member.name}' is cut")
            left -= len(chunk)
            yield chunk


class _Bounded:
    """A stream that refuses to be read beyond a position, or much of it at once.

    Attributes:
        last: what the last reading returned.
    """

    def __init__(self, stream: IO[bytes], archive: Path, limit: int) -> None:
        self._stream = stream
        self._archive = archive
        self._limit = limit
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise EOFError(f"it declares a header of {size} bytes")
        self.last = self._stream.read(size)
        if self._stream.tell() > 2 * self._limit + _CHUNK:  # headers and padding come on top of the members' sizes
            raise _too_large(self._archive, self._limit)
        return self.last

    def seek(self, position: int) -> int:
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _open(archive: Path, limit: int) -> Iterator[_Source]:
    with archive.open("rb") as file:
        beginning = file.read(6)
    with ExitStack() as stack:
        if beginning.startswith(b"PK"):
            with _reading(archive):
                zipped = stack.enter_context(zipfile.ZipFile(archive))
            yield _Zip(archive, zipped)
            return
        opener = next((each for mark, each in _COMPRESSIONS.items() if beginning.startswith(mark)), Path.open)
        streams = [
            _Bounded(stack.enter_context(cast(IO[bytes], opener(archive, "rb"))), archive, limit) for _ in range(2)
        ]
        yield _Tar(archive, *streams)


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(
            f"{archive} is broken, incomplete or neither zip nor tar ({error}). Delete it and download it again."
        ) from error


def _refused(archive: Path, name: str, kind: str) -> DataError:
    return DataError(f"{archive} holds {name!r}, {kind}. Nothing was unpacked; do not use this archive.")


def _too_large(archive: Path, limit: int) -> DataError:
    return DataError(
        f"{archive} would grow beyond the {limit:,} bytes that are allowed for its {archive.stat().st_size:,}. "
        "Nothing was unpacked; do not use this archive."
    )


def _checked_parts(archive: Path, name: str, *, is_folder: bool) -> tuple[str, ...]:
    plain = name.replace("\\", "/")  # zips of some Windows programs; on Windows a way out as well
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if plain.startswith("/") or re.match("[A-Za-z]:", plain) or ".." in parts:
        raise _refused(archive, name, "which leads out of the folder")
    if any(ord(character) < 32 for character in name):
        raise _refused(archive, name, "a name with control characters")
    if not parts and not is_folder:
        raise _refused(archive, name, "a file without a name")
    return parts


def _list(source: _Source, archive: Path, limit: int) -> list[_Member]:
    """Return what is to be unpacked, after every member was looked at."""
    members, total = [], 0
    with _reading(archive):
        for count, member in enumerate(source.members(), start=1):
            total += member.size
            if total > limit:
                raise _too_large(archive, limit)
            if count > _MOST_MEMBERS:
                raise DataError(f"{archive} holds more than {_MOST_MEMBERS:,} files; expected fewer.")
            if member.parts and not _is_litter(member.parts):
                members.append(member)
    if all(member.is_folder for member in members):
        raise DataError(f"{archive} holds no file.")
    _refuse_clashes(members, archive)
    return members


def _is_litter(parts: Sequence[str]) -> bool:
    """Tell what macOS adds to archives: `._photo.png` has the ending of an image and is none."""
    return "__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _refuse_clashes(members: Sequence[_Member], archive: Path) -> None:
    """Refuse names that would be one: a set must not depend on the disk it is unpacked on."""
    files: dict[tuple[str, ...], str] = {}
    folders: set[tuple[str, ...]] = set()
    for member in members:
        key = tuple(unicodedata.normalize("NFC", part).casefold() for part in member.parts)
        if not member.is_folder:
            if key in files:
                raise _refused(archive, member.name, f"the same name as {files[key]!r} on some disks or on all")
            files[key] = member.name
        folders.update(key[:depth] for depth in range(1, len(key) + member.is_folder))
    both = next((name for key, name in files.items() if key in folders), None)
    if both is not None:
        raise _refused(archive, both, "a file and a folder at once")


def _check_room(members: Sequence[_Member], archive: Path, into: Path, free: Callable[[Path], int]) -> None:
    needed = sum(-(-member.size // _CLUSTER) * _CLUSTER for member in members)
    folder = next(each for each in (into, *into.absolute().parents) if each.exists())
    room = free(folder)
    if room < needed:
        raise DataError(
            f"Unpacking {archive} needs {needed / 1e9:.3g} GB, {folder} has {room / 1e9:.3g} GB free. "
            "Make room or choose another folder."
        )


def _unpack(
    source: _Source,
    members: Sequence[_Member],
    hidden: Path,
    *,
    archive: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    done, total = 0, sum(member.size for member in members)
    for member in members:
        place = hidden.joinpath(*member.parts)
        if member.is_folder:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            for chunk in _chunks(source, member, archive):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)


def _chunks(source: _Source, member: _Member, archive: Path) -> Iterator[bytes]:
    # Around the reading alone: what writing raises is no fault of the archive.
    with _reading(archive):
        yield from source.chunks(member)


def _move(hidden: Path, into: Path) -> None:
    try:
        hidden.rename(into)
    except OSError:
        if not into.is_dir():
            raise
        _merge(hidden, into)


def _merge(source: Path, target: Path) -> None:
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            _merge(entry, place)
        elif not (place.is_file() and filecmp.cmp(entry, place, shallow=False)):
            os.replace(entry, place)  # noqa: PTH105 - the name says that it is atomic
