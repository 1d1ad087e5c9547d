"""Small images and a degradation that needs no other room."""

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor


class EveryNth:
    """LR is each n-th pixel of HR: the place of a patch can be read off its values."""

    def __init__(self, scale: int, name: str | None = None) -> None:
        self.scale = scale
        self.name = name or f"every {scale}th"

    def __call__(self, hr: Tensor) -> Tensor:
        return hr[..., :: self.scale, :: self.scale].contiguous()


@pytest.fixture
def every_nth() -> type[EveryNth]:
    return EveryNth


@pytest.fixture
def save_image() -> Callable[..., Path]:
    """Save an image of random pixels, the same for the same path name, size and mode."""

    def save(path: Path, width: int = 40, height: int = 32, **options: object) -> Path:
        pixels = np.random.default_rng(len(path.name)).integers(0, 256, (height, width, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return save


@pytest.fixture
def folder(tmp_path: Path, save_image: Callable[..., Path]) -> Path:
    """Four images of different sizes, none a multiple of 2, 3 or 4 on both sides, in a small tree."""
    root = tmp_path / "images"
    for name, width, height in (("a", 41, 33), ("bb", 50, 39), ("sub/ccc", 65, 31), ("sub/dddd", 35, 35)):
        save_image(root / f"{name}.png", width, height)
    return root


@dataclass
class Served:
    """A file of `FaultyServer` and how serving it fails."""

    content: bytes
    # Answered first, one for each request; then `status`, where given, to all.
    statuses: list[int] = field(default_factory=list)
    status: int | None = None
    # The connection is closed after so many bytes of a body, so often.
    cut_after: int | None = None
    cuts: float = 1
    ranges: bool = True
    # Bytes that the answer to a range begins too late.
    shift: int = 0
    # What Content-Length says beyond the truth; None leaves the header out.
    excess: int | None = 0
    content_type: str = "application/octet-stream"
    # None for no ETag.
    etag: str | None = "of the content"
    headers: dict[str, str] = field(default_factory=dict)
    # Seconds before each 16 KiB.
    pause: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request to `FaultyServer` and its answer; `sent` counts bytes of the body."""

    path: str
    range: str | None
    if_range: str | None
    accept_encoding: str | None
    status: int
    sent: int


class FaultyServer:
    """A real HTTP server on this machine that fails as it is told.

    Example:
        url = server.add("set.zip", content, cut_after=100, statuses=[503])
    """

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[Asked] = []
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                faulty._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def add(self, path: str, content: bytes, **faults: Any) -> str:
        """Serve a file with the faults that `Served` lists; returns its URL."""
        self.files[path] = Served(content, **faults)
        return f"{self.url}/{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.lstrip("/")
        served = self.files.get(path, Served(b"", status=404))
        status, body, headers = self._choose(served, request.headers)
        if served.cut_after is not None and served.cuts > 0 and len(body) > served.cut_after:
            served.cuts -= 1
            body = body[: served.cut_after]
        # Logged before anything is out: who has the whole answer may look at once.
        asked = [request.headers.get(name) for name in ("Range", "If-Range", "Accept-Encoding")]
        self.asked.append(Asked(path, *asked, status, len(body)))
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        for start in range(0, len(body), 1 << 14):
            time.sleep(served.pause)
            request.wfile.write(body[start : start + (1 << 14)])
            request.wfile.flush()

    def _choose(self, served: Served, asked: Any) -> tuple[int, bytes, dict[str, str]]:
        failure = served.statuses.pop(0) if served.statuses else served.status
        if failure is not None:
            return failure, b"", {"Content-Length": "0", **served.headers}
        size = len(served.content)
        etag = f'"{hashlib.md5(served.content).hexdigest()}"' if served.etag == "of the content" else served.etag
        headers = {"Content-Type": served.content_type, **({"ETag": etag} if etag else {}), **served.headers}
        match = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", "")) if served.ranges else None
        if match and asked.get("If-Range") in (None, etag, served.headers.get("Last-Modified")):
            start = int(match[1]) + served.shift
            if start >= size:
                return 416, b"", {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
            headers["Content-Length"] = str(size - start)
            return 206, served.content[start:], headers
        if served.excess is not None:
            headers["Content-Length"] = str(size + served.excess)
        return 200, served.content, headers


@pytest.fixture
def http_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """An empty `FaultyServer`, asked directly on machines with a proxy too."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = FaultyServer()
    yield server
    server.close()


@pytest.fixture
def closed_url(monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL at which nothing listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
