import atexit
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.data import opening
from sr_lightning.data.file_images import FileImages
from sr_lightning.data.opening import memory_folder, open_images
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store

FORK = multiprocessing.get_context("fork")


def options(**more: Any) -> dict[str, Any]:
    return {"scales": [], "degradation": None, "min_side": 1} | more


def test_each_place_gives_the_same(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(opening, "_remove_at_exit", lambda _: None)
    paths = list_images(folder)
    places = {
        mode: open_images(paths, store=mode, cache_dir=tmp_path / "disk", **options())
        for mode in ("disk", "ram", "off")
    }
    assert [type(each) for each in places.values()] == [Store, Store, FileImages]
    assert places["disk"].folder.parent == tmp_path / "disk"
    assert places["ram"].folder.parent == memory_folder()
    assert memory_folder().parent == tmp_path
    for each in places.values():
        assert (each.hr(2) == places["disk"].hr(2)).all()


def test_without_shared_memory_the_temporary_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_SHARED_MEMORY", tmp_path / "none")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert memory_folder().parent == tmp_path
    assert memory_folder().stat().st_mode & 0o777 == 0o700
    (tmp_path / "sr_lightning-4321").mkdir()
    monkeypatch.setattr("os.getuid", lambda: 4321)
    with pytest.raises(DataError, match=r"belongs to another user; use data.store=disk or off"):
        memory_folder()


def open_until_told(paths: list[Path], connection: Any) -> None:
    """Open a store in memory, send its folder, and end as a process does once something is received."""
    atexit._clear()  # what the tests' own process would do
    store = open_images(paths, store="ram", cache_dir=Path("nowhere"), **options())
    fork = FORK.Process(target=atexit._run_exitfuncs)
    fork.start()
    fork.join()
    connection.send(store.folder)
    connection.recv()
    assert store.hr(0).any()
    atexit._run_exitfuncs()


def test_store_in_memory_goes_with_the_process_that_opened_it_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SHARED_MEMORY", tmp_path)
    processes, stores = [], []

    def start() -> Any:
        ours, theirs = FORK.Pipe()
        processes.append(FORK.Process(target=open_until_told, args=(list_images(folder), theirs)))
        processes[-1].start()
        stores.append(ours.recv())
        return ours

    def end(connection: Any) -> None:
        connection.send("end")
        processes[-1].join()
        assert processes[-1].exitcode == 0

    start()
    end(start())
    assert stores[0] == stores[1]
    assert (stores[0] / "hr.bin").exists(), "the first is still there"
    processes[0].kill()
    processes[0].join()
    assert (stores[0] / "hr.bin").exists(), "nobody could remove it"
    end(start())
    assert stores[2] == stores[0]
    assert not stores[0].exists()
