import json
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from sr_lightning.data.image import read_rgb
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def open_store(tmp_path: Path, every_nth: type[Any]) -> Callable[..., Store]:
    def open_or_build(
        paths: list[Path], scale: int = 3, degradation: Any = None, min_side: int = 1, progress: Any = None
    ) -> Store:
        return Store.open_or_build(
            paths,
            cache_dir=tmp_path / "cache",
            scale=scale,
            degradation=degradation or every_nth(scale),
            min_side=min_side,
            progress=progress,
        )

    return open_or_build


class NeverCalled:
    """Proves that a store was opened, not built: decoding and degrading would call it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, hr: Tensor) -> Tensor:
        raise AssertionError("the store was built again")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_store_is_bit_equal_to_a_direct_decode(folder: Path, open_store: Any, scale: int) -> None:
    paths = list_images(folder)
    store = open_store(paths, scale=scale)
    assert len(store) == 4
    assert store.names == ["a.png", "bb.png", "sub/ccc.png", "sub/dddd.png"]
    assert store.skipped == []
    for i, path in enumerate(paths):
        image = read_rgb(path)
        height, width = image.shape[0] // scale, image.shape[1] // scale
        hr = image[: height * scale, : width * scale]
        np.testing.assert_array_equal(store.hr(i), hr)
        np.testing.assert_array_equal(store.lr(i), hr[::scale, ::scale])
        assert store.lr_size(i) == (height, width)
        assert not store.hr(i).flags.writeable
        assert not store.lr(i).flags.writeable


def test_store_keeps_the_order_it_was_given(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)[::-1]
    store = open_store(paths)
    np.testing.assert_array_equal(store.hr(0), read_rgb(paths[0])[:33, :33])


def test_more_images_than_are_decoded_at_once_keep_their_order(
    tmp_path: Path, open_store: Any, save_image: Callable[..., Path]
) -> None:
    paths = [save_image(tmp_path / f"{n:03}.png", 6 + n % 5, 6 + n % 7) for n in range(80)]
    done: list[tuple[int, int]] = []
    store = open_store(paths, progress=lambda *progress: done.append(progress))
    assert [store.lr_size(n) for n in range(80)] == [((6 + n % 7) // 3, (6 + n % 5) // 3) for n in range(80)]
    assert done == [(n, 80) for n in range(1, 81)]


def test_second_opening_builds_nothing(folder: Path, open_store: Any, every_nth: Any) -> None:
    first = open_store(list_images(folder))
    second = open_store(list_images(folder), degradation=NeverCalled(every_nth(3).name))
    assert second.folder == first.folder
    np.testing.assert_array_equal(second.hr(2), first.hr(2))


def test_changed_file_is_read_again(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    before = open_store(paths)
    Image.new("RGB", (41, 33), (1, 2, 3)).save(paths[0])
    after = open_store(paths)
    assert after.folder != before.folder
    assert (after.hr(0) == [1, 2, 3]).all()


def test_same_size_and_another_time_is_a_change(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    before = open_store(paths)
    os.utime(paths[3], ns=(0, paths[3].stat().st_mtime_ns + 1))
    assert open_store(paths).folder != before.folder


def test_scale_degradation_and_list_of_images_are_part_of_the_key(
    folder: Path, open_store: Any, every_nth: Any
) -> None:
    paths = list_images(folder)
    stores = [
        open_store(paths),
        open_store(paths, scale=2, degradation=every_nth(2, name="every 3th")),
        open_store(paths, degradation=every_nth(3, name="another")),
        open_store(paths[:3]),
        open_store(paths[::-1]),
    ]
    assert len({store.folder for store in stores}) == len(stores)


def test_smallest_side_selects_without_another_store(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    everything, large = open_store(paths), open_store(paths, min_side=33)
    assert large.folder == everything.folder
    # 41x33, 50x39, 65x31 and 35x35 after cropping to a multiple of 3: 39x33, 48x39, 63x30, 33x33.
    assert large.names == ["a.png", "bb.png", "sub/dddd.png"]
    np.testing.assert_array_equal(large.hr(2), everything.hr(3))
    assert large.skipped == [(paths[2], "63x30 pixels is too small, expected at least 33x33")]


def test_bad_images_are_left_out_and_reported(folder: Path, open_store: Any, save_image: Callable[..., Path]) -> None:
    (folder / "b.png").write_bytes(b"no image")
    Image.new("I;16", (40, 40)).save(folder / "c.png")
    save_image(folder / "d.png", 2, 40)
    paths = list_images(folder)
    for _ in range(2):  # built, then opened
        store = open_store(paths)
        assert store.names == ["a.png", "bb.png", "sub/ccc.png", "sub/dddd.png"]
        reasons = dict(store.skipped)
        assert list(reasons) == [folder / "b.png", folder / "c.png", folder / "d.png"]
        assert "cannot be read" in reasons[folder / "b.png"]
        assert "mode I;16" in reasons[folder / "c.png"]
        assert "2x40 pixels is too small, expected at least 3x3" in reasons[folder / "d.png"]
    np.testing.assert_array_equal(store.hr(1), read_rgb(folder / "bb.png")[:39, :48])


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path, folder: Path, open_store: Any) -> None:
    with pytest.raises(DataError, match=r"none of the 4 images can be used .*too small.*99x99"):
        open_store(list_images(folder), min_side=99)
    (tmp_path / "bad.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(DataError, match=r"none of the 1 images can be used .*bad\.png"):
            open_store([tmp_path / "bad.png"])
    with pytest.raises(DataError, match="at least one image"):
        open_store([])


def test_degradation_of_another_scale_is_refused_and_leaves_nothing(
    folder: Path, open_store: Any, every_nth: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"expected degradation every 2th .* for scale 3, got torch\.uint8"):
        open_store(list_images(folder), scale=3, degradation=every_nth(2))
    assert list((tmp_path / "cache").iterdir()) == []


def test_store_is_pickled_as_its_path(folder: Path, open_store: Any) -> None:
    store = open_store(list_images(folder), min_side=33)
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    again = pickle.loads(pickled)
    assert (again.folder, again.names, again.skipped) == (store.folder, store.names, store.skipped)
    np.testing.assert_array_equal(again.lr(1), store.lr(1))


class Slow:
    """Makes LR, touches a file with each image, and takes its time."""

    name = "slow"

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds

    def __call__(self, hr: Tensor) -> Tensor:
        time.sleep(self.seconds)
        (self.folder / f"{os.getpid()}-{time.perf_counter_ns()}").touch()
        return hr[..., ::3, ::3].contiguous()


def test_killed_build_is_not_mistaken_for_a_store(
    tmp_path: Path, open_store: Any, save_image: Callable[..., Path]
) -> None:
    paths = [save_image(tmp_path / "images" / f"{n}.png") for n in range(200)]
    marks = tmp_path / "marks"
    marks.mkdir()
    builder = FORK.Process(target=open_store, args=(paths,), kwargs={"degradation": Slow(marks, 0.05)})
    builder.start()
    while not (list((tmp_path / "cache").glob(".unfinished-*/hr.bin")) and len(list(marks.iterdir())) > 40):
        time.sleep(0.01)
        assert builder.is_alive()
    builder.kill()
    builder.join()
    (left_over,) = (tmp_path / "cache").iterdir()
    assert (left_over / "hr.bin").exists()
    assert not (left_over / "index.json").exists()

    store = open_store(paths, degradation=Slow(marks, 0.0))
    assert len(store) == 200
    np.testing.assert_array_equal(store.hr(199), read_rgb(paths[199])[:30, :39])
    assert left_over.exists(), "an hour has not passed: its builder may still be alive"
    for path in (left_over / "hr.bin", left_over / "lr.bin", left_over):
        os.utime(path, (0, time.time() - 4000))
    open_store(paths, degradation=NeverCalled("slow"))
    assert list((tmp_path / "cache").iterdir()) == [store.folder]


def test_two_builders_at_once_end_with_one_whole_store(
    tmp_path: Path, folder: Path, open_store: Any, every_nth: Any
) -> None:
    paths = list_images(folder)
    marks = tmp_path / "marks"
    marks.mkdir()
    barrier = FORK.Barrier(3)

    def build() -> None:
        barrier.wait()
        store = open_store(paths, degradation=Slow(marks, 0.2))
        np.testing.assert_array_equal(store.hr(3), read_rgb(paths[3])[:33, :33])

    builders = [FORK.Process(target=build) for _ in range(3)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert [builder.exitcode for builder in builders] == [0, 0, 0]
    assert len({mark.name.split("-")[0] for mark in marks.iterdir()}) == 3, "all three were building"
    (only,) = (tmp_path / "cache").iterdir()
    assert only == open_store(paths, degradation=NeverCalled("slow")).folder


@pytest.mark.parametrize("damage", ["cut", "delete", "garble"])
def test_damaged_store_is_built_again(folder: Path, open_store: Any, damage: str) -> None:
    paths = list_images(folder)
    store = open_store(paths)
    expected = store.hr(3).copy()
    del store
    (only,) = (folder.parent / "cache").iterdir()
    if damage == "cut":
        os.truncate(only / "hr.bin", 100)
    elif damage == "delete":
        (only / "lr.bin").unlink()
    else:
        (only / "index.json").write_text("{")
    np.testing.assert_array_equal(open_store(paths).hr(3), expected)


def test_folder_that_cannot_be_written_is_an_error(
    folder: Path, open_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(f"{target} may not be written")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError, match="may not be written"):
        open_store(list_images(folder))
    assert list((folder.parent / "cache").iterdir()) == []


def test_index_can_be_read_by_people(folder: Path, open_store: Any) -> None:
    index = json.loads((open_store(list_images(folder)).folder / "index.json").read_text())
    assert (index["scale"], index["degradation"]) == (3, "every 3th")
    assert index["images"][2] == {
        "name": "sub/ccc.png",
        "path": str(folder / "sub/ccc.png"),
        "lr_size": [10, 21],
    }


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_store_equals_the_published_lr_of_set5(shared: Path, tmp_path: Path, scale: int) -> None:
    from sr_lightning.degradations.bicubic import Bicubic

    set5 = shared / "data" / "benchmarks" / "Set5"
    store = Store.open_or_build(
        list_images(set5 / "HR"),
        cache_dir=tmp_path,
        scale=scale,
        degradation=Bicubic(scale=scale),
        min_side=1,
    )
    assert len(store) == 5
    for i, name in enumerate(store.names):
        published = read_rgb(set5 / "LR_bicubic" / f"x{scale}" / f"{Path(name).stem}x{scale}.png")
        np.testing.assert_array_equal(store.lr(i), published)


def test_bicubic_takes_the_smallest_image(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    from sr_lightning.degradations.bicubic import Bicubic

    store = Store.open_or_build(
        [save_image(tmp_path / "a.png", 4, 5)],
        cache_dir=tmp_path / "cache",
        scale=4,
        degradation=Bicubic(scale=4),
        min_side=1,
    )
    assert store.lr_size(0) == (1, 1)
