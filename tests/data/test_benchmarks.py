"""Finding sets in the layouts that people have them in."""

import pytest

from sr_lightning.data.benchmarks import EvaluationSet, find_sets, match_images
from sr_lightning.data.scan import DataError


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def names(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize(
    ("hr", "lr", "lr_names"),
    [
        ("Set5/HR", "Set5/LR_bicubic/x4", ("babyx4.png", "birdx4.png")),  # ours
        ("benchmark/Set5/HR", "benchmark/Set5/LR_bicubic/X4", ("babyx4.png", "birdx4.png")),  # EDSR
        ("Set5/GTmod12", "Set5/LRbicx4", ("baby.png", "bird.png")),  # BasicSR
        ("set5/original", "set5/LRbicx4", ("baby.png", "bird.png")),
        ("SET5", "SET5/LR_bicubic/x4", ("baby.png", "bird.png")),
    ],
)
def test_layouts(tmp_path, hr, lr, lr_names):
    touch(tmp_path / hr, "bird.png", "baby.png", "._baby.png", "notes.txt")
    touch(tmp_path / lr, *lr_names)
    [found] = find_sets(tmp_path, scale=4, names=None)
    assert found.name == "Set5"
    assert names(found.hr) == ["baby.png", "bird.png"]
    assert names(found.lr) == list(lr_names)
    # LR of another scale does not count: it is made of HR.
    assert find_sets(tmp_path, scale=2, names=None)[0].lr is None


def test_names_of_papers_in_their_order(tmp_path):
    for folder in ("Urban100", "B100", "set14", "Set5", "mine"):
        touch(tmp_path / folder / "HR", "a.png")
    assert [found.name for found in find_sets(tmp_path, scale=2, names=None)] == ["Set5", "Set14", "BSD100", "Urban100"]
    wanted = find_sets(tmp_path, scale=2, names=["SET14", "b100", "bsd100", "mine"])
    assert [found.name for found in wanted] == ["Set14", "BSD100", "BSD100", "mine"]
    assert [found.name for found in find_sets(tmp_path, scale=2, names="mine")] == ["mine"]
    assert find_sets(tmp_path, scale=2, names=[]) == []


def test_unknown_set_is_refused_with_the_nearest(tmp_path):
    touch(tmp_path / "Set14" / "HR", "a.png")
    with pytest.raises(DataError, match=r"\(Set14\), got 'sett14'; did you mean 'Set14'\?"):
        find_sets(tmp_path, scale=2, names=["sett14"])
    with pytest.raises(DataError, match="got 'urban100'"):
        find_sets(tmp_path, scale=2, names=["urban100"])
    with pytest.raises(DataError, match="which is not there"):
        find_sets(tmp_path / "missing", scale=2, names=None)


def test_folders_without_images_are_no_sets(tmp_path):
    touch(tmp_path / "Set5" / "HR", "readme.txt")
    touch(tmp_path, "stray.png")
    assert find_sets(tmp_path, scale=2, names=None) == []


@pytest.mark.parametrize("lr", [("other.png",), ("babyx4.png", "baby_x4.png")])
def test_lr_that_does_not_match_is_refused(tmp_path, lr):
    touch(tmp_path / "Set5" / "HR", "baby.png")
    touch(tmp_path / "Set5" / "LR_bicubic" / "x4", *lr)
    with pytest.raises(DataError, match="expected one image for 'baby'"):
        find_sets(tmp_path, scale=4, names=None)


@pytest.fixture
def two(tmp_path):
    return EvaluationSet("Set5", (tmp_path / "img_1.png", tmp_path / "img_10.png"), None)


@pytest.mark.parametrize("pattern", ["{}.png", "{}x4.png", "{}_x4_SR.png", "{}-mine.jpg", "{}.SRCNN.png"])
@pytest.mark.parametrize("folder", ["sr", "sr/Set5"])
def test_anybodys_images_are_matched_by_name(tmp_path, two, pattern, folder):
    touch(tmp_path / folder, *(pattern.format(name) for name in ("img_1", "img_10", "img_11")))
    assert names(match_images(tmp_path / "sr", two)) == [pattern.format("img_1"), pattern.format("img_10")]


def test_an_exact_name_is_preferred(tmp_path, two):
    touch(tmp_path / "sr", "img_1.png", "img_1_old.png", "img_10.png")
    assert names(match_images(tmp_path / "sr", two)) == ["img_1.png", "img_10.png"]


def test_missing_and_ambiguous_images_are_refused(tmp_path, two):
    with pytest.raises(DataError, match=r"images: expected a folder, got .*sr, which is not there"):
        match_images(tmp_path / "sr", two)
    touch(tmp_path / "sr", "img_1.png")
    with pytest.raises(DataError, match=r"expected one image for 'img_10' .* got none"):
        match_images(tmp_path / "sr", two)
    touch(tmp_path / "sr", "img_10_a.png", "img_10_b.png")
    with pytest.raises(DataError, match=r"got img_10_a\.png, img_10_b\.png"):
        match_images(tmp_path / "sr", two)


def test_shared_sets(shared):
    found = find_sets(shared / "data" / "benchmarks", scale=3, names=None)
    assert [(each.name, len(each.hr), len(each.lr)) for each in found] == [
        ("Set5", 5, 5), ("Set14", 14, 14), ("BSD100", 100, 100),
    ]  # fmt: skip
