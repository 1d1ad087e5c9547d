import gzip
import io
import os
import random
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.data import extract as module
from sr_lightning.data.extract import extract
from sr_lightning.data.scan import DataError, list_images

# Content that does not shrink, longer than a tar's block and of no even length.
IMAGES = {f"set/hr/{name}.png": random.Random(name).randbytes(3001) for name in "abc"} | {"set/ids.txt": b"a\nb\nc\n"}
KINDS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "", **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    for key, value in more.items():
        setattr(info, key, value)
    return info


def write_tar(path: Path, entries: Mapping[tarfile.TarInfo, bytes]) -> Path:
    mode: Any = f"w:{path.suffix[1:] if path.suffix != '.tar' else ''}"
    with tarfile.open(path, mode) as tar:
        for info, content in entries.items():
            tar.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, entries: Mapping[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in entries.items():
            zipped.writestr(name, content)
    return path


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Write an archive of the given kind: `pack("tar.gz", {"name": b"content"})`."""

    def pack(kind: str, files: Mapping[str, bytes] = IMAGES) -> Path:
        path = tmp_path / f"set.{kind}"
        if kind == "zip":
            return write_zip(path, files)
        return write_tar(path, {entry(name, len(content)): content for name, content in files.items()})

    return pack


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".unpacking*"))


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_unpacked_and_told_by_its_content(pack: Any, tmp_path: Path, kind: str, there: bool) -> None:
    archive = pack(kind).rename(tmp_path / "download")
    into = tmp_path / "deep/data"
    if there:
        into.mkdir(parents=True)
    seen: list[tuple[int, int]] = []
    paths = extract(archive, into, progress=lambda done, total: seen.append((done, total)))
    assert tree(into) == IMAGES
    assert paths == [into / name for name in IMAGES]
    total = sum(map(len, IMAGES.values()))
    assert seen[-1] == (total, total)
    assert sorted(seen) == seen
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("command", ["zip -qr {} set", "tar -cf {} ./set", "tar -czf {} set"])
def test_archives_of_the_usual_programs_are_unpacked(tmp_path: Path, command: str) -> None:
    for name, content in IMAGES.items():
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o400)
    (tmp_path / "made/set/empty").mkdir()
    archive = tmp_path / "archive"
    try:
        subprocess.run(command.format(f"{archive}.any").split(), cwd=tmp_path / "made", check=True)
    except FileNotFoundError:
        pytest.skip("the program is not on this machine")
    extract(Path(f"{archive}.any"), tmp_path / "data")
    assert tree(tmp_path / "data") == IMAGES
    assert (tmp_path / "data/set/empty").is_dir()
    # Read-only as in the archive, a later set of the same name could not be put there.
    assert all(path.stat().st_mode & stat.S_IWUSR for path in (tmp_path / "data").rglob("*"))


def test_what_macos_adds_is_left_out(pack: Any, tmp_path: Path) -> None:
    litter = dict.fromkeys(("__MACOSX/set/hr/._a.png", "set/hr/._a.png", "set/.DS_Store"), b"litter")
    paths = extract(pack("zip", {**litter, **IMAGES}), tmp_path / "data")
    assert paths == [tmp_path / "data" / name for name in IMAGES]
    assert tree(tmp_path / "data") == IMAGES


def test_backslashes_of_windows_zips_are_folders(pack: Any, tmp_path: Path) -> None:
    extract(pack("zip", {"set\\": b"", "set\\hr\\a.png": b"a"}), tmp_path / "data")
    assert tree(tmp_path / "data") == {"set/hr/a.png": b"a"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_own_files_survive_and_equal_ones_keep_their_date(pack: Any, tmp_path: Path, kind: str) -> None:
    into = tmp_path / "data"
    for name, content in {"set/hr/mine.png": b"mine", "set/hr/b.png": bytes(3001), "other/x.png": b"x"}.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_bytes(content)
    (into / "set/hr/a.png").write_bytes(IMAGES["set/hr/a.png"])
    os.utime(into / "set/hr/a.png", (1, 1))
    extract(pack(kind), into)
    assert tree(into) == {**IMAGES, "set/hr/mine.png": b"mine", "other/x.png": b"x"}
    assert (into / "set/hr/a.png").stat().st_mtime == 1
    assert (into / "set/hr/b.png").stat().st_mtime > 1


def test_file_where_a_folder_stands_is_refused(pack: Any, tmp_path: Path) -> None:
    (tmp_path / "data/set/ids.txt").mkdir(parents=True)
    with pytest.raises(DataError, match=r"cannot be unpacked into .*ids\.txt"):
        extract(pack("zip"), tmp_path / "data")
    assert (tmp_path / "data/set/ids.txt").is_dir()
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    with pytest.raises(DataError, match=r"cannot be unpacked into .*link"):
        extract(pack("zip"), tmp_path / "link")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be unpacked into .*file"):
        extract(pack("zip"), tmp_path / "file")


HOSTILE_NAMES = {
    "/etc/owned": "leads out of the folder",
    "../owned": "leads out of the folder",
    "set/../../owned": "leads out of the folder",
    "..\\owned": "leads out of the folder",
    "C:\\owned": "leads out of the folder",
    "d:owned": "leads out of the folder",
    "\\\\host\\owned": "leads out of the folder",
    "__MACOSX/../../owned": "leads out of the folder",
    "set/a\nb.png": "control characters",
    ".": "a file without a name",
    "set/hr/a.png/b": "a file and a folder at once",
    "set/hr": "a file and a folder at once",
    "set/hr/A.PNG": "the same name as 'set/hr/a.png'",
    "./set//hr/a.png": "the same name as 'set/hr/a.png'",
}


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(("name", "message"), HOSTILE_NAMES.items())
def test_hostile_names_are_refused_with_nothing_written(
    pack: Any, tmp_path: Path, kind: str, name: str, message: str, there: bool
) -> None:
    archive = pack(kind, {**IMAGES, name: b"bad"})
    into = tmp_path / "deep/data"
    if there:
        into.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=message) as caught:
        extract(archive, into)
    assert "Nothing was unpacked" in str(caught.value)
    assert "broken" not in str(caught.value)
    assert sorted(path for path in tmp_path.rglob("*") if path.suffix != ".lock") == before
    assert not Path("/etc/owned").exists()


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = {entry("set/a.png", 1): b"1", entry("set/a.png", 1, mtime=1): b"2"}
    with pytest.raises(DataError, match=r"holds 'set/a\.png', the same name as 'set/a\.png'"):
        extract(write_tar(tmp_path / "set.tar", twice), tmp_path / "data")
    with pytest.raises(DataError, match=r"holds 'set/\xe9\.png', the same name as 'set/e\u0301\.png'"):
        extract(write_zip(tmp_path / "set.zip", {"set/e\u0301.png": b"", "set/\xe9.png": b""}), tmp_path / "data")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("set/out", kind=tarfile.SYMTYPE, link="/etc"), "holds 'set/out', a link"),
        (entry("set/in", kind=tarfile.SYMTYPE, link="hr/a.png"), "holds 'set/in', a link"),
        (entry("set/hard", kind=tarfile.LNKTYPE, link="set/hr/a.png"), "holds 'set/hard', a link"),
        (entry("set/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), "holds 'set/null', neither a file nor"),
        (entry("set/disk", kind=tarfile.BLKTYPE), "holds 'set/disk', neither a file nor a folder"),
        (entry("set/pipe", kind=tarfile.FIFOTYPE), "holds 'set/pipe', neither a file nor a folder"),
        (entry("set/holes", kind=tarfile.GNUTYPE_SPARSE), "holds 'set/holes', neither a file nor a folder"),
    ],
)
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, bad: tarfile.TarInfo, message: str) -> None:
    files = {entry(name, len(content)): content for name, content in IMAGES.items()}
    archive = write_tar(tmp_path / "set.tar", {**files, bad: b""})
    with pytest.raises(DataError, match=message):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("mode", "message"), [(stat.S_IFLNK, "'set/bad', a link"), (stat.S_IFIFO, "'set/bad', neither a file nor")]
)
def test_links_and_devices_of_a_zip_are_refused(tmp_path: Path, mode: int, message: str) -> None:
    bad = zipfile.ZipInfo("set/bad")
    bad.create_system, bad.external_attr = 3, (mode | 0o777) << 16
    archive = write_zip(tmp_path / "set.zip", {**IMAGES, bad: b"/etc/passwd"})
    with pytest.raises(DataError, match=message):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_encrypted_zip_is_refused(pack: Any, tmp_path: Path) -> None:
    archive = pack("zip")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory's first entry
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"is encrypted \('set/hr/a\.png'\)"):
        extract(archive, tmp_path / "data")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_bombs_are_refused(pack: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ALWAYS_ALLOWED", 1 << 20)
    archive = pack(kind, {"set/a.png": bytes(1 << 24)})
    assert archive.stat().st_size < 1 << 15
    with pytest.raises(DataError, match="would grow beyond the 1,048,576 bytes that are allowed for its"):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    # Named by who knows better, the same archive is welcome.
    extract(archive, tmp_path / "data", max_bytes=1 << 24)
    assert (tmp_path / "data/set/a.png").stat().st_size == 1 << 24
    with pytest.raises(DataError, match="would grow beyond the 16,777,215 bytes"):
        extract(archive, tmp_path / "data", max_bytes=(1 << 24) - 1)


def test_large_archives_may_grow_thirty_times(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ALWAYS_ALLOWED", 0)
    content = random.Random(0).randbytes(5000)
    extract(pack("zip", {"a.png": content + bytes(100_000)}), tmp_path / "data")
    with pytest.raises(DataError, match="would grow beyond"):
        extract(pack("zip", {"a.png": content + bytes(200_000)}), tmp_path / "data")


def test_bomb_behind_the_members_is_refused(pack: Any, tmp_path: Path) -> None:
    archive = pack("tar")
    bomb = tmp_path / "set.tar.gz"
    bomb.write_bytes(gzip.compress(archive.read_bytes() + bytes(1 << 22)))
    with pytest.raises(DataError, match="would grow beyond the 20,000 bytes"):
        extract(bomb, tmp_path / "data", max_bytes=20_000)


def test_zip_that_declares_less_than_it_holds_is_refused(pack: Any, tmp_path: Path) -> None:
    archive = pack("zip", {"set/a.png": bytes(1 << 20)})
    declare(archive, 1000)
    with pytest.raises(DataError, match="is broken, incomplete or neither"):
        extract(archive, tmp_path / "data", max_bytes=2000)
    assert not (tmp_path / "data").exists()


def test_zip_that_declares_more_than_it_holds_is_refused(pack: Any, tmp_path: Path) -> None:
    archive = pack("zip", {"set/a.png": bytes(1000)})
    declare(archive, 2000)
    with pytest.raises(DataError, match=r"'set/a\.png' has 1000 bytes, 2000 were declared"):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def declare(archive: Path, size: int) -> None:
    """Change the unpacked size that a zip of one member declares in its directory."""
    content = bytearray(archive.read_bytes())
    start = content.index(b"PK\x01\x02") + 24
    content[start : start + 4] = size.to_bytes(4, "little")
    archive.write_bytes(content)


def test_number_of_members_is_bounded(pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_MEMBERS", 4)
    extract(pack("tar"), tmp_path / "data")
    with pytest.raises(DataError, match="holds more than 4 files"):
        extract(pack("tar", {**IMAGES, "one more": b""}), tmp_path / "data")


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        # Some versions of tarfile would go from here to here again, for ever.
        (tarfile.REGTYPE, -512, "neither a file nor a folder|is broken"),
        (tarfile.REGTYPE, 1 << 33, "would grow beyond"),
        # A long name, or what stands for one, is read at once.
        (tarfile.GNUTYPE_LONGNAME, -512, "declares a header of -512 bytes|is broken"),
        (tarfile.GNUTYPE_LONGNAME, 1 << 33, "declares a header of 8589934592 bytes"),
        (tarfile.XHDTYPE, 1 << 33, "declares a header of 8589934592 bytes"),
    ],
)
def test_absurd_sizes_of_tar_headers_are_refused(tmp_path: Path, kind: bytes, size: int, message: str) -> None:
    archive = tmp_path / "set.tar"
    headers = entry("set/a.png").tobuf(), entry("set/b.png", size, kind).tobuf(tarfile.GNU_FORMAT)
    archive.write_bytes(b"".join(headers) + bytes(10240))
    with pytest.raises(DataError, match=message):
        extract(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_archives_are_refused_wherever_they_are_cut(pack: Any, tmp_path: Path, kind: str) -> None:
    archive = pack(kind)
    content = archive.read_bytes()
    # A tar cut between two members, or in a header, is a whole one of fewer images to tarfile.
    cuts = {0, 3, 100, 512, 512 + 3001, 4096, 4096 + 100, 4096 + 512, len(content) // 2, len(content) - 1}
    cuts -= {len(content) - 1} if kind == "tar" else set()  # the last of its 10240 bytes are padding
    for cut in (cut for cut in sorted(cuts) if cut < len(content)):
        archive.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"is broken, incomplete or neither zip nor tar .* download it again"):
            extract(archive, tmp_path / "data")
        assert not (tmp_path / "data").exists()
        assert hidden(tmp_path) == []


def test_archive_that_shrinks_meanwhile_is_refused(pack: Any, tmp_path: Path) -> None:
    archive = pack("tar", {name: random.Random(name).randbytes(1 << 19) for name in "ab"})
    with pytest.raises(DataError, match="is cut"):
        extract(archive, tmp_path / "data", progress=lambda done, total: os.truncate(archive, 1 << 19))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_archives_are_refused_or_whole(pack: Any, tmp_path: Path, kind: str) -> None:
    """Flips bits anywhere: no other exception, and nothing half; content itself only has a checksum in some kinds."""
    archive = pack(kind)
    content = archive.read_bytes()
    dice = random.Random(kind)
    refused = 0
    for number in range(40):
        damaged = bytearray(content)
        damaged[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        archive.write_bytes(damaged)
        into = tmp_path / f"data{number}"
        try:
            extract(archive, into)
        except DataError:
            refused += 1
            assert not into.exists()
        else:
            assert len(tree(into)) == len(IMAGES)
    assert refused > (0 if kind == "tar" else 25)


def test_what_is_no_archive_is_refused(pack: Any, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(1000))
    with pytest.raises(DataError, match="neither zip nor tar"):
        extract(tmp_path / "set.zip", tmp_path / "data")
    with pytest.raises(DataError, match=r"There is no archive .*absent\.zip"):
        extract(tmp_path / "absent.zip", tmp_path / "data")
    with pytest.raises(DataError, match="holds no file"):
        extract(pack("zip", {"set/": b"", "set/.DS_Store": b""}), tmp_path / "data")


def test_disk_that_is_too_small_is_noticed_first(pack: Any, tmp_path: Path) -> None:
    asked: list[Path] = []

    def free(folder: Path) -> int:
        asked.append(folder)
        return 4 * 4096 - 1  # four files take at least so many clusters

    with pytest.raises(DataError, match=r"needs 1\.64e-05 GB, .* has 1\.64e-05 GB free"):
        extract(pack("zip"), tmp_path / "deep/data", free=free)
    assert asked == [tmp_path]
    assert not (tmp_path / "deep").exists()
    extract(pack("zip"), tmp_path / "deep/data", free=lambda folder: 4 * 4096)


@pytest.mark.parametrize("there", [False, True])
def test_interrupted_unpacking_leaves_nothing(pack: Any, tmp_path: Path, there: bool) -> None:
    into = tmp_path / "data"
    if there:
        into.mkdir()
        (into / "mine.png").write_bytes(b"mine")

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(pack("tar.gz"), into, progress=interrupt)
    assert into.exists() == there
    assert not there or tree(into) == {"mine.png": b"mine"}
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_killed_unpacking_leaves_no_half_set_and_is_made_good(
    pack: Any, tmp_path: Path, kind: str, there: bool
) -> None:
    archive, into = pack(kind), tmp_path / "data"
    if there:
        into.mkdir()
    kill = "lambda done, total: done > total // 2 and os.kill(os.getpid(), 9)"
    assert run_extract(archive, into, kill).wait() == -signal.SIGKILL
    # On the disk that it is to be moved on: `into` may be another one than its parent.
    assert len(hidden(into if there else tmp_path)) == 1
    assert into.exists() == there
    assert not there or list_images(into) == []
    if not there:
        into.mkdir()  # the hidden folder beside it is removed although another place is used now
    extract(archive, into)
    assert tree(into) == IMAGES
    assert hidden(tmp_path) == []


def run_extract(archive: Path, into: Path, progress: str) -> "subprocess.Popen[bytes]":
    program = (
        "import os, sys, time; from pathlib import Path; from sr_lightning.data.extract import extract\n"
        f"extract(Path(sys.argv[1]), Path(sys.argv[2]), progress={progress})"
    )
    return subprocess.Popen([sys.executable, "-c", program, str(archive), str(into)])


def test_two_processes_take_turns(pack: Any, tmp_path: Path) -> None:
    archive, into = pack("tar"), tmp_path / "data"
    processes = [run_extract(archive, into, "lambda done, total: time.sleep(0.05)") for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert tree(into) == IMAGES
    assert hidden(tmp_path) == []


def test_nothing_heavy_is_imported() -> None:
    program = "import sys, sr_lightning.data.extract as _; print({'torch', 'numpy', 'lightning'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"
