import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data import packing
from sr_lightning.data.file_images import FileImages
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store
from sr_lightning.degradations.bicubic import Bicubic

SCALES = (2, 3, 4)


@pytest.fixture
def images(folder: Path, save_image: Callable[..., Path]) -> list[Path]:
    exif = Image.Exif()
    exif[0x0112] = 6
    save_image(folder / "turned.jpg", 60, 40, exif=exif)
    save_image(folder / "small.png", 9, 60)
    (folder / "bad.png").write_bytes(b"no image")
    return list_images(folder)


def options(paths: list[Path], tmp_path: Path, **more: Any) -> dict[str, Any]:
    rules = {scale: Bicubic(scale=scale, border="replicate" if scale == 3 else "symmetric") for scale in SCALES}
    return {"scales": SCALES, "degradation": rules, "min_side": 10, "max_skipped": 0.5} | more


@pytest.mark.parametrize("more", [{}, {"channels": 1}, {"resize": 21}, {"deep": True}])
def test_what_is_cut_is_bit_equal_to_a_stores(images: list[Path], tmp_path: Path, more: dict[str, Any]) -> None:
    if more.pop("deep", False):
        Image.fromarray(np.random.default_rng(0).integers(0, 65536, (30, 40), np.uint16)).save(images[0])
    arguments = options(images, tmp_path, **more)
    files = pickle.loads(pickle.dumps(FileImages(images, **arguments)))
    store = Store.open_or_build(images, cache_dir=tmp_path / "cache", **arguments)
    assert list(files.names) == list(store.names)
    assert len(files) == len(store)
    assert files.skipped == store.skipped
    assert (files.channels, files.dtype, files.scales, files.min_side) == (store.channels, store.dtype, SCALES, 10)
    np.testing.assert_array_equal(files.sizes, store.sizes)
    np.testing.assert_array_equal(files.hashes, store.hashes)
    draws = np.random.default_rng(0)
    for index in range(len(store)):
        np.testing.assert_array_equal(files.hr(index), store.hr(index))
        for scale in SCALES:
            np.testing.assert_array_equal(files.lr(index, scale), store.lr(index, scale))
            height, width = store.sizes[index] // scale
            for _ in range(20):
                top, left = draws.integers(0, height - 3), draws.integers(0, width - 3)
                side = int(draws.integers(1, 1 + min(height - top, width - left)))
                files.ask_for([(index, top * scale, left * scale)], side=side * scale, scale=scale)
                for cut, factor in (("hr", scale), ("lr", 1)):
                    ours, theirs = (np.zeros((side * factor, side * factor, store.channels), store.dtype) for _ in "ab")
                    place = (top * factor, left * factor)
                    if cut == "hr":
                        files.cut_hr(index, *place, ours)
                        store.cut_hr(index, *place, theirs)
                    else:
                        files.cut_lr(index, scale, *place, ours)
                        store.cut_lr(index, scale, *place, theirs)
                    np.testing.assert_array_equal(ours, theirs)


def test_lr_of_files_is_cut(folder: Path, tmp_path: Path) -> None:
    paths = list_images(folder)
    lr_files = []
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            lr_files.append(tmp_path / f"{number}.png")
            image.resize((image.width // 3, image.height // 3)).save(lr_files[-1])
    files = FileImages(paths, scales=[3], degradation=None, min_side=1, lr_paths={3: lr_files})
    patch = np.empty((4, 5, 3), np.uint8)
    files.cut_lr(2, 3, 1, 2, patch)
    with Image.open(lr_files[2]) as image:
        np.testing.assert_array_equal(patch, np.asarray(image)[1:5, 2:7])


def test_patches_outside_an_image_are_refused(folder: Path) -> None:
    files = FileImages(list_images(folder), scales=[2], degradation=Bicubic(scale=2), min_side=1)
    patch = np.empty((10, 10, 3), np.uint8)
    with pytest.raises(IndexError, match="10x10 pixels from row 24, column 0 on are not inside 33x41"):
        files.cut_hr(0, 24, 0, patch)
    with pytest.raises(IndexError, match="not inside 16x20"):
        files.cut_lr(0, 2, 0, 11, patch)


def test_a_few_images_are_kept_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    read = packing.read_image
    monkeypatch.setattr(packing, "read_image", lambda path, **more: decoded.append(path.stem) or read(path, **more))
    monkeypatch.setattr("sr_lightning.data.file_images._KEPT", 2)
    files = FileImages(list_images(folder), scales=[2], degradation=Bicubic(scale=2), min_side=1)
    assert decoded == []
    for index in (0, 0, 1, 0, 2, 1, 0):
        files.lr(index, 2)
    assert decoded == ["a", "bb", "ccc", "a"]


def test_too_many_bad_images_stop(images: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 of 7 images cannot be used .*bad\.png.*small\.png.* 9x60 pixels"):
        FileImages(images, **options(images, tmp_path, max_skipped=0.2))


def test_damage_behind_the_header_is_named_when_it_is_met(folder: Path) -> None:
    content = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(content[: len(content) // 2])
    files = FileImages(list_images(folder), scales=[], degradation=None, min_side=1)
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        files.hr(0)


def test_orientation_behind_the_pixels_is_refused(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save_image(tmp_path / "a.png", exif=exif)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])
    files = FileImages([path], scales=[], degradation=None, min_side=1)
    with pytest.raises(DataError, match=r"a\.png is turned by an orientation behind its pixels; .*data\.store=disk"):
        files.hr(0)
