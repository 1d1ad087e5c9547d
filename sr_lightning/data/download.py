"""Fetching archives: mirrors first, continued where a connection broke, checked before they count as there.

What arrives lies in `<file>.part` and, beside it, `<file>.part.json`, which says where it is from; only a complete and
checked file gets its own name. No torch, no numpy.
"""

import email.utils
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

import requests
import urllib3
from filelock import FileLock, Timeout

from sr_lightning.data.catalogue import Archive
from sr_lightning.data.scan import DataError

log = logging.getLogger(__name__)

# Seconds to connect, and without one byte. A machine without network often drops packets rather than refusing them,
# and then each source costs the first of the two, twice.
_TIMEOUTS = (5.0, 30.0)
_UNREACHABLE_TRIES = 2
# A server that asks for a longer wait is left for the next source.
_LONGEST_WAIT = 60.0
# A break loses at most this.
_CHUNK = 1 << 17
# How files of a kind begin. Tar has no such mark in its older form.
_BEGINNINGS = {
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".gz": (b"\x1f\x8b",),
    ".tgz": (b"\x1f\x8b",),
    ".bz2": (b"BZh",),
    ".xz": (b"\xfd7zXZ\x00",),
}
_WEB_PAGE = "a web page came instead of the file (a login, a confirmation or an error page)"


@dataclass(frozen=True)
class Fetched:
    """A file that is there.

    Attributes:
        path: where it lies.
        source: the URL or path that it came from, without credentials; None where it was there before.
        warnings: how it differs from unverified figures, one line each.
    """

    path: Path
    source: str | None
    warnings: tuple[str, ...] = ()


def fetch(
    archive: Archive,
    folder: Path,
    *,
    mirrors: Sequence[str] = (),
    progress: Callable[[int, int | None], None] | None = None,
    attempts: int = 5,
    wait: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Bring a file into a folder; one that is there and as expected is not fetched again.

    Sources are asked in order until one gives the file: each mirror, then the archive's own URLs. A broken connection
    is continued where it broke, in this call or a later one, as long as the server still has the same file (`ETag` or
    `Last-Modified`); another source continues it where the size is the same and a checksum will tell. Processes that
    fetch the same file into the same folder take turns. Size and checksum decide where the archive is verified;
    otherwise a mismatch is a warning.

    Args:
        archive: name, URLs, size in bytes and checksum of the file.
        folder: where it goes; made if it is not there.
        mirrors: http, https or file URLs or plain folders that hold the file by its name.
        progress: called with the bytes that are there and the bytes of the whole file, None where unknown.
        attempts: how often one source is asked in a row without a further byte arriving, at least 1. A server that
            was never reached is asked at most twice: a machine without network is to say so soon.
        wait: waits that many seconds.

    Raises:
        DataError: no source gave the file as expected, with a line for each; or the folder cannot be written.
    """
    if Path(archive.file).name != archive.file:
        raise DataError(f"The file of an archive is expected to be a name without folders, got '{archive.file}'.")
    target = folder / archive.file
    # Asked before anything is written: a shared folder that is complete may be read-only.
    found, _ = _look(target, archive)
    if found:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with taking_turns(target), requests.Session() as session:
            found, problem = _look(target, archive)
            if found:
                return found
            transfer = _Transfer(
                archive, _Part(target), session=session, progress=progress, attempts=attempts, wait=wait
            )
            reasons = [f"{target}: {problem}"] if problem else []
            for source in [*(_below(mirror, archive.file) for mirror in mirrors), *archive.urls]:
                try:
                    warnings = transfer.take(source)
                except _NextError as error:
                    reasons.append(f"{_shown(source)}: {error}")
                else:
                    return Fetched(target, _shown(source), warnings)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error}. Make room or choose another folder.") from error
    raise DataError(_not_fetched(archive, target, reasons))


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Hold the lock of a file, `.<name>.lock` beside it, and say so where another process has it."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        turn = lock.acquire(timeout=0)
    except Timeout:
        log.info("another process is at %s; waiting for it", path)
        turn = lock.acquire()
    with turn:
        yield


def _look(target: Path, archive: Archive) -> tuple[Fetched | None, str | None]:
    """Return the file that is there, or why it will not do."""
    if not target.is_file():
        return None, None
    problem, warnings = _judge(target, archive)
    return (None, problem) if problem else (Fetched(target, None, warnings), None)


def _not_fetched(archive: Archive, target: Path, reasons: Sequence[str]) -> str:
    size = "" if archive.bytes is None else f" ({archive.bytes} bytes)"
    return "\n".join(
        [
            f"{archive.file} could not be fetched" + (":" if reasons else ": no source of it is known."),
            *(f"  {reason}" for reason in reasons),
            *([archive.manual] if archive.manual else []),
            f"By hand{size}: put {archive.file} into {target.parent.absolute()}",
        ]
    )


class _NextError(Exception):
    """This source is of no use; the message is the reason."""


class _AgainError(Exception):
    """This source may work when asked again.

    Args:
        reason: what went wrong.
        seconds: how long to wait; None for the usual time.
        unreachable: there was no connection to the server at all.
    """

    def __init__(self, reason: str, *, seconds: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.unreachable = unreachable


class _Part:
    """What has arrived of a file, and a note of where it is from.

    Attributes:
        inherited: some of its bytes came from an earlier source or call.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self.inherited = False

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def note(self) -> dict[str, Any]:
        """`source`, `validator` and `total`; empty where there is nothing to continue."""
        try:
            note = json.loads(self._note.read_text()) if self.size else {}
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.keys() >= {"source", "validator", "total"} else {}

    def begin(self, **note: Any) -> None:
        # In this order: bytes must never lie beside the note of others.
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps(note))
        self.inherited = False

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.inherited = False

    def finish(self) -> None:
        os.replace(self.path, self.target)  # noqa: PTH105 - the name says that it is atomic
        self._note.unlink(missing_ok=True)


class _Transfer:
    """Fetching one archive, from one source after the other."""

    def __init__(
        self,
        archive: Archive,
        part: _Part,
        *,
        session: requests.Session,
        progress: Callable[[int, int | None], None] | None,
        attempts: int,
        wait: Callable[[float], None],
    ) -> None:
        self._archive = archive
        self._part = part
        self._session = session
        self._progress = progress or (lambda done, total: None)
        self._attempts = attempts
        self._wait = wait
        self._unreachable: set[str] = set()

    def take(self, source: str) -> tuple[str, ...]:
        """Fetch the whole file from a source, check it and give it its name; returns warnings."""
        scheme = urlsplit(source).scheme
        transfer: Callable[[str], None]
        if scheme in ("http", "https"):
            transfer = self._from_web
        elif scheme == "file" or len(scheme) < 2:  # one letter is a drive
            transfer = self._from_folder
        else:
            raise _NextError(f"expected http, https, file or a folder, got {scheme}")
        self._part.inherited = self._part.size > 0
        transfer(source)
        problem, warnings = _judge(self._part.path, self._archive)
        if problem and self._part.inherited:
            # The bytes from before may be at fault, after a power failure for example, and not this source.
            self._part.clear()
            transfer(source)
            problem, warnings = _judge(self._part.path, self._archive)
        if problem:
            self._part.clear()
            raise _NextError(problem)
        self._part.finish()
        return warnings

    def _from_folder(self, source: str) -> None:
        parts = urlsplit(source)
        if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
            raise _NextError(f"expected file:///absolute/path, got the host '{parts.netloc}'")
        try:
            file = Path(url2pathname(parts.path) if parts.scheme == "file" else source).open("rb")  # noqa: SIM115
        except OSError as error:
            raise _NextError(error.strerror) from error
        with file:
            total = os.fstat(file.fileno()).st_size
            self._refuse_size(total)
            self._part.begin()
            self._write(_blocks(file), total)

    def _from_web(self, url: str) -> None:
        host = urlsplit(url).netloc
        if host in self._unreachable:
            raise _NextError("no connection, as above")
        best, failures, tries = self._part.size, 0, min(self._attempts, _UNREACHABLE_TRIES)
        while True:
            try:
                return self._ask(url)
            except _AgainError as error:
                failures = 0 if self._part.size > best else failures + 1
                best = max(best, self._part.size)
                tries = tries if error.unreachable else self._attempts
                if failures >= tries:
                    if error.unreachable:
                        self._unreachable.add(host)
                    arrived = f", {self._part.size} bytes arrived" if self._part.size else ""
                    raise _NextError(f"{error}{arrived} ({failures} tries)") from error
                usual = min(2.0 ** max(failures - 1, 0), _LONGEST_WAIT)
                seconds = usual if error.seconds is None else error.seconds
                log.info("%s: %s; asking again in %g s", _shown(url), error, seconds)
                self._wait(seconds)

    def _ask(self, url: str) -> None:
        """Continue the part, or begin it, with one request."""
        note, offset, validator = self._part.note, *self._continuation(url)
        if offset and offset == note["total"]:
            return
        # No compression: some servers declare a .tgz as a compressed tar, which would arrive as another file.
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
        with self._get(url, headers) as response:
            start, total = _range(response)
            if offset and response.status_code == 416:
                if total == offset:
                    return
                raise self._stale("the part that is here does not belong to it")
            if response.status_code not in (200, 206):
                raise _refusal(response)
            if response.headers.get("Content-Type", "").startswith("text/html"):
                raise _NextError(_WEB_PAGE)
            if total is None and self._archive.verified:
                total = self._archive.bytes
            self._refuse_size(total)
            if response.status_code == 200:
                self._part.begin(source=_shown(url), validator=_validator(response), total=total)
            elif start != offset or total != note.get("total"):
                raise self._stale("it has another size than the part that is here")
            self._write(_body(response), total)
        if total is not None and self._part.size < total:
            raise _AgainError("the connection broke off")

    def _continuation(self, url: str) -> tuple[int, str | None]:
        """Return from which byte on a URL may continue the part, and what proves that the file is still the same."""
        note = self._part.note
        if not note:
            return 0, None
        if note["source"] == _shown(url):
            return self._part.size, note["validator"]
        return (self._part.size, None) if note["total"] is not None and _checksum(self._archive) else (0, None)

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        try:
            return self._session.get(url, headers=headers, stream=True, timeout=_TIMEOUTS)
        except requests.exceptions.SSLError as error:
            raise _NextError(_cause(error)) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            connections = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
            unreachable = any(isinstance(each, connections) for each in _chain(error))
            reason = f"no connection: {_cause(error)}" if unreachable else _cause(error)
            raise _AgainError(reason, unreachable=unreachable) from error
        except requests.RequestException as error:
            raise _NextError(str(error)) from error

    def _stale(self, reason: str) -> _AgainError:
        self._part.clear()
        return _AgainError(reason, seconds=0.0)

    def _refuse_size(self, total: int | None) -> None:
        """Spare the transfer of a file that cannot be the one."""
        expected = self._archive.bytes
        if self._archive.verified and None not in (expected, total) and expected != total:
            raise _NextError(f"expected {expected} bytes, got {total}")

    def _write(self, chunks: Iterator[bytes], total: int | None) -> None:
        done = self._part.size
        self._progress(done, total)
        with self._part.path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                self._progress(done, total)


def _below(mirror: str, file: str) -> str:
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{quote(file)}"
    return str(Path(mirror).expanduser() / file)


def _shown(source: str) -> str:
    """Leave the user and password of a URL out of messages and notes."""
    parts = urlsplit(source)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    try:
        while chunk := file.read(_CHUNK):
            yield chunk
    except OSError as error:
        raise _NextError(str(error)) from error


def _body(response: requests.Response) -> Iterator[bytes]:
    try:
        # Not `iter_content`, which would undo a compression that the file itself has.
        yield from response.raw.stream(_CHUNK, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise _AgainError(f"nothing more came for {_TIMEOUTS[1]:g} s") from error
    except urllib3.exceptions.HTTPError as error:
        raise _AgainError("the connection broke off") from error


def _range(response: requests.Response) -> tuple[int, int | None]:
    """Return at which byte a response begins, and the size of the whole file, None where it is not said."""
    match = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if match:
        return int(match[1] or 0), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _validator(response: requests.Response) -> str | None:
    """Return what `If-Range` takes; a weak ETag is none (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _refusal(response: requests.Response) -> Exception:
    reason = f"HTTP {response.status_code} {response.reason}"
    if response.status_code not in (408, 429) and response.status_code < 500:
        return _NextError(reason)
    seconds = _retry_after(response.headers.get("Retry-After", ""))
    if seconds is not None and seconds > _LONGEST_WAIT:
        return _NextError(f"{reason}, which asks for {seconds:.0f} s of patience")
    return _AgainError(reason, seconds=seconds)


def _retry_after(text: str) -> float | None:
    """Read seconds or a date (RFC 9110, 10.2.3)."""
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: BaseException) -> str:
    """Say in a few words what requests wraps in three exceptions."""
    *_, root = _chain(error)
    return (isinstance(root, OSError) and root.strerror) or str(root) or type(root).__name__


def _checksum(archive: Archive) -> tuple[str, str] | None:
    """Return the kind and value of the checksum that counts."""
    if archive.sha256:
        return "sha256", archive.sha256.lower()
    return ("md5", archive.md5.lower()) if archive.md5 else None


def _judge(path: Path, archive: Archive) -> tuple[str | None, tuple[str, ...]]:
    """Return what makes a complete file useless, and what is only to be said."""
    foreign = _foreign(path, archive.file)
    mismatch = None if foreign else _mismatch(path, archive)
    if mismatch and not archive.verified:
        return None, (f"{archive.file}: {mismatch}; the expected value is unverified, so the file is used.",)
    return foreign or mismatch, ()


def _foreign(path: Path, file: str) -> str | None:
    """Say what else a file is than its name's ending promises."""
    with path.open("rb") as content:
        beginning = content.read(512)
    if beginning.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return _WEB_PAGE
    ending = Path(file).suffix.lower()
    if ending in _BEGINNINGS and not beginning.startswith(_BEGINNINGS[ending]):
        return f"expected a {ending} file, got one that begins with {beginning[:8]!r}"
    return None


def _mismatch(path: Path, archive: Archive) -> str | None:
    size = path.stat().st_size
    if archive.bytes not in (None, size):
        return f"expected {archive.bytes} bytes, got {size}"
    checksum = _checksum(archive)
    if checksum is None:
        return None
    kind, expected = checksum
    with path.open("rb") as content:
        # md5 detects accidents here and secures nothing; machines with strict policies ask to be told.
        got = hashlib.file_digest(content, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    return None if got == expected else f"expected {kind} {expected}, got {got}"
