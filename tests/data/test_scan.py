import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from sr_lightning.data.scan import DataError, bit_depth, check_folder, list_images, mode_problem


def test_list_images_walks_any_tree_in_a_fixed_order(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    wanted = ["B.JPG", "a.png", "deep/d.WebP", "deep/e.bmp", "deep/er/c.tiff", "z.tif", "z/f.jpeg"]
    for name in reversed(wanted):
        save_image(tmp_path / name)
    for name in ("notes.txt", "._a.png", ".hidden/g.png", "h.png.part", "i.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)] == wanted


def test_list_images_follows_links_once_and_skips_broken_ones(tmp_path: Path, folder: Path) -> None:
    (folder / "back").symlink_to(folder)
    (folder / "broken.png").symlink_to(tmp_path / "nowhere.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (9, 9)).save(elsewhere / "e.png")
    (folder / "linked").symlink_to(elsewhere)
    names = [path.relative_to(folder).as_posix() for path in list_images(folder)]
    assert names == ["a.png", "bb.png", "linked/e.png", "sub/ccc.png", "sub/dddd.png"]


def test_check_folder_accepts_one_good_image_among_bad_ones(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    save_image(tmp_path / "b.png", 8, 100)
    save_image(tmp_path / "c.png", 24, 30)
    check_folder(tmp_path, key="data.train_dir", min_side=24)


def test_check_folder_names_the_nearest_folder(tmp_path: Path) -> None:
    (tmp_path / "DIV2K").mkdir()
    with pytest.raises(DataError, match=r"^data\.val_dir: expected .*'DIV2k' in .*; did you mean 'DIV2K'\?$"):
        check_folder(tmp_path / "DIV2k" / "HR", key="data.val_dir", min_side=1)
    with pytest.raises(DataError, match=r"no 'qqqq' in .*\.$"):
        check_folder(tmp_path / "qqqq", key="data.val_dir", min_side=1)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, r"holds no image file; expected any of \.png"),
        ({"notes.txt": b"x"}, "holds no image file"),
        ({"a.png": b"x", "b/c.jpg": b""}, r"none of the 2 image files .* can be read \(a\.png: "),
    ],
)
def test_check_folder_refuses_a_folder_without_images(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=expected) as caught:
        check_folder(tmp_path, key="data.train_dir", min_side=1)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("data.train_dir: ")


def test_check_folder_refuses_a_file(tmp_path: Path, save_image: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="which is a file"):
        check_folder(save_image(tmp_path / "a.png"), key="data.train_dir", min_side=1)


def test_check_folder_refuses_small_images_and_names_the_largest(
    tmp_path: Path, save_image: Callable[..., Path]
) -> None:
    save_image(tmp_path / "a.png", 200, 20)
    save_image(tmp_path / "b.png", 40, 30)
    with pytest.raises(DataError, match=r"at least 96x96 pixels .* the largest is 40x30"):
        check_folder(tmp_path, key="data.train_dir", min_side=96)


def test_check_folder_takes_images_of_16_bits_and_refuses_deeper_ones(tmp_path: Path) -> None:
    Image.new("F", (9, 9)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float\.tif: mode F is not 8-bit or 16-bit grey or colour"):
        check_folder(tmp_path, key="data.train_dir", min_side=1)
    Image.new("I;16", (9, 9)).save(tmp_path / "deep.png")
    check_folder(tmp_path, key="data.train_dir", min_side=9)


def test_arrays_count_where_images_have_more_channels(tmp_path: Path) -> None:
    for name in ("a.npy", "b.tif", "c.npz"):
        (tmp_path / name).write_bytes(b"its header is not read")
    assert [path.name for path in list_images(tmp_path)] == ["b.tif"]
    assert [path.name for path in list_images(tmp_path, channels=6)] == ["a.npy", "b.tif"]
    check_folder(tmp_path, key="data.train_dir", min_side=9, channels=6)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no image file"):
        check_folder(tmp_path / "none", key="data.train_dir", min_side=9, channels=6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_depth_and_problem_of_each_mode(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 3)).save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as image:
        assert bit_depth(image) == (16 if mode == "I;16" else 8)
        assert (mode_problem(image) is None) == (mode not in ("I;16", "I", "F"))
        assert (mode_problem(image, deepest=16) is None) == (mode not in ("I", "F"))


@pytest.mark.parametrize("module", ["scan", "sample"])
def test_import_is_light(module: str) -> None:
    program = f"""
import sys, time
start = time.perf_counter()
import sr_lightning.data.{module}
print(time.perf_counter() - start, *({{"torch", "numpy", "skimage", "lightning"}} & set(sys.modules)))
"""
    seconds, *heavy = min(
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
        for _ in range(3)
    )
    assert heavy == []
    assert float(seconds) < 0.3
