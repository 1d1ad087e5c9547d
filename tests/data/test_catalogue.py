"""The facts of the yamls, and finding sets in the layouts that people have them in."""

import re
from pathlib import Path

import pytest
import yaml

from sr_lightning.data.catalogue import (
    Archive,
    Split,
    catalogue,
    count_images,
    find_lr,
    find_split,
    image_name,
    look_up,
    read_entry,
)
from sr_lightning.data.datasets_page import datasets_page
from sr_lightning.data.scan import DataError
from sr_lightning.yamls import conf_dir

ENTRIES = catalogue()
NAMES = (
    "div2k", "flickr2k", "df2k", "bsds300", "voc2012", "t91", "general100", "folder", "sample", "mix",
    "set5", "set14", "bsd100", "urban100", "manga109", "div2k_val", "div2k_801_810",
)  # fmt: skip


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def names(paths):
    return [path.name for path in paths]


def test_all_sets_are_there():
    assert sorted(ENTRIES) == sorted(NAMES)
    assert {ENTRIES[name].kind for name in ("div2k", "df2k", "t91", "mix")} == {"training"}
    assert {ENTRIES[name].kind for name in NAMES[10:]} == {"evaluation"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"folder", "sample", "df2k", "mix"}))
def test_entries_are_complete(name):
    entry = ENTRIES[name]
    for text in (entry.title, entry.about, entry.homepage, entry.licence, entry.citation):
        assert text.strip()
    for split in entry.splits.values():
        assert split.hr
        assert split.archives
        assert split.images
    for archive in entry.archives.values():
        assert archive.urls or archive.manual or archive.file in ("T91.zip", *(f"{entry.title}.zip",))
        assert all(url.startswith(("http://", "https://")) for url in archive.urls)
        assert archive.sha256 is None or re.fullmatch("[0-9a-f]{64}", archive.sha256)
        assert archive.md5 is None or re.fullmatch("[0-9a-f]{32}", archive.md5)
        assert not Path(archive.into).is_absolute()


def test_expected_numbers_of_images():
    found = {(name, key): split.images for name in NAMES for key, split in ENTRIES[name].splits.items()}
    assert found == {
        ("div2k", "train"): 800, ("flickr2k", "train"): 2650, ("bsds300", "train"): 200, ("bsds300", "test"): 100,
        ("voc2012", "train"): 17125, ("t91", "train"): 91, ("general100", "train"): 100, ("set5", "test"): 5,
        ("set14", "test"): 14, ("bsd100", "test"): 100, ("urban100", "test"): 100, ("manga109", "test"): 109,
        ("div2k_val", "test"): 100, ("div2k_801_810", "test"): 10,
    }  # fmt: skip


def test_what_validates_by_default():
    contents = {name: yaml.safe_load((conf_dir() / "data" / f"{name}.yaml").read_text()) for name in NAMES}
    for name in ("div2k", "flickr2k", "df2k"):
        assert (contents[name]["val"], contents[name]["holdout"]) == ("div2k_801_810", 0)
    for name in ("bsds300", "t91", "general100", "voc2012"):
        assert contents[name].get("val") is None
        assert contents[name]["holdout"] == 10
    assert dict(ENTRIES["df2k"].parts) == {"div2k": None, "flickr2k": None}
    for name in ("div2k_val", "div2k_801_810"):
        assert ENTRIES[name].protocol == {"color": "rgb", "border": "scale+6"}


def test_voc_is_torchvisions():
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    [archive] = ENTRIES["voc2012"].archives.values()
    theirs = DATASET_YEAR_DICT["2012"]
    assert (archive.urls, archive.md5, archive.file) == ((theirs["url"],), theirs["md5"], theirs["filename"])
    assert archive.verified
    assert ENTRIES["voc2012"].splits["train"].hr[0] == f"{theirs['base_dir']}/JPEGImages"


def test_third_party_checksums_are_not_trusted():
    unverified = {
        archive.file for entry in ENTRIES.values() for archive in entry.archives.values() if not archive.verified
    }
    assert unverified == {"BSDS300-images.tgz", "Flickr2K.tar", "benchmark.tar", "Urban100_HR.tar.gz"}


def test_archive_size_is_the_exact_one_first():
    assert Archive("a.zip", bytes=3, about_bytes=5).size == 3
    assert Archive("a.zip", about_bytes=5).size == 5
    assert Archive("a.zip").size is None


# Where people have images 0001 and 0800 of DIV2K for training, and 0801 and 0810 for validation.
@pytest.mark.parametrize(
    ("folder", "val_folder"),
    [
        ("DIV2K/DIV2K_train_HR", "DIV2K/DIV2K_valid_HR"),  # the archives, BasicSR, ours
        ("DIV2K_train_HR", "DIV2K_valid_HR"),
        ("datasets/DIV2K/DIV2K_train_HR", "datasets/DIV2K/DIV2K_valid_HR"),  # a root above BasicSR's datasets
        ("dataset/DIV2K/DIV2K_train_HR", "dataset/DIV2K/DIV2K_train_HR"),  # EDSR: all 900 together
        ("DIV2K/DIV2K_train_HR/DIV2K_train_HR", "DIV2K_valid_HR/DIV2K_valid_HR"),  # unpacked into a folder of its name
        ("div2k/div2k_train_hr", "div2k/div2k_valid_hr"),
        ("trainsets/trainH", "testsets/DIV2K_val/HR"),  # KAIR
        ("trainsets/trainH/DIV2K", "testsets/DIV2K100/HR"),
    ],
)
def test_layouts_of_div2k(tmp_path, folder, val_folder):
    touch(tmp_path / folder, "0001.png", "0800.png", "._0001.png")
    touch(tmp_path / val_folder, "0801.png", "0810.png", "0900.png")
    assert names(find_split(ENTRIES["div2k"].splits["train"], tmp_path)) == ["0001.png", "0800.png"]
    assert names(find_split(ENTRIES["div2k_val"].splits["test"], tmp_path)) == ["0801.png", "0810.png", "0900.png"]
    assert names(find_split(ENTRIES["div2k_801_810"].splits["test"], tmp_path)) == ["0801.png", "0810.png"]


def test_pieces_of_basicsr_count_once(tmp_path):
    touch(tmp_path / "DIV2K/DIV2K_train_HR_sub", "0001_s001.png", "0001_s002.png", "0002_s0001.png", "0801_s001.png")
    found = find_split(ENTRIES["div2k"].splits["train"], tmp_path)
    assert names(found) == ["0001_s001.png", "0001_s002.png", "0002_s0001.png"]
    assert count_images(found) == 2
    assert image_name(Path("cat_s1.png")) == "cat_s1"


def test_df2k_in_one_folder_is_told_apart(tmp_path):
    touch(tmp_path / "DF2K/HR", "0001.png", "000001.png", "002650.png", "other.png")
    assert names(find_split(ENTRIES["div2k"].splits["train"], tmp_path)) == ["0001.png"]
    assert names(find_split(ENTRIES["flickr2k"].splits["train"], tmp_path)) == ["000001.png", "002650.png"]


@pytest.mark.parametrize(
    ("name", "folder", "file"),
    [
        ("flickr2k", "Flickr2K/Flickr2K_HR", "000001.png"),
        ("flickr2k", "trainsets/trainH/Flickr2K", "000001.png"),
        ("bsds300", "BSDS300/images/train", "2092.jpg"),
        ("bsds300", "BSR/BSDS500/data/images/train", "2092.jpg"),
        ("voc2012", "VOCdevkit/VOC2012/JPEGImages", "2007_000027.jpg"),
        ("t91", "T91", "t1.png"),
        ("t91", "T91/T91", "t1.png"),
        ("t91", "T91/train_data/91", "t1.bmp"),
        ("general100", "General-100/General-100", "im_1.bmp"),
        ("general100", "General100", "im_1.bmp"),
        ("set5", "Set5/HR", "baby.png"),
        ("set5", "benchmark/Set5/HR", "baby.png"),
        ("set5", "testsets/Set5/HR", "baby.png"),
        ("set5", "Set5/GTmod12", "baby.png"),
        ("set5", "Set5/Set5/HR", "baby.png"),
        ("set5", "Set5", "baby.png"),
        ("bsd100", "benchmark/B100/HR", "101085.png"),
        ("urban100", "Urban100/Urban100_HR", "img_001.png"),
        ("manga109", "val/Manga109", "AisazuNihaIrarenai.png"),
    ],
)
def test_layouts_of_other_sets(tmp_path, name, folder, file):
    [split] = [split for key, split in ENTRIES[name].splits.items() if key != "test" or len(ENTRIES[name].splits) == 1]
    assert find_split(split, tmp_path) == []
    touch(tmp_path / folder, file)
    assert names(find_split(split, tmp_path)) == [file]


def test_only_hr_is_taken(tmp_path):
    touch(tmp_path / "Set5/LR_bicubic/x4", "babyx4.png")
    touch(tmp_path / "Set5/LRbicx4", "baby.png")
    assert find_split(ENTRIES["set5"].splits["test"], tmp_path) == []
    # SelfExSR's archive has results beside HR.
    touch(tmp_path / "Set5/Set5/image_SRF_4", "img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png", "img_001_SRF_4_kim.png")
    assert names(find_split(ENTRIES["set5"].splits["test"], tmp_path)) == ["img_001_SRF_4_HR.png"]


def test_lists_of_names(tmp_path):
    train, test = ENTRIES["bsds300"].splits["train"], ENTRIES["bsds300"].splits["test"]
    touch(tmp_path / "BSDS300/images/train", "2092.jpg", "8049.jpg", "3096.jpg")
    assert len(find_split(train, tmp_path)) == 3
    (tmp_path / "BSDS300/iids_train.txt").write_text("2092\n8049\n")
    assert names(find_split(train, tmp_path)) == ["2092.jpg", "8049.jpg"]
    touch(tmp_path / "BSDS300/images/test", "3096.jpg")
    assert names(find_split(test, tmp_path)) == ["3096.jpg"]
    # A folder without one of the split's names is passed over.
    (tmp_path / "BSDS300/iids_train.txt").write_text("101\n")
    touch(tmp_path / "BSDS200", "101.png")
    assert names(find_split(train, tmp_path)) == ["101.png"]


def test_left_overs_do_not_stand_in_for_a_set(tmp_path):
    split = Split(hr=("first", "second", "third"), images=4)
    touch(tmp_path / "first", "1.png", "2.png")
    touch(tmp_path / "second", "1.png", "2.png", "3.png")
    # None is whole: the one with more.
    assert {path.parent.name for path in find_split(split, tmp_path)} == {"second"}
    # Pieces count as the images they were cut from.
    touch(tmp_path / "third", *(f"{number}_s00{piece}.png" for number in range(4) for piece in (1, 2)))
    assert {path.parent.name for path in find_split(split, tmp_path)} == {"third"}
    # A whole set in another program's folder wins over left-overs in the project's own.
    (tmp_path / "third").rename(tmp_path / "datasets")
    (tmp_path / "datasets").rename(tmp_path / "kept")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "kept").rename(tmp_path / "datasets/third")
    assert len(find_split(split, tmp_path)) == 8
    # Where it is not known how many there are, the first.
    assert len(find_split(Split(hr=split.hr), tmp_path)) == 2


def test_a_folder_around_counts_without_what_is_in_it_only_as_a_whole_set(tmp_path):
    split = ENTRIES["t91"].splits["train"]
    touch(tmp_path / "T91/train_data/91", *(f"t{number}.bmp" for number in range(90)))
    touch(tmp_path / "T91/train_data/291", *(f"{number}.bmp" for number in range(90)))
    # 90 of the set itself, not 90 of VDSR's larger one.
    assert {path.parent.name for path in find_split(split, tmp_path)} == {"91"}
    touch(tmp_path / "other/T91/HR", "t1.png", "t2.png", "t3.png")
    touch(tmp_path / "other/T91", *(f"t{number}.png" for number in range(91)))
    found = find_split(split, tmp_path / "other")
    assert (len(found), {path.parent.name for path in found}) == (91, {"T91"})


@pytest.mark.parametrize(
    "folder",
    [
        "DIV2K/DIV2K_train_LR_bicubic/X4",
        "DIV2K_train_LR_bicubic/x4",
        "DIV2K/DIV2K_train_LR_bicubic_X4/DIV2K_train_LR_bicubic/X4",
    ],
)
def test_official_lr(tmp_path, folder):
    split = ENTRIES["div2k"].splits["train"]
    touch(tmp_path / folder, "0001x4.png")
    assert names((find_lr(split, tmp_path, scale=4) or tmp_path).rglob("*.png")) == ["0001x4.png"]
    assert find_lr(split, tmp_path, scale=2) is None


def test_a_file_in_the_way_is_no_folder(tmp_path):
    (tmp_path / "T91").write_bytes(b"")
    (tmp_path / "datasets").write_bytes(b"")
    assert find_split(ENTRIES["t91"].splits["train"], tmp_path) == []
    assert find_split(ENTRIES["t91"].splits["train"], tmp_path / "nowhere") == []


def test_shared_sets(shared):
    data = shared / "data"
    for root, expected in (
        (data / "train", {"t91": 91, "bsds300": 200}),
        (data / "benchmarks", {"set5": 5, "set14": 14, "bsd100": 100}),
    ):
        for name, images in expected.items():
            split = next(iter(ENTRIES[name].splits.values()))
            assert len(find_split(split, root)) == images
    assert find_lr(ENTRIES["set5"].splits["test"], data / "benchmarks", scale=3) is not None


def test_yamls_of_ones_own(tmp_path):
    (tmp_path / "mine.yaml").write_text("spec: {kind: training, title: Mine, splits: {train: {hr: [mine]}}}\n")
    entries = catalogue([tmp_path])
    assert entries["mine"].splits["train"] == Split(hr=("mine",))
    assert look_up("mine", entries, key="data.val").title == "Mine"
    with pytest.raises(DataError, match=r"data\.val: expected one of .* got 'div2'; did you mean 'div2k'\?"):
        look_up("div2", entries, key="data.val")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "training"}, "conf/data/x: .*title"),
        ({"kind": "training", "title": "X", "licens": "MIT"}, "unknown key 'licens'; did you mean 'licence'"),
        ({"kind": "training", "title": "X", "archives": {"a": {"fil": "a.zip"}}}, "archives.a: unknown key 'fil'"),
        (
            {
                "kind": "training",
                "title": "X",
                "archives": {"a": {"file": "a"}},
                "splits": {"train": {"archives": ["a|b"]}},
            },
            "splits.train.archives names b",
        ),
    ],
)
def test_bad_specs_are_refused_by_name(spec, message):
    with pytest.raises(DataError, match=message):
        read_entry("x", spec)


def test_the_page_is_that_of_the_yamls(repository):
    page = (repository / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert page == datasets_page(ENTRIES), "python -m sr_lightning.data.datasets_page writes it anew"
