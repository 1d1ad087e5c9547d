import multiprocessing.util
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_lightning.data import opening, packing
from sr_lightning.data.file_images import FileImages
from sr_lightning.data.image import read_rgb
from sr_lightning.data.opening import memory_folder, open_images
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store

FORK = multiprocessing.get_context("fork")


def options(**more: Any) -> dict[str, Any]:
    return {"scales": [], "degradation": None, "min_side": 1} | more


@pytest.fixture
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for `/dev/shm`, in which tests leave nothing."""
    memory = tmp_path / "shm"
    memory.mkdir()
    monkeypatch.setattr(opening, "_SHARED_MEMORY", memory)
    return memory


def test_each_place_gives_the_same(folder: Path, tmp_path: Path, shared_memory: Path) -> None:
    paths = list_images(folder)
    places = {
        mode: open_images(paths, store=mode, cache_dir=tmp_path / "disk", **options())
        for mode in ("disk", "ram", "off")
    }
    assert [type(each) for each in places.values()] == [Store, Store, FileImages]
    assert places["disk"].folder.parent == tmp_path / "disk"
    assert places["ram"].folder.parent == memory_folder()
    assert memory_folder().parent == shared_memory
    for each in places.values():
        assert (each.hr(2) == places["disk"].hr(2)).all()


def test_without_shared_memory_the_temporary_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_SHARED_MEMORY", tmp_path / "none")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert memory_folder().parent == tmp_path
    assert memory_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["link", "dangling link", "file", "open to others", "of another user"])
def test_what_another_user_may_have_planted_is_refused(
    tmp_path: Path, shared_memory: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    place = memory_folder()
    place.rmdir()
    (tmp_path / "own").mkdir(mode=0o700)
    if planted in ("link", "dangling link"):
        place.symlink_to(tmp_path / ("own" if planted == "link" else "none"))
    elif planted == "file":
        place.touch(0o700)
    else:
        place.mkdir(0o700)
        if planted == "open to others":
            place.chmod(0o750)
        else:
            user = os.getuid()
            monkeypatch.setattr("os.getuid", lambda: user + 1)
            place.rename(shared_memory / f"sr_lightning-{user + 1}")
    with pytest.raises(DataError, match=r"expected a folder that belongs to this user alone .*data.store=disk or off"):
        memory_folder()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


class Opener:
    """A process that opens a store in memory, and ends when it is told to."""

    def __init__(self, paths: list[Path], *, slow: bool = False) -> None:
        self.connection, theirs = FORK.Pipe()
        self.process = FORK.Process(target=self.run, args=(paths, theirs, slow))
        self.process.start()
        theirs.close()

    @staticmethod
    def run(paths: list[Path], connection: Any, slow: bool) -> None:
        decoded = []

        def read_image(path: Path, **how: Any) -> Any:
            decoded.append(path)
            time.sleep(0.2 * slow)
            return original(path, **how)

        original, packing.read_image = packing.read_image, read_image
        store = open_images(paths, store="ram", cache_dir=Path("nowhere"), **options())
        connection.send((store.folder, len(decoded)))
        while (task := connection.recv()) != "end":
            connection.send(task(store))

    def opened(self) -> tuple[Path, int]:
        """Wait for the store; return its folder and how many images were decoded for it."""
        assert self.connection.poll(60)
        folder, decoded = self.connection.recv()
        return folder, decoded

    def ask(self, task: Callable[[Store], Any]) -> Any:
        """Have the process do something with its store."""
        self.connection.send(task)
        assert self.connection.poll(60)
        return self.connection.recv()

    def end(self) -> None:
        self.connection.send("end")
        self.process.join()
        assert self.process.exitcode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture
def start(shared_memory: Path) -> Iterator[Callable[..., Opener]]:
    openers: list[Opener] = []

    def start_one(paths: list[Path], **how: Any) -> Opener:
        openers.append(Opener(paths, **how))
        return openers[-1]

    yield start_one
    for opener in openers:
        opener.kill()


def left(shared_memory: Path) -> set[str]:
    """What is in memory, of all stores."""
    return {path.name for path in shared_memory.glob("*/*")}


def read_in_a_loaders_worker(store: Store) -> Any:
    """Read an image in a process that gets the store pickled."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(Store.hr, store, 0).result()


def test_store_in_memory_goes_with_the_last_process_that_uses_it(
    folder: Path, shared_memory: Path, start: Callable[..., Opener]
) -> None:
    paths = list_images(folder)
    first = start(paths)
    store, decoded = first.opened()
    second = start(paths)
    assert (decoded, second.opened()) == (4, (store, 0))
    first.end()
    np.testing.assert_array_equal(second.ask(read_in_a_loaders_worker), read_rgb(paths[0]))
    third = start(paths)
    assert third.opened() == (store, 0), "another copy was made"
    second.end()
    assert store.exists()
    third.end()
    assert left(shared_memory) == set(), "helper files stay"


def test_two_at_once_build_once(folder: Path, shared_memory: Path, start: Callable[..., Opener]) -> None:
    both = [start(list_images(folder), slow=True) for _ in range(2)]
    assert sorted(opener.opened()[1] for opener in both) == [0, 4]
    for opener in both:
        opener.connection.send("end")
    for opener in both:
        opener.process.join()
    assert left(shared_memory) == set()


def test_what_a_killed_process_left_goes_when_another_store_is_opened(
    folder: Path, shared_memory: Path, start: Callable[..., Opener]
) -> None:
    paths = list_images(folder)
    builder = start(paths[:2], slow=True)
    wait_until(lambda: any(shared_memory.glob("*/*.building")))
    builder.kill()
    killed, alive = start(paths[1:]), start(paths[2:])
    stores = [killed.opened()[0], alive.opened()[0]]
    killed.kill()
    assert stores[0].exists(), "nobody could remove it"
    last = start(paths)
    stores.append(last.opened()[0])
    assert {name.partition(".")[0] for name in left(shared_memory)} == {stores[1].name, stores[2].name}
    alive.end()
    last.end()
    assert left(shared_memory) == set()


def test_store_that_was_removed_and_built_again_is_left_alone(folder: Path, shared_memory: Path) -> None:
    store = memory_folder() / "key"
    store.mkdir()
    late = opening._open_use(store)  # by a process that sweeps, before another one does
    store.with_name("key.use").unlink()
    store.with_name("key.use").touch()
    opening._remove_unless_used(store, late)
    assert store.exists()
    opening._sweep(memory_folder())
    assert left(shared_memory) == set()


def test_who_waits_for_a_removal_gets_a_lock_that_counts(shared_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = memory_folder() / "key"
    late = opening._open_use(store)
    opening._sweep(memory_folder())
    opened = [late]
    original = opening._open_use
    monkeypatch.setattr(opening, "_open_use", lambda folder: opened.pop() if opened else original(folder))
    opening._use(store, os.getpid())
    store.mkdir()
    opening._sweep(memory_folder())
    assert late.closed
    assert store.exists()


@dataclass
class ForkAndOpen:
    """Forks off a process that opens the store too and lives on until `told` is there."""

    paths: list[Path]
    opened: Path
    told: Path

    def __call__(self, _: Store) -> int:
        number = os.fork()
        if number:
            return number
        try:
            open_images(self.paths, store="ram", cache_dir=Path("nowhere"), **options())
            self.opened.touch()
            wait_until(self.told.exists)
        finally:
            multiprocessing.util._exit_function()
            os._exit(0)


def test_fork_that_opens_the_store_too_keeps_it(
    folder: Path, tmp_path: Path, shared_memory: Path, start: Callable[..., Opener]
) -> None:
    parent = start(list_images(folder))
    store, _ = parent.opened()
    fork = ForkAndOpen(list_images(folder), tmp_path / "opened", tmp_path / "told")
    parent.ask(fork)
    wait_until(fork.opened.exists)
    parent.end()
    assert store.exists()
    fork.told.touch()
    wait_until(lambda: left(shared_memory) == set())


def test_where_processes_cannot_share_a_lock_each_has_a_folder_of_its_own(
    folder: Path, tmp_path: Path, start: Callable[..., Opener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(opening, "fcntl")
    monkeypatch.setattr(opening, "_LOCKS_ARE_SHARED", False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opening._private_folder.cache_clear()
    openers = [start(list_images(folder)) for _ in range(2)]
    stores = [opener.opened() for opener in openers]
    assert {decoded for _, decoded in stores} == {4}
    assert len({store.parent for store, _ in stores}) == 2
    for opener, (store, _) in zip(openers, stores, strict=True):
        assert store.parent.parent == tmp_path
        opener.end()
        assert not store.parent.exists()
