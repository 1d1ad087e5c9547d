"""Finding sets in the layouts that people have them in."""

import pytest
from PIL import Image

from sr_lightning.data.benchmarks import EvaluationSet, find_sets, match_images, reportable
from sr_lightning.data.catalogue import Entry, Split, catalogue
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
    with pytest.raises(DataError, match=r"got 'set5'; python prepare\.py data=set5 data\.root=.* gets it"):
        find_sets(tmp_path, scale=2, names=["set5"])
    with pytest.raises(DataError, match=r"got 'urban10'; did you mean 'Urban100'\?"):
        find_sets(tmp_path, scale=2, names=["urban10"])
    with pytest.raises(DataError, match="which is not there"):
        find_sets(tmp_path / "missing", scale=2, names=None)


def test_every_evaluation_set_of_the_catalogue_has_a_name_of_its_own():
    entries = [entry for entry in catalogue().values() if entry.kind == "evaluation"]
    names = [name.lower() for entry in entries for name in {entry.title.lower(), entry.name, *entry.aliases}]
    assert len(names) == len(set(names))
    assert {"Set5", "Set14", "BSD100", "Urban100", "Manga109", "DIV2K_val", "DIV2K_801_810"} <= {
        entry.title for entry in entries
    }


@pytest.fixture
def div2k(tmp_path):
    """DIV2K as its archives leave it: training images, and validation images that two sets are made of."""
    touch(tmp_path / "DIV2K" / "DIV2K_train_HR", "0001.png")
    numbers = [f"{number:04d}" for number in range(801, 901)]
    touch(tmp_path / "DIV2K" / "DIV2K_valid_HR", *(f"{number}.png" for number in numbers))
    touch(tmp_path / "DIV2K" / "DIV2K_valid_LR_bicubic" / "X2", *(f"{number}x2.png" for number in numbers))
    return tmp_path


def test_div2k_is_found_where_its_archives_leave_it(div2k):
    touch(div2k / "Set5" / "HR", "baby.png")
    five, whole = find_sets(div2k, scale=2, names=None)  # and not a part of the second beside it
    assert (five.name, five.protocol) == ("Set5", None)
    assert (whole.name, len(whole.hr), whole.whole) == ("DIV2K_val", 100, 100)
    assert whole.protocol == {"color": "rgb", "border": "scale+6"}
    assert names(whole.lr)[0] == "0801x2.png"
    [part] = find_sets(div2k, scale=3, names="div2k_801_810")
    assert (part.name, part.hr, part.lr) == ("DIV2K_801_810", whole.hr[:10], None)


def test_a_part_is_taken_where_the_whole_is_not(div2k):
    for number in range(811, 901):
        (div2k / "DIV2K" / "DIV2K_valid_HR" / f"{number:04d}.png").unlink()
    [part] = find_sets(div2k, scale=3, names=None)
    assert (part.name, len(part.hr), part.whole) == ("DIV2K_801_810", 10, 10)
    [whole] = find_sets(div2k, scale=3, names="div2k_valid")
    assert (whole.name, whole.hr, whole.whole) == ("DIV2K_val", part.hr, 100)
    for number in range(804, 811):
        (div2k / "DIV2K" / "DIV2K_valid_HR" / f"{number:04d}.png").unlink()
    [part] = find_sets(div2k, scale=3, names=None)
    assert (part.name, len(part.hr), part.whole) == ("DIV2K_801_810", 3, 10)


def test_sets_of_a_catalogue_of_ones_own(tmp_path):
    mine = Entry(
        name="mine", kind="evaluation", title="Mine", aliases=("my_photos",),
        splits={"test": Split(hr=("photos/of/mine",), lr=("photos/small/{scale}",), images=2)},
    )  # fmt: skip
    touch(tmp_path / "photos" / "of" / "mine", "a.png", "b.png")
    touch(tmp_path / "photos" / "small" / "2", "a.png", "b.png")
    [found] = find_sets(tmp_path, scale=2, names=None, entries={"mine": mine})
    assert (found.name, names(found.hr), found.whole) == ("Mine", ["a.png", "b.png"], 2)
    assert [path.parent.name for path in found.lr] == ["2", "2"]
    assert find_sets(tmp_path, scale=3, names="mine", entries={"mine": mine})[0].lr is None
    # A folder of the set's name goes before those of its yaml.
    touch(tmp_path / "my_photos" / "HR", "c.png")
    assert names(find_sets(tmp_path, scale=2, names="MINE", entries={"mine": mine})[0].hr) == ["c.png"]


@pytest.fixture
def sets(tmp_path):
    """Two sets, one with LR files and a name that both have."""
    touch(tmp_path / "Set5" / "HR", "baby.png", "bird.png", "woman.png")
    touch(tmp_path / "Set5" / "LR_bicubic" / "x2", "babyx2.png", "birdx2.png", "womanx2.png")
    touch(tmp_path / "B100" / "HR", "101085.png", "woman.png")
    return tmp_path


@pytest.mark.parametrize(
    ("exclude", "left", "excluded"),
    [
        (["Set5/bird"], {"Set5": ["baby", "woman"], "BSD100": ["101085", "woman"]}, {"Set5": ("bird",), "BSD100": ()}),
        ("set5/woman.png", {"Set5": ["baby", "bird"], "BSD100": ["101085", "woman"]}, {"Set5": ("woman",)}),
        (["woman"], {"Set5": ["baby", "bird"], "BSD100": ["101085"]}, {"Set5": ("woman",), "BSD100": ("woman",)}),
        (["b100/101085"], {"BSD100": ["woman"]}, {"Set5": (), "BSD100": ("101085",)}),
        ([101085, "woman", "baby"], {"Set5": ["bird"]}, {"Set5": ("baby", "woman")}),
        ([], {"Set5": ["baby", "bird", "woman"]}, {"Set5": (), "BSD100": ()}),
    ],
)
def test_images_are_left_out_by_name(sets, exclude, left, excluded):
    if exclude == [101085, "woman", "baby"]:  # nothing else would be left of the other
        touch(sets / "B100" / "HR", "another.png")
    found = {each.name: each for each in find_sets(sets, scale=2, names=None, exclude=exclude)}
    for name, stems in left.items():
        assert [path.stem for path in found[name].hr] == stems
    for name, stems in excluded.items():
        assert found[name].excluded == stems
    assert [path.stem for path in found["Set5"].lr] == [f"{path.stem}x2" for path in found["Set5"].hr]


def test_the_number_of_an_image_does_not_depend_on_what_is_left_out(sets):
    whole, part = (find_sets(sets, scale=2, names="set5", exclude=exclude)[0] for exclude in ([], ["bird"]))
    assert [whole.number(index) for index in range(3)] == [0, 1, 2]
    assert [part.number(index) for index in range(2)] == [0, 2]


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        ("Set5/womn", r"expected an image of Set5, got 'Set5/womn'; did you mean 'Set5/woman'\?"),
        ("womn", r"expected an image of Set5, BSD100, got 'womn'; did you mean 'woman'\?"),
        ("Set55/woman", r"no set is called 'Set55' \(in 'Set55/woman'\); did you mean 'Set5'\?"),
        (["baby", "Set5/bird", "Set5/woman"], "leaves no image of Set5"),
    ],
)
def test_unknown_images_to_leave_out_are_refused(sets, exclude, expected):
    with pytest.raises(DataError, match=f"eval_exclude:? ?{expected}"):
        find_sets(sets, scale=2, names=None, exclude=exclude)


def test_images_of_a_set_that_is_not_scored_may_be_named(sets):
    for exclude in ("B100/101085", "Urban100/img_001"):  # one that is there, one that is not
        [found] = find_sets(sets, scale=2, names="set5", exclude=exclude)
        assert (len(found.hr), found.excluded) == (3, ())


def save(folder, name, size):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(folder / name)
    return folder / name


def test_sets_that_chose_the_weights_are_not_reportable(tmp_path):
    files = [save(tmp_path / "Set5" / "HR", f"{name}.png", (40, 30)) for name in ("baby", "bird")]
    found = find_sets(tmp_path, scale=2, names=None)
    other = save(tmp_path / "validation", "else.png", (40, 30))
    assert reportable(found, chosen_on=[other]) == found
    assert reportable(found, chosen_on=[]) == found
    # One of its two files, itself or under another path.
    assert reportable(found, chosen_on=[other, files[1]]) == []
    (tmp_path / "link").symlink_to(tmp_path / "Set5")
    assert reportable(found, chosen_on=[tmp_path / "link" / "HR" / "bird.png"]) == []
    # A tenth, as the ten images of DIV2K's hundred that EDSR chooses by; no more.
    ten = EvaluationSet("ten", tuple(tmp_path / f"{number}.png" for number in range(10)), None)
    assert reportable([ten], chosen_on=ten.hr[:1]) == [ten]
    assert reportable([ten], chosen_on=ten.hr[:2]) == []
    # With the image left out that chose them, what is left may be reported.
    [left] = find_sets(tmp_path, scale=2, names=None, exclude="bird")
    assert reportable([left], chosen_on=[files[1]]) == [left]
    # More than half by name and size, in another format.
    copies = [save(tmp_path / "copies", f"{name}.bmp", (40, 30)) for name in ("baby", "bird")]
    assert reportable(found, chosen_on=copies) == []
    assert reportable(found, chosen_on=copies[:1]) == found
    save(tmp_path / "copies", "baby.bmp", (41, 30))
    assert reportable(found, chosen_on=copies) == found


def test_folders_without_images_are_no_sets(tmp_path):
    touch(tmp_path / "Set5" / "HR", "readme.txt")
    touch(tmp_path / "Set14" / "LR_bicubic" / "x2", "babyx2.png")
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
