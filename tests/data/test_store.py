import errno
import json
import logging
import multiprocessing
import os
import pickle
import random
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.data import filling, packing
from sr_lightning.data.bands import BAND, ROWS
from sr_lightning.data.fingerprint import WORDS, fingerprint
from sr_lightning.data.image import read_image, read_rgb
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store
from sr_lightning.degradations.bicubic import Bicubic

FORK = multiprocessing.get_context("fork")


class EveryNth:
    """LR is each n-th pixel of HR."""

    def __init__(self, scale: int, name: str | None = None) -> None:
        self.scale = scale
        self.name = name or f"every {scale}th"

    def downscale(self, image: Tensor) -> Tensor:
        return image[..., :: self.scale, :: self.scale].contiguous()


class NeverCalled:
    """Proves that LR was found, not made."""

    def __init__(self, name: str) -> None:
        self.name = name

    def downscale(self, image: Tensor) -> Tensor:
        raise AssertionError("LR was made again")


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[..., Store]:
    def open_or_build(paths: list[Path], scales: tuple[int, ...] = (3,), **options: Any) -> Store:
        arguments = {
            "cache_dir": tmp_path / "cache",
            "degradation": {scale: EveryNth(scale) for scale in scales},
            "min_side": 1,
            "max_skipped": 0.8,
        }
        return Store.open_or_build(paths, scales=scales, **(arguments | options))

    return open_or_build


@pytest.fixture
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on decoding an image is an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was decoded again")

    return lambda: monkeypatch.setattr(packing, "read_image", refuse)


def test_store_is_bit_equal_to_a_direct_decode(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    store = open_store(paths, (2, 3, 4))
    assert len(store) == 4
    assert list(store.names) == ["a.png", "bb.png", "sub/ccc.png", "sub/dddd.png"]
    assert store.names[1:3] == ["bb.png", "sub/ccc.png"]
    assert store.names[-1] == "sub/dddd.png"
    with pytest.raises(IndexError):
        store.names[4]
    assert (store.skipped, store.channels, store.dtype, store.scales) == ([], 3, np.uint8, (2, 3, 4))
    assert store.sizes.dtype == np.int64
    assert store.sizes.tolist() == [[33, 41], [39, 50], [31, 65], [35, 35]]
    assert store.hashes.shape == (4, WORDS)
    for i, path in enumerate(paths):
        image = read_rgb(path)
        np.testing.assert_array_equal(store.hr(i), image)
        np.testing.assert_array_equal(store.hashes[i], fingerprint(image))
        for scale in (2, 3, 4):
            height, width = image.shape[0] // scale, image.shape[1] // scale
            expected = image[: height * scale : scale, : width * scale : scale]
            np.testing.assert_array_equal(store.lr(i, scale), expected)
            patch = np.empty((5, 4, 3), np.uint8)
            store.cut_lr(i, scale, 1, 2, patch)
            np.testing.assert_array_equal(patch, expected[1:6, 2:6])
        patch = np.empty((20, 11, 3), np.uint8)
        store.cut_hr(i, 7, 9, patch)
        np.testing.assert_array_equal(patch, image[7:27, 9:20])


def test_patches_outside_an_image_are_refused(folder: Path, open_store: Any) -> None:
    store = open_store(list_images(folder))
    patch = np.empty((10, 10, 3), np.uint8)
    for top, left in ((-1, 0), (0, -1), (24, 0), (0, 32)):
        with pytest.raises(IndexError, match=f"10x10 pixels from row {top}, column {left} on are not inside 33x41"):
            store.cut_hr(0, top, left, patch)
    with pytest.raises(IndexError, match="inside 11x13"):
        store.cut_lr(0, 3, 2, 0, patch)


def test_asking_for_patches_reads_as_long_as_it_has_to_wait(
    folder: Path, open_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(list_images(folder))
    asked: list[tuple[str, int]] = []
    faults = [0]
    for name, bands in (("hr", store._hr_bands), ("lr", store._lr_bands[3])):
        monkeypatch.setattr(bands, "ask_for", lambda index, *_, name=name: asked.append((name, index)))
    monkeypatch.setattr("resource.getrusage", lambda _: type("Usage", (), {"ru_majflt": faults[0]}))
    store._waited = 0
    places = [(0, 3, 6), (1, 9, 12)]

    def each_batch(batches: int) -> list[int]:
        counts = []
        for _ in range(batches):
            asked.clear()
            store.ask_for(places, side=12, scale=3)
            counts.append(len(asked))
        return counts

    # HR and LR of two patches; in the last batch the first patch shows whether the disk has to be waited for.
    assert each_batch(18) == [4] * 15 + [2, 0, 0]
    faults[0] += 1
    assert each_batch(17) == [4] * 15 + [2, 0]
    faults[0] += 1
    store.ask_for(places, side=12, scale=2)
    assert asked == [("hr", 0), ("hr", 1)], "there is no LR of scale 2"


def test_asking_for_patches_takes_what_cutting_takes(folder: Path, open_store: Any) -> None:
    store = open_store(list_images(folder))
    store.ask_for([(0, 21, 27), (3, 0, 0)], side=12, scale=3)
    with pytest.raises(IndexError, match="not inside 33x41"):
        store.ask_for([(0, 24, 0)], side=12, scale=3)


def test_store_keeps_the_order_it_was_given(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)[::-1]
    np.testing.assert_array_equal(open_store(paths).hr(0), read_rgb(paths[0]))


@pytest.mark.parametrize("processes", [False, True])
def test_more_images_than_are_decoded_at_once_keep_their_order(
    tmp_path: Path,
    open_store: Any,
    save_image: Callable[..., Path],
    processes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if processes:
        monkeypatch.setattr(filling, "_LITTLE", 0)
        monkeypatch.setattr(filling, "_processes", lambda: 2)
    paths = [save_image(tmp_path / f"{n:03}.png", 6 + n % 5, 6 + n % 7) for n in range(80)]
    done: list[tuple[int, int]] = []
    state = torch.random.get_rng_state()
    store = open_store(paths, (2, 3), progress=lambda *progress: done.append(progress))
    assert torch.equal(torch.random.get_rng_state(), state), "a run's random numbers would depend on the cache"
    assert store.sizes.tolist() == [[6 + n % 7, 6 + n % 5] for n in range(80)]
    np.testing.assert_array_equal(store.hr(77), read_rgb(paths[77]))
    np.testing.assert_array_equal(store.lr(77, 2), read_rgb(paths[77])[::2, ::2])
    assert done == [(n, 240) for n in range(1, 241)]


def test_second_opening_builds_nothing(folder: Path, open_store: Any, never_decoded: Any) -> None:
    first = open_store(list_images(folder))
    never_decoded()
    second = open_store(list_images(folder), degradation=NeverCalled("every 3th"))
    assert second.folder == first.folder
    np.testing.assert_array_equal(second.hr(2), first.hr(2))


def test_another_scale_or_rule_needs_no_second_decoding(folder: Path, open_store: Any, never_decoded: Any) -> None:
    first = open_store(list_images(folder), (2,))
    never_decoded()
    second = open_store(list_images(folder), (3,))
    both = open_store(list_images(folder), (3, 2), degradation={2: EveryNth(2, "other"), 3: NeverCalled("every 3th")})
    assert first.folder == second.folder == both.folder
    assert (first.scales, second.scales, both.scales) == ((2,), (3,), (2, 3))
    np.testing.assert_array_equal(second.lr(3, 3), first.hr(3)[:33:3, :33:3])
    assert len(list(first.folder.glob("lr_x2_*.bin"))) == 2


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


def test_missing_file_is_named(folder: Path, open_store: Any) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be read: No such file"):
        open_store([*list_images(folder), folder / "gone.png"])


def test_options_and_list_of_images_are_part_of_the_key(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    stores = [
        open_store(paths),
        open_store(paths, channels=1),
        open_store(paths, resize=12),
        open_store(paths[:3]),
        open_store(paths[::-1]),
    ]
    assert len({store.folder for store in stores}) == len(stores)


def test_smallest_side_selects_without_another_store(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    everything, large = open_store(paths), open_store(paths, min_side=33)
    assert large.folder == everything.folder
    # 41x33, 50x39, 65x31 and 35x35.
    assert list(large.names) == ["a.png", "bb.png", "sub/dddd.png"]
    np.testing.assert_array_equal(large.hr(2), everything.hr(3))
    np.testing.assert_array_equal(large.lr(2, 3), everything.lr(3, 3))
    np.testing.assert_array_equal(large.hashes[2], everything.hashes[3])
    assert large.skipped == [(paths[2], "65x31 pixels is too small, expected at least 33x33")]


def test_images_without_an_lr_pixel_are_left_out(
    tmp_path: Path, folder: Path, open_store: Any, save_image: Callable[..., Path]
) -> None:
    path = save_image(folder / "b.png", 40, 3)
    store = open_store(list_images(folder), (2, 4))
    assert store.skipped == [(path, "40x3 pixels is too small, expected at least 4x4")]
    np.testing.assert_array_equal(store.lr(2, 4), store.hr(2)[:28:4, :64:4])
    assert open_store(list_images(folder), (2,)).skipped == []
    with pytest.raises(DataError, match=r"none of the 1 images can be used \(.*40x3 pixels is too small"):
        open_store([path], (4,))


def test_bad_images_are_left_out_and_reported(folder: Path, open_store: Any, save_image: Callable[..., Path]) -> None:
    (folder / "b.png").write_bytes(b"no image")
    Image.new("F", (40, 40)).save(folder / "c.tif")
    content = save_image(folder / "d.png").read_bytes()
    (folder / "d.png").write_bytes(content[: len(content) // 2])  # its header is whole
    paths = list_images(folder)
    for _ in range(2):  # built, then opened
        store = open_store(paths)
        assert list(store.names) == ["a.png", "bb.png", "sub/ccc.png", "sub/dddd.png"]
        reasons = dict(store.skipped)
        assert list(reasons) == [folder / "b.png", folder / "c.tif", folder / "d.png"]
        assert "cannot be read" in reasons[folder / "b.png"]
        assert "mode F" in reasons[folder / "c.tif"]
        assert "truncated" in reasons[folder / "d.png"]
    for i, path in enumerate((paths[0], paths[2], *paths[-2:])):
        np.testing.assert_array_equal(store.hr(i), read_rgb(path))
        height, width = store.sizes[i] // 3 * 3
        np.testing.assert_array_equal(store.lr(i, 3), store.hr(i)[:height:3, :width:3])


@pytest.mark.parametrize("damage", ["header", "pixels", "size"])
def test_too_many_bad_images_stop(
    folder: Path, open_store: Any, save_image: Callable[..., Path], tmp_path: Path, damage: str
) -> None:
    if damage == "header":
        (folder / "b.png").write_bytes(b"no image")
    elif damage == "pixels":
        (folder / "b.png").write_bytes(save_image(folder / "b.png").read_bytes()[:2000])
    else:
        save_image(folder / "b.png", 40, 20)
    options = {"min_side": 30, "max_skipped": 0.19}
    for _ in range(2):
        expected = r"1 of 5 images cannot be used \(.*b\.png.*max_skipped=0\.19 allows"
        with pytest.raises(DataError, match=expected) as error:
            open_store(list_images(folder), **options)
    assert f"b.png: {folder}" not in str(error.value), "the file is named twice"
    assert len(open_store(list_images(folder), min_side=30, max_skipped=0.2)) == 4
    assert not list((tmp_path / "cache").glob("*.building"))


@pytest.mark.parametrize("failure", ["damage", "disk"])
def test_larger_share_of_bad_images_decodes_nothing_again_unless_the_disk_failed(
    folder: Path, open_store: Any, save_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    bad = save_image(folder / "b.png")
    if failure == "damage":
        bad.write_bytes(bad.read_bytes()[:2000])
    decoded = []

    def decode(path: Path, *, fails: bool, **how: Any) -> NDArray[Any]:
        decoded.append(path)
        if fails and path == bad:
            raise DataError("the disk failed") from OSError(errno.EIO, "Input/output error")
        return read_image(path, **how)

    paths = list_images(folder)
    monkeypatch.setattr(packing, "read_image", partial(decode, fails=failure == "disk"))
    with pytest.raises(DataError, match=r"1 of 5 images cannot be used"):
        open_store(paths, max_skipped=0.19)
    assert decoded == paths
    decoded.clear()
    monkeypatch.setattr(packing, "read_image", partial(decode, fails=False))
    store = open_store(paths, max_skipped=0.2)
    kept = paths if failure == "disk" else [path for path in paths if path != bad]
    assert decoded == (paths if failure == "disk" else [])
    for index, path in enumerate(kept):
        np.testing.assert_array_equal(store.hr(index), read_rgb(path))
    assert len(store) == len(kept)


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path, folder: Path, open_store: Any) -> None:
    with pytest.raises(DataError, match=r"none of the 4 images can be used .*too small.*99x99.*; \.\.\.\)"):
        open_store(list_images(folder), min_side=99)
    (tmp_path / "bad.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(DataError, match=r"none of the 1 images can be used .*bad\.png"):
            open_store([tmp_path / "bad.png"])
    with pytest.raises(DataError, match="at least one image"):
        open_store([])


def test_file_that_changes_while_the_store_is_built_is_left_out(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)

    def change(done: int, _: int) -> None:
        if done == 1:
            Image.new("RGB", (20, 20)).save(paths[2])

    assert open_store(paths, progress=change).skipped == [
        (paths[2], f"{paths[2]} was changed while the store was built.")
    ]


def test_degradation_of_another_scale_is_refused(folder: Path, open_store: Any) -> None:
    with pytest.raises(ValueError, match=r"expected degradation every 2th .* for scale 3, got torch\.uint8"):
        open_store(list_images(folder), degradation=EveryNth(2))
    for degradation in (None, {2: EveryNth(2)}):
        with pytest.raises(ValueError, match="expected a degradation or LR files for scale 3"):
            open_store(list_images(folder), degradation=degradation)


def test_store_is_pickled_as_its_path(folder: Path, open_store: Any) -> None:
    store = open_store(list_images(folder), min_side=33)
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    again = pickle.loads(pickled)
    assert (again.folder, list(again.names), again.skipped) == (store.folder, list(store.names), store.skipped)
    np.testing.assert_array_equal(again.lr(1, 3), store.lr(1, 3))


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_lr_is_read_from_files(tmp_path: Path, folder: Path, open_store: Any, extra: int) -> None:
    hr_files = list_images(folder)
    hr_files.insert(1, folder / "bad.png")
    (folder / "bad.png").write_bytes(b"no image")
    lr_files = []
    for number, path in enumerate(hr_files):
        width, height = (3, 3) if path.name == "bad.png" else Image.open(path).size
        lr_files.append(tmp_path / "lr" / f"{number}.png")
        lr_files[-1].parent.mkdir(exist_ok=True)
        Image.new("RGB", (width // 3, height // 3), (number, 0, 9)).save(lr_files[-1])
    store = open_store(hr_files, (2, 3), lr_paths={3: lr_files})
    assert (store.lr(1, 3) == (2, 0, 9)).all()
    assert store.lr(1, 3).shape == (13, 16, 3)
    np.testing.assert_array_equal(store.lr(1, 2), store.hr(1)[:38:2, ::2])
    # Other LR files, another LR.
    Image.new("RGB", (13, 11), (7, 7, 7)).save(lr_files[0])
    assert (open_store(hr_files, (3,), degradation=None, lr_paths={3: lr_files}).lr(0, 3) == 7).all()
    Image.new("RGB", (13 + extra - 1, 11)).save(lr_files[0])
    if extra != 1:
        expected = rf"0\.png is no x3 LR of .*a\.png: expected 13x11 pixels for HR of 41x33, got {12 + extra}x11"
        with pytest.raises(DataError, match=expected) as error:
            open_store(hr_files, (3,), degradation=None, lr_paths={3: lr_files})
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="an LR file for each of the 5 HR files at scale 3, got 4"):
        open_store(hr_files, (3,), degradation=None, lr_paths={3: lr_files[:4]})


def test_mixed_depths_become_16_bits(folder: Path, open_store: Any) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (30, 40), np.uint16)
    Image.fromarray(deep).save(folder / "b.png")
    store = open_store(list_images(folder))
    assert store.dtype == np.uint16
    np.testing.assert_array_equal(store.hr(1), np.repeat(deep[..., None], 3, 2))
    np.testing.assert_array_equal(store.lr(1, 3), np.repeat(deep[::3, :39:3, None], 3, 2))
    np.testing.assert_array_equal(store.hr(0), read_rgb(folder / "a.png").astype(np.uint16) * 257)
    patch = np.empty((4, 5, 3), np.uint16)
    store.cut_hr(1, 2, 3, patch)
    np.testing.assert_array_equal(patch[..., 1], deep[2:6, 3:8])
    info = json.loads((store.folder / "info.json").read_text())
    assert (info["dtype"], info["bits"], info["widened"]) == ("uint16", {"8": 4, "16": 1}, 4)


def test_bicubic_of_16_bits(tmp_path: Path) -> None:
    from sr_lightning.degradations.bicubic import Bicubic

    flat = np.full((12, 16), 54321, np.uint16)
    Image.fromarray(flat).save(tmp_path / "a.png")
    store = Store.open_or_build(
        [tmp_path / "a.png"], cache_dir=tmp_path, scales=[4], degradation=Bicubic(scale=4), min_side=1
    )
    assert store.lr(0, 4).dtype == np.uint16
    assert (store.lr(0, 4) == 54321).all()


def test_one_channel_and_many_bands(tmp_path: Path, folder: Path, open_store: Any) -> None:
    grey = open_store(list_images(folder), channels=1)
    assert grey.hr(0).shape == (33, 41, 1)
    assert grey.lr(0, 3).shape == (11, 13, 1)
    bands = np.random.default_rng(0).integers(0, 256, (20, 300, 6), np.uint8)
    np.save(tmp_path / "a.npy", bands)
    many = open_store([tmp_path / "a.npy", folder / "a.png"], channels=6)
    np.testing.assert_array_equal(many.hr(0), bands)
    assert many.skipped == [(folder / "a.png", f"{folder / 'a.png'}: expected 6 bands, got 3 (RGB).")]


def test_whole_images_are_resized(folder: Path, open_store: Any) -> None:
    paths = list_images(folder)
    store = open_store(paths, resize=12)
    assert store.sizes.tolist() == [[12, 12]] * 4
    with Image.open(paths[1]) as image:
        np.testing.assert_array_equal(store.hr(1), image.resize((12, 12), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(store.lr(1, 3), store.hr(1)[::3, ::3])


def test_names_need_not_be_utf_8(tmp_path: Path, open_store: Any, save_image: Callable[..., Path]) -> None:
    paths = [save_image(tmp_path / "i" / name) for name in ("ä.png", os.fsdecode(b"\xff.png"))]
    assert list(open_store(paths).names) == [path.name for path in paths]


def test_too_small_a_disk_is_an_error_before_anything_is_decoded(
    folder: Path, open_store: Any, never_decoded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_decoded()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 20_000}))
    # 6543 pixels of HR, a little more than a ninth of them LR.
    with pytest.raises(DataError, match=r"needs 2\.17e-05 GB in .*cache.*, which has 2e-05 GB free; make room"):
        open_store(list_images(folder))


def slow(monkeypatch: pytest.MonkeyPatch, marks: Path, seconds: float) -> None:
    """Have decoding take some time, and leave a file for each image."""
    read = packing.read_image

    def read_slowly(path: Path, **options: Any) -> Any:
        time.sleep(seconds)
        (marks / f"{path.stem}-{os.getpid()}-{time.perf_counter_ns()}").touch()
        return read(path, **options)

    marks.mkdir()
    monkeypatch.setattr(packing, "read_image", read_slowly)


class SlowNth(EveryNth):
    def downscale(self, image: Tensor) -> Tensor:
        time.sleep(0.002)
        return super().downscale(image)


@pytest.mark.parametrize("processes", [0, 2])
def test_killed_builds_go_on_and_end_bit_equal(
    tmp_path: Path,
    open_store: Any,
    save_image: Callable[..., Path],
    processes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = [save_image(tmp_path / "images" / f"{n:03}.png", 300 + n % 7, 5 + n % 3) for n in range(40)]
    paths[20].write_bytes(b"no image")
    undisturbed = open_store(paths, (2, 3), cache_dir=tmp_path / "undisturbed")

    monkeypatch.setattr(filling, "RECORD_EVERY", 0.01)
    monkeypatch.setattr(filling, "_LITTLE", 0 if processes else 10**9)
    monkeypatch.setattr(filling, "_processes", lambda: processes)
    # How often the loader's processes look whether their parent still lives; they hold the lock until then.
    monkeypatch.setattr("torch.utils.data._utils.worker.MP_STATUS_CHECK_INTERVAL", 0.1)
    slow(monkeypatch, tmp_path / "marks", 0.004)
    options = {"degradation": {2: SlowNth(2), 3: SlowNth(3)}}
    draws = random.Random(processes)
    killed = 0
    for _ in range(6):
        builder = FORK.Process(target=open_store, args=(paths, (2, 3)), kwargs=options)
        builder.start()
        builder.join(draws.uniform(0.03, 0.2))
        if builder.exitcode == 0:
            break
        builder.kill()
        builder.join()
        killed += 1
    store = open_store(paths, (2, 3), **options)
    decoded = len(list((tmp_path / "marks").iterdir()))
    assert killed >= 2
    assert decoded < 40 * 2.5, "builds go on where the killed ones stood"
    assert store.folder.name == undisturbed.folder.name
    # A journal is left if its process was killed after the last step but one; it does no harm.
    names = sorted(path.name for path in undisturbed.folder.iterdir())
    assert sorted(path.name for path in store.folder.iterdir() if path.suffix != filling.JOURNAL) == names
    for name in names:
        assert (store.folder / name).read_bytes() == (undisturbed.folder / name).read_bytes(), name
    assert not list((tmp_path / "cache").glob("*.building"))


def test_others_wait_for_the_builder_and_see_its_progress(
    tmp_path: Path,
    open_store: Any,
    save_image: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths = [save_image(tmp_path / "images" / f"{n:03}.png") for n in range(30)]
    monkeypatch.setattr(filling, "RECORD_EVERY", 0.01)
    monkeypatch.setattr(packing, "_LOOK_EVERY", 0.05)
    slow(monkeypatch, tmp_path / "marks", 0.03)
    builders = [FORK.Process(target=open_store, args=(paths,)) for _ in range(2)]
    for builder in builders:
        builder.start()
    while not list((tmp_path / "marks").iterdir()):
        time.sleep(0.01)
    done: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING):
        store = open_store(paths, progress=lambda *progress: done.append(progress))
    for builder in builders:
        builder.join()
    assert [builder.exitcode for builder in builders] == [0, 0]
    assert f"another process is building the store {store.folder}: waiting for it." in caplog.text
    assert done
    assert done == sorted(done)
    assert {total for _, total in done} == {60}
    assert len(list((tmp_path / "marks").iterdir())) == 30, "each image was decoded once"
    np.testing.assert_array_equal(store.hr(29), read_rgb(paths[29]))


@pytest.mark.parametrize("damage", ["hr.bin", "index.npy", "names.bin", "hashes.npy", "info.json", "lr"])
@pytest.mark.parametrize("cut", [True, False])
def test_damaged_store_is_built_again(folder: Path, open_store: Any, damage: str, cut: bool) -> None:
    paths = list_images(folder)
    store = open_store(paths)
    expected = store.hr(3), store.lr(3, 3)
    path = next(store.folder.glob("lr*.bin")) if damage == "lr" else store.folder / damage
    del store
    if cut:
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    store = open_store(paths)
    np.testing.assert_array_equal(store.hr(3), expected[0])
    np.testing.assert_array_equal(store.lr(3, 3), expected[1])


def test_info_can_be_read_by_people(folder: Path, open_store: Any) -> None:
    (folder / "b.png").write_bytes(b"no image")
    store = open_store(list_images(folder))
    info = json.loads((store.folder / "info.json").read_text())
    assert (info["images"], info["channels"], info["dtype"], info["modes"]) == (4, 3, "uint8", {"RGB": 4})
    assert info["root"] == str(folder)
    assert info["skipped"][0][0] == str(folder / "b.png")
    (lr,) = store.folder.glob("lr_x3_*.json")
    length = lr.with_suffix(".bin").stat().st_size
    assert json.loads(lr.read_text()) == {"scale": 3, "rule": "every 3th", "bytes": length}


def test_opening_does_not_make_an_object_for_each_image(tmp_path: Path) -> None:
    images = 100_000
    index = np.zeros(images, packing._ENTRY)
    index["height"], index["width"], index["name_end"] = 2, 2, np.arange(1, images + 1) * 6
    index["start"] = np.arange(images) * 12
    np.save(tmp_path / "index.npy", index)
    np.save(tmp_path / "hashes.npy", np.zeros((images, WORDS), np.uint64))
    (tmp_path / "names.bin").write_bytes(b"".join(b"%06d" % n for n in range(images)))
    for name, size in (("hr.bin", images * 12), ("lr.bin", images * 3)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    info = {"channels": 3, "band": 256, "dtype": "uint8", "skipped": [], "root": "/images"}
    (tmp_path / "info.json").write_text(json.dumps(info))
    Store(tmp_path, lr={2: "lr"}, min_side=1)
    tracemalloc.start()
    store = Store(tmp_path, lr={2: "lr"}, min_side=1)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(store), store.names[99_999]) == (images, "099999")
    assert held < images * 80, "a Python object for each image would take more"
    assert len(pickle.dumps(store)) < 500


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_store_equals_the_published_lr_of_set5(shared: Path, tmp_path: Path, scale: int) -> None:
    from sr_lightning.degradations.bicubic import Bicubic

    set5 = shared / "data" / "benchmarks" / "Set5"
    store = Store.open_or_build(
        list_images(set5 / "HR"), cache_dir=tmp_path, scales=[scale], degradation=Bicubic(scale=scale), min_side=1
    )
    assert len(store) == 5
    for i, name in enumerate(store.names):
        published: NDArray[np.uint8] = read_rgb(set5 / "LR_bicubic" / f"x{scale}" / f"{Path(name).stem}x{scale}.png")
        np.testing.assert_array_equal(store.lr(i, scale), published)


def test_bicubic_takes_the_smallest_image(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    from sr_lightning.degradations.bicubic import Bicubic

    path = save_image(tmp_path / "a.png", 4, 5)
    store = Store.open_or_build(
        [path], cache_dir=tmp_path / "cache", scales=[4], degradation=Bicubic(scale=4), min_side=1
    )
    assert store.lr(0, 4).shape == (1, 1, 3)


def test_a_build_that_goes_on_keeps_its_layout(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that was free when a build began may be taken when it goes on."""

    def build(cache: Path, available: int) -> Store:
        monkeypatch.setattr(packing, "available_memory", lambda: available)
        return Store.open_or_build(
            sorted(folder.rglob("*.png")), cache_dir=cache, scales=[2], degradation=Bicubic(scale=2), min_side=1
        )

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_write_index", stop)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "cache", 10**9)
    resumed, bands = build(tmp_path / "cache", 0), build(tmp_path / "other", 0)
    layouts = [json.loads((store.folder / "info.json").read_text())["band"] for store in (resumed, bands)]
    assert layouts == [ROWS, BAND]
    for index in range(len(resumed)):
        assert np.array_equal(resumed.hr(index), bands.hr(index))
        assert np.array_equal(resumed.lr(index, 2), bands.lr(index, 2))
