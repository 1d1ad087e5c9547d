import hashlib
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sr_lightning.data.catalogue import Archive
from sr_lightning.data.download import Fetched, fetch
from sr_lightning.data.scan import DataError

# Begins like a zip, which is all that a download looks at.
CONTENT = b"PK\x03\x04" + bytes(range(256)) * 2000
OTHER = CONTENT[::-1]
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that were to be waited."""
    return []


@pytest.fixture
def get(tmp_path: Path, waits: list[float]) -> Callable[..., Fetched]:
    """Fetch `set.zip` into a folder: `get(url, mirrors=..., sha256=...)`."""

    def get(
        *urls: str, mirrors: Sequence[str] = (), progress: Any = None, attempts: int = 5, **expected: Any
    ) -> Fetched:
        archive = Archive(**{"file": "set.zip", "urls": urls, **expected})
        return fetch(
            archive, tmp_path / "data", mirrors=mirrors, progress=progress, attempts=attempts, wait=waits.append
        )

    return get


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., None]:
    """Leave a part of a download, as a killed one would."""

    def leave(content: bytes, **note: Any) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data/set.zip.part").write_bytes(content)
        (tmp_path / "data/set.zip.part.json").write_text(json.dumps(note))

    return leave


def ranges(server: Any) -> list[str | None]:
    return [asked.range for asked in server.asked]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def test_file_arrives_whole_and_is_not_fetched_twice(http_server: Any, get: Any, tmp_path: Path) -> None:
    url = http_server.add("a/set.zip", CONTENT)
    seen: list[tuple[int, int | None]] = []
    fetched = get(
        url, bytes=len(CONTENT), sha256=SHA256.upper(), progress=lambda done, total: seen.append((done, total))
    )
    assert fetched == Fetched(tmp_path / "data/set.zip", url)
    assert fetched.path.read_bytes() == CONTENT
    assert visible(tmp_path / "data") == ["set.zip"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen
    assert len(seen) > 3
    assert get(url, bytes=len(CONTENT), sha256=SHA256) == Fetched(fetched.path, None)
    assert len(http_server.asked) == 1


def test_complete_file_in_a_folder_without_permission_to_write_is_used(get: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/set.zip").write_bytes(CONTENT)
    (tmp_path / "data/.set.zip.lock").mkdir()  # a lock could not be taken, whoever runs the test
    assert get(sha256=SHA256).source is None


def test_mirrors_come_first_in_their_order(http_server: Any, get: Any) -> None:
    http_server.add("one/set.zip", CONTENT, status=404)
    http_server.add("two/set.zip", CONTENT)
    url = http_server.add("official", OTHER)
    mirrors = [f"{http_server.url}/one/", f"{http_server.url}/two"]
    assert get(url, mirrors=mirrors, sha256=SHA256).source == f"{http_server.url}/two/set.zip"
    assert [asked.path for asked in http_server.asked] == ["one/set.zip", "two/set.zip"]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_refusal_goes_to_the_next_source_at_once(http_server: Any, get: Any, waits: list[float], status: int) -> None:
    first = http_server.add("first", CONTENT, status=status)
    second = http_server.add("second", CONTENT)
    assert get(first, second, sha256=SHA256).source == second
    assert len(http_server.asked) == 2
    assert waits == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_passing_failures_are_waited_out_longer_each_time(
    http_server: Any, get: Any, waits: list[float], status: int
) -> None:
    url = http_server.add("set.zip", CONTENT, statuses=[status] * 4)
    assert get(url, sha256=SHA256).source == url
    assert waits == [1, 2, 4, 8]


def test_lasting_failure_ends_after_the_attempts_and_waits_are_capped(
    http_server: Any, get: Any, waits: list[float]
) -> None:
    url = http_server.add("set.zip", CONTENT, status=500)
    with pytest.raises(DataError, match=r"HTTP 500 Internal Server Error \(9 tries\)"):
        get(url, attempts=9)
    assert len(http_server.asked) == 9
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7.0), ("0", 0.0), ("soon", 1.0), (formatdate(0, usegmt=True), 0.0)],
)
def test_server_says_how_long_to_wait(
    http_server: Any, get: Any, waits: list[float], asked: str, waited: float
) -> None:
    url = http_server.add("set.zip", CONTENT, statuses=[503], headers={"Retry-After": asked})
    assert get(url).source == url
    assert waits == [waited]


def test_server_that_asks_for_an_hour_is_left(http_server: Any, get: Any, waits: list[float]) -> None:
    date = formatdate(time.time() + 3600, usegmt=True)
    first = http_server.add("first", CONTENT, status=429, headers={"Retry-After": date})
    second = http_server.add("second", CONTENT)
    assert get(first, second).source == second
    assert waits == []


def test_cut_connection_is_continued_where_it_broke(http_server: Any, get: Any, waits: list[float]) -> None:
    url = http_server.add("set.zip", CONTENT, cut_after=100_000, cuts=3)
    assert get(url, bytes=len(CONTENT), sha256=SHA256).path.read_bytes() == CONTENT
    assert ranges(http_server) == [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]
    assert {asked.if_range for asked in http_server.asked[1:]} == {etag(CONTENT)}
    assert sum(asked.sent for asked in http_server.asked) == len(CONTENT)
    assert waits == [1, 1, 1]  # progress was made: not longer each time


def test_cuts_do_not_count_as_long_as_bytes_arrive(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT, cut_after=len(CONTENT) // 20, cuts=20)
    assert get(url, attempts=2, sha256=SHA256).path.read_bytes() == CONTENT
    assert len(http_server.asked) == 21


def test_cut_without_ranges_begins_anew(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT, ranges=False, cut_after=100_000, cuts=2)
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert ranges(http_server) == [None, "bytes=100000-", "bytes=100000-"]
    assert [asked.status for asked in http_server.asked] == [200, 200, 200]


def test_server_without_ranges_that_always_cuts_is_left(http_server: Any, get: Any) -> None:
    first = http_server.add("first", CONTENT, ranges=False, cut_after=100_000, cuts=float("inf"))
    with pytest.raises(DataError, match=r"the connection broke off, 100000 bytes arrived \(3 tries\)"):
        get(first, attempts=3)
    assert len(http_server.asked) == 4  # the first one brought bytes


def test_cut_is_noticed_by_the_expected_size_where_the_server_says_none(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT, excess=None, cut_after=100_000)
    assert get(url, bytes=len(CONTENT)).path.read_bytes() == CONTENT
    assert ranges(http_server) == [None, "bytes=100000-"]


def test_false_content_length_is_found_out(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT, excess=50)
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert [asked.status for asked in http_server.asked] == [200, 416]


def test_silent_server_is_asked_again(http_server: Any, get: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.data.download._TIMEOUTS", (5.0, 0.05))
    url = http_server.add("set.zip", CONTENT, pause=0.3)
    with pytest.raises(DataError, match=r"nothing more came for 0\.05 s \(2 tries\)"):
        get(url, attempts=2)


def test_part_of_an_earlier_call_is_continued(http_server: Any, get: Any, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int | None) -> None:
        if done > len(CONTENT) // 2:
            raise StopError

    url = http_server.add("set.zip", CONTENT)
    with pytest.raises(StopError):
        get(url, progress=stop)
    assert visible(tmp_path / "data") == ["set.zip.part", "set.zip.part.json"]
    there = (tmp_path / "data/set.zip.part").stat().st_size
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert ranges(http_server) == [None, f"bytes={there}-"]


def test_killed_download_is_continued(http_server: Any, get: Any, tmp_path: Path) -> None:
    url = http_server.add("set.zip", CONTENT)
    kill = "lambda done, total: done > 200_000 and os.kill(os.getpid(), 9)"
    assert run_fetch(url, tmp_path / "data", kill).wait() == -signal.SIGKILL
    assert visible(tmp_path / "data") == ["set.zip.part", "set.zip.part.json"]
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert http_server.asked[-1].range is not None
    assert http_server.asked[-1].sent < len(CONTENT) - 200_000


def run_fetch(url: str, folder: Path, progress: str = "None") -> "subprocess.Popen[str]":
    program = (
        "import os, sys; from pathlib import Path\n"
        "from sr_lightning.data.catalogue import Archive; from sr_lightning.data.download import fetch\n"
        f"fetched = fetch(Archive('set.zip', (sys.argv[1],)), Path(sys.argv[2]), progress={progress})\n"
        "print(fetched.source, fetched.path.stat().st_size)"
    )
    return subprocess.Popen([sys.executable, "-c", program, url, str(folder)], stdout=subprocess.PIPE, text=True)


def test_two_processes_fetch_once(http_server: Any, tmp_path: Path) -> None:
    url = http_server.add("set.zip", CONTENT, pause=0.03)
    processes = [run_fetch(url, tmp_path / "data") for _ in range(2)]
    answers = sorted(process.communicate()[0].strip() for process in processes)
    assert answers == sorted([f"None {len(CONTENT)}", f"{url} {len(CONTENT)}"])
    assert len(http_server.asked) == 1


def test_waiting_for_another_process_is_said(
    http_server: Any, get: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "data").mkdir()
    held = threading.Event()

    def hold() -> None:
        with FileLock(tmp_path / "data/.set.zip.lock"):
            held.set()
            while "another process is at" not in caplog.text:
                time.sleep(0.01)

    url = http_server.add("set.zip", CONTENT)
    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    assert get(url).source == url
    other.join()


def test_part_of_another_version_is_not_continued(http_server: Any, get: Any, part: Any) -> None:
    url = http_server.add("set.zip", CONTENT)
    part(OTHER[:1000], source=url, validator=etag(OTHER), total=len(CONTENT))
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert [(asked.range, asked.status) for asked in http_server.asked] == [("bytes=1000-", 200)]


def test_part_is_told_by_its_date_where_the_etag_is_weak(http_server: Any, get: Any) -> None:
    date = "Wed, 01 Jan 2020 00:00:00 GMT"
    url = http_server.add("set.zip", CONTENT, etag='W/"x"', headers={"Last-Modified": date}, cut_after=1000)
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert [(asked.if_range, asked.status) for asked in http_server.asked] == [(None, 200), (date, 206)]


def test_part_of_a_server_without_versions_is_told_by_its_size(
    http_server: Any, get: Any, part: Any, waits: list[float]
) -> None:
    url = http_server.add("set.zip", CONTENT, etag=None)
    part(CONTENT[:1000], source=url, validator=None, total=len(CONTENT) + 1)
    assert get(url).path.read_bytes() == CONTENT
    assert [asked.status for asked in http_server.asked] == [206, 200]
    assert waits == [0]


def test_answer_that_begins_elsewhere_is_not_taken(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT, cut_after=1000, shift=5)
    assert get(url).path.read_bytes() == CONTENT
    assert [asked.status for asked in http_server.asked] == [200, 206, 200]


def test_part_longer_than_the_file_is_dropped(http_server: Any, get: Any, part: Any) -> None:
    url = http_server.add("set.zip", CONTENT)
    part(CONTENT + b"more", source=url, validator=None, total=None)
    assert get(url).path.read_bytes() == CONTENT
    assert [asked.status for asked in http_server.asked] == [416, 200]


@pytest.mark.parametrize("note", ["", "[]", '{"source": "here"}'])
def test_part_of_unknown_origin_is_not_continued(
    http_server: Any, get: Any, part: Any, tmp_path: Path, note: str
) -> None:
    url = http_server.add("set.zip", CONTENT)
    part(CONTENT[:1000])
    (tmp_path / "data/set.zip.part.json").write_text(note)
    assert get(url).path.read_bytes() == CONTENT
    assert ranges(http_server) == [None]


def test_another_source_continues_where_a_checksum_will_tell(http_server: Any, get: Any) -> None:
    first = http_server.add("first", CONTENT, cut_after=1000)
    second = http_server.add("second", CONTENT)

    def dies(done: int, total: int | None) -> None:
        if done == 1000:
            http_server.files["first"].status = 404

    assert get(first, second, sha256=SHA256, progress=dies).source == second
    assert [(asked.path, asked.range, asked.if_range) for asked in http_server.asked] == [
        ("first", None, None),
        ("first", "bytes=1000-", etag(CONTENT)),
        ("second", "bytes=1000-", None),
    ]


def test_another_source_begins_anew_without_checksum(http_server: Any, get: Any, part: Any) -> None:
    url = http_server.add("set.zip", CONTENT)
    part(CONTENT[:1000], source="http://elsewhere/set.zip", validator=None, total=len(CONTENT))
    assert get(url).path.read_bytes() == CONTENT
    assert ranges(http_server) == [None]


def test_source_is_not_blamed_for_a_bad_part_of_before(http_server: Any, get: Any, part: Any) -> None:
    url = http_server.add("set.zip", CONTENT)
    part(bytes(1000), source=url, validator=etag(CONTENT), total=len(CONTENT))
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert ranges(http_server) == ["bytes=1000-", None]


def test_complete_part_only_gets_its_name(http_server: Any, get: Any, part: Any) -> None:
    url = http_server.add("set.zip", CONTENT)
    part(CONTENT, source=url, validator=None, total=len(CONTENT))
    assert get(url, sha256=SHA256).path.read_bytes() == CONTENT
    assert http_server.asked == []


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"sha256": SHA256, "md5": "not looked at"}, f"expected sha256 {SHA256}, got "),
        ({"md5": hashlib.md5(CONTENT).hexdigest()}, f"expected md5 {hashlib.md5(CONTENT).hexdigest()}, got "),
    ],
)
def test_wrong_checksum_goes_to_the_next_source_then_fails(
    http_server: Any, get: Any, tmp_path: Path, expected: dict[str, Any], message: str
) -> None:
    wrong = CONTENT[:-1] + b"?"
    first, second = http_server.add("first", wrong), http_server.add("second", CONTENT)
    with pytest.raises(DataError, match=f"{first}: {message}{'[0-9a-f]' * 32}"):
        get(first, **expected)
    assert visible(tmp_path / "data") == []
    assert get(first, second, **expected).source == second


def test_wrong_size_is_refused_before_the_transfer(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT)
    with pytest.raises(DataError, match=f"expected 7 bytes, got {len(CONTENT)}"):
        get(url, bytes=7, progress=lambda done, total: pytest.fail("the transfer began"))


def test_wrong_size_is_found_where_the_server_did_not_say_it(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", CONTENT, excess=None)
    with pytest.raises(DataError, match=f"expected 7 bytes, got {len(CONTENT)}"):
        get(url, bytes=7)


@pytest.mark.parametrize("expected", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"bytes": 7}])
def test_unverified_mismatch_only_warns(http_server: Any, get: Any, expected: dict[str, Any]) -> None:
    url = http_server.add("set.zip", CONTENT)
    fetched = get(url, verified=False, **expected)
    assert fetched.path.read_bytes() == CONTENT
    (warning,) = fetched.warnings
    assert warning.startswith("set.zip: expected ")
    assert "unverified" in warning
    assert get(url, verified=False, **expected) == Fetched(fetched.path, None, (warning,))


def test_wrong_file_that_is_there_is_replaced_or_named(http_server: Any, get: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/set.zip").write_bytes(CONTENT[:100])
    with pytest.raises(DataError, match=r"data/set.zip: expected \d+ bytes, got 100\n"):
        get(bytes=len(CONTENT))
    assert get(http_server.add("set.zip", CONTENT), bytes=len(CONTENT)).path.read_bytes() == CONTENT


def test_compressed_file_arrives_as_it_is(http_server: Any, get: Any) -> None:
    # What a common configuration says of .tgz; undone, the checksum would be that of another file.
    content = b"\x1f\x8b" + bytes(range(100))
    url = http_server.add("set.tgz", content, headers={"Content-Encoding": "x-gzip"})
    assert get(url, file="set.tgz", sha256=hashlib.sha256(content).hexdigest()).path.read_bytes() == content
    assert http_server.asked[0].accept_encoding == "identity"


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_web_page_instead_of_the_file_is_noticed(http_server: Any, get: Any, part: Any, content_type: str) -> None:
    page = b"\n<!DOCTYPE html><title>Sign in</title>"
    url = http_server.add("set.zip", page, content_type=content_type)
    with pytest.raises(DataError, match="a web page came instead of the file"):
        get(url, verified=False)


def test_file_of_another_kind_is_noticed(http_server: Any, get: Any) -> None:
    url = http_server.add("set.zip", b"Rar!\x1a\x07\x01\x00")
    with pytest.raises(DataError, match=r"expected a \.zip file, got one that begins with b'Rar!"):
        get(url, verified=False)


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_folder_is_a_mirror(get: Any, tmp_path: Path, form: str) -> None:
    mirror = tmp_path / "my mirror"
    mirror.mkdir()
    (mirror / "set.zip").write_bytes(CONTENT)
    fetched = get(mirrors=[form.format(mirror).replace(" ", "%20" if ":" in form else " ")], sha256=SHA256)
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.source is not None
    assert "mirror/set.zip" in fetched.source
    assert (mirror / "set.zip").exists()


def test_folders_that_will_not_do_are_named(get: Any, tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    (tmp_path / "short/set.zip").write_bytes(CONTENT[:9])
    (tmp_path / "odd/set.zip").mkdir(parents=True)
    mirrors = [*(str(tmp_path / name) for name in ("absent", "short", "odd")), "file://absent/x", "s3://bucket"]
    with pytest.raises(DataError) as caught:
        get(mirrors=mirrors, bytes=len(CONTENT))
    lines = str(caught.value).split("\n")
    assert [line.partition(": ")[2] for line in lines[1:-1]] == [
        "No such file or directory",
        f"expected {len(CONTENT)} bytes, got 9",
        "Is a directory",
        "expected file:///absolute/path, got the host 'absent'",
        "expected http, https, file or a folder, got s3",
    ]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_mirror_that_cannot_be_read_is_left(http_server: Any, get: Any, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/set.zip").symlink_to("/proc/self/mem")
    url = http_server.add("set.zip", CONTENT)
    assert get(url, mirrors=[str(tmp_path / "mirror")]).source == url


def test_without_network_the_message_is_soon_there_and_says_what_to_do(
    get: Any, waits: list[float], closed_url: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        get(
            f"{closed_url}/a/set.zip", "http://nowhere.invalid/set.zip",
            mirrors=[closed_url], bytes=9, manual="Ask the authors for it.",
        )  # fmt: skip
    text = str(caught.value)
    lines = text.split("\n")
    assert lines[0] == "set.zip could not be fetched:"
    assert lines[1] == f"  {closed_url}/set.zip: no connection: Connection refused (2 tries)"
    assert lines[2] == f"  {closed_url}/a/set.zip: no connection, as above"
    assert lines[3].startswith("  http://nowhere.invalid/set.zip: no connection: ")
    assert lines[4] == "Ask the authors for it."
    assert lines[5] == f"By hand (9 bytes): put set.zip into {tmp_path / 'data'}"
    assert len(lines) == 6
    assert waits == [1, 1]


def test_without_any_source_the_message_says_so(get: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no source of it is known\.\nBy hand: put set\.zip into "):
        get()


def test_server_that_goes_away_gets_all_attempts(http_server: Any, get: Any, waits: list[float]) -> None:
    url = http_server.add("set.zip", CONTENT, cut_after=1000)

    def closes(done: int, total: int | None) -> None:
        if done == 1000:
            http_server.close()

    with pytest.raises(DataError, match=r"no connection: Connection refused, 1000 bytes arrived \(4 tries\)"):
        get(url, attempts=4, progress=closes)


def test_addresses_that_cannot_work_are_not_tried_again(http_server: Any, get: Any, waits: list[float]) -> None:
    secure = http_server.url.replace("http:", "https:")
    redirect = http_server.add("away", b"", status=302, headers={"Location": "ftp://elsewhere/set.zip"})
    with pytest.raises(DataError) as caught:
        get(f"{secure}/set.zip", redirect, "http://")
    reasons = [line.split(": ", 1)[1] for line in str(caught.value).split("\n")[1:-1]]
    assert "SSL" in reasons[0]
    assert "ftp" in reasons[1]
    assert "Invalid URL" in reasons[2]
    assert waits == []


def test_passwords_of_urls_are_neither_shown_nor_kept(http_server: Any, get: Any, tmp_path: Path) -> None:
    url = http_server.url.replace("http://", "http://me:secret@")
    http_server.add("set.zip", CONTENT, cut_after=1000)
    http_server.add("gone.zip", CONTENT, status=404)
    with pytest.raises(DataError) as caught:
        get(f"{url}/gone.zip")
    assert "secret" not in str(caught.value)

    def looks(done: int, total: int | None) -> None:
        assert "secret" not in (tmp_path / "data/set.zip.part.json").read_text()

    assert get(f"{url}/set.zip", progress=looks).source == f"{http_server.url}/set.zip"
    assert ranges(http_server)[1:] == [None, "bytes=1000-"]


def test_name_with_folders_is_refused(get: Any) -> None:
    with pytest.raises(DataError, match=r"a name without folders, got '\.\./set\.zip'"):
        get(file="../set.zip")


def test_folder_that_cannot_be_written_is_named(get: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DataError, match=r"set\.zip cannot be written: .*data.*choose another folder"):
        get("http://127.0.0.1:1/set.zip")


def test_nothing_heavy_is_imported() -> None:
    program = "import sys, sr_lightning.data.download as _; print({'torch', 'numpy', 'lightning'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"
