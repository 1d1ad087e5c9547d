from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sr_lightning.data import filling
from sr_lightning.data.filling import check_space, fill, map_in_order
from sr_lightning.data.scan import DataError

LENGTHS = np.full(6, 4)


class Make:
    """Image n is four bytes of n; from image `stop` on it fails as told."""

    def __init__(self, stop: int = 6, error: type[Exception] = DataError) -> None:
        self.stop = stop
        self.error = error
        self.made: list[int] = []

    def __call__(self, number: int, /) -> tuple[dict[str, Any], NDArray[np.uint8] | None]:
        if number == self.stop:
            raise self.error("no such image")
        self.made.append(number)
        return {"n": number}, None if number == 2 else np.full((1, 4, 1), number, np.uint8)


def ignore(_: int) -> None:
    pass


@pytest.mark.parametrize("error", [DataError, RuntimeError])
def test_what_was_made_before_an_error_is_not_made_again(tmp_path: Path, error: type[Exception]) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(error, match=r"^no such image$"):
        fill(path, Make(4, error), lengths=LENGTHS, band=7, report=ignore)
    again = Make()
    done: list[int] = []
    assert fill(path, again, lengths=LENGTHS, band=7, report=done.append) == [{"n": n} for n in range(6)]
    assert again.made == [4, 5]
    assert done == [5, 6]
    assert path.read_bytes() == b"".join(bytes([n]) * 4 if n != 2 else bytes(4) for n in range(6))


@pytest.mark.parametrize(("end", "first"), [(b'{"n": 3', 3), (b'{"n": 3}\n', 4), (b"", 3)])
def test_line_that_was_being_written_does_not_count(tmp_path: Path, end: bytes, first: int) -> None:
    path = tmp_path / "a.bin"
    fill(path, Make(), lengths=LENGTHS, band=7, report=ignore)
    path.with_suffix(filling.JOURNAL).write_bytes(b'{"n": 0}\n{"n": 1}\n{"n": 2}\n' + end)
    again = Make()
    assert fill(path, again, lengths=LENGTHS, band=7, report=ignore) == [{"n": n} for n in range(6)]
    assert again.made[0] == first


def test_journal_of_another_file_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    fill(path, Make(), lengths=LENGTHS, band=7, report=ignore)
    path.write_bytes(b"short")
    again = Make()
    fill(path, again, lengths=LENGTHS, band=7, report=ignore)
    assert again.made == list(range(6))
    assert len(path.with_suffix(filling.JOURNAL).read_text().splitlines()) == 6


def test_errors_of_other_processes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "_LITTLE", 0)
    monkeypatch.setattr(filling, "_processes", lambda: 2)
    with pytest.raises(DataError, match=r"^no such image$"):
        fill(tmp_path / "a.bin", Make(3), lengths=LENGTHS, band=7, report=ignore)


def test_space_that_is_taken_already_is_not_needed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10_000}))
    check_space(tmp_path / "a.bin", 10_000)
    with pytest.raises(DataError, match=r"the store needs 1\.1e-05 GB in .*, which has 1e-05 GB free"):
        check_space(tmp_path / "a.bin", 11_000)
    (tmp_path / "a.bin").write_bytes(bytes(8192))
    check_space(tmp_path / "a.bin", 18_000)


@pytest.mark.parametrize("count", [0, 7, 5000])
def test_map_in_order(count: int) -> None:
    assert map_in_order(str, range(count), at_once=256) == [str(n) for n in range(count)]
