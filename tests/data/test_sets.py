"""Which files train and which validate."""

from pathlib import Path

import pytest
import yaml

from sr_lightning.data.catalogue import Split, catalogue, image_name
from sr_lightning.data.sample import sample_images
from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import (
    MissingImages,
    expected_places,
    image_channels,
    locate,
    prepare_command,
    size_text,
    wanted_archives,
    wanted_sets,
)
from sr_lightning.yamls import conf_dir

ENTRIES = catalogue()


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def data_of(name: str, root: Path, **changes):
    """The `data` node as it is composed."""
    default = yaml.safe_load((conf_dir() / "loading" / "default.yaml").read_text())
    own = yaml.safe_load((conf_dir() / "data" / f"{name}.yaml").read_text())
    return {**default, **own, "root": str(root), **changes}


def find(name: str, root: Path, **changes):
    return locate(data_of(name, root, **changes), name=name, scale=4, entries=ENTRIES)


@pytest.fixture
def root(tmp_path):
    """A root with a few images of several sets."""
    touch(tmp_path / "DIV2K/DIV2K_train_HR", *(f"{number:04}.png" for number in range(1, 6)))
    touch(tmp_path / "DIV2K/DIV2K_valid_HR", "0801.png", "0802.png", "0811.png")
    touch(tmp_path / "Flickr2K/Flickr2K_HR", "000001.png", "000002.png")
    touch(tmp_path / "T91", *(f"t{number}.png" for number in range(1, 31)))
    touch(tmp_path / "BSDS300/images/train", *(f"{number}.jpg" for number in range(100, 120)))
    touch(tmp_path / "BSDS300/images/test", "3096.jpg")
    touch(tmp_path / "benchmark/Set5/HR", "baby.png", "bird.png")
    return tmp_path


def names(paths):
    return [path.name for path in paths]


def test_a_set_with_validation_images_of_its_own(root):
    images = find("div2k", root)
    assert [(part.name, len(part.files), part.weight) for part in images.train] == [("div2k", 5, None)]
    assert names(images.val) == ["0801.png", "0802.png"]
    assert (images.val_name, images.test) == ("DIV2K_801_810", [])
    assert names(find("div2k", root, val="div2k_val").val) == ["0801.png", "0802.png", "0811.png"]
    assert names(find("div2k", root, val="set5").val) == ["baby.png", "bird.png"]
    assert names(find("div2k", root, val="bsds300").val) == ["3096.jpg"]


def test_held_out_images_stay_the_same(root):
    images = find("t91", root)
    train, val = set(names(images.train[0].files)), set(names(images.val))
    assert (len(train), len(val), train & val) == (20, 10, set())
    assert images.val_name == "10 images held out of t91"
    assert names(images.train[0].files) == [name for name in names(find("t91", root).train[0].files) if name in train]
    # Another image moves at most one of them.
    touch(root / "T91", "another.png")
    assert len(set(names(find("t91", root).val)) & val) >= 9
    assert len(find("t91", root, holdout=3).val) == 3


def test_pieces_of_an_image_are_held_out_together(root):
    pieces = [f"{number:04}_s{piece:03}.png" for number in range(1, 9) for piece in range(1, 4)]
    touch(root / "own/DIV2K_train_HR_sub", *pieces)
    images = find("div2k", root / "own", val=None, holdout=2)
    assert len(images.val) == 6
    assert not {image_name(path) for path in images.val} & {image_name(path) for path in images.train[0].files}


def test_more_held_out_than_there_are(root):
    with pytest.raises(DataError, match=r"data\.holdout: expected fewer than the 30 images there are, got 30"):
        find("t91", root, holdout=30)


def test_nothing_to_validate_on(root):
    with pytest.raises(DataError, match=r"data\.val: expected images that choose the best weights.*data\.holdout=10"):
        find("div2k", root, val=None)


def test_mixtures(root):
    images = find("df2k", root)
    assert [(part.name, len(part.files), part.weight) for part in images.train] == [
        ("div2k", 5, None), ("flickr2k", 2, None),
    ]  # fmt: skip
    images = find("mix", root, sets={"t91": 3, "bsds300": 1.0})
    assert [(part.name, part.weight) for part in images.train] == [("t91", 3), ("bsds300", 1.0)]
    assert sum(len(part.files) for part in images.train) == 40
    assert len(images.val) == 10


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"t91": 1, "bsds300": None}, "expected weights for all sets or for none"),
        ({"t91": 0}, "expected positive weights, got 0"),
        ({"t91": None, "set5": None}, "expected sets to train on .* got 'set5'"),
        ({"t91": None, "df2k": None}, "got 'df2k'"),
        ({"t91": 1, "bsds300": None}, "got t91: 1, bsds300: null"),
        ({}, r"data\.sets: expected at least one set, of bsds300, div2k, .* say 'data\.sets=\{bsds300: null"),
        # Sets that can stand there alone are named.
        ({"t19": None}, "expected one of bsds300, div2k, flickr2k, general100, t91, voc2012, got 't19'"),
        ({"t19": None}, r"data\.sets: expected one of .* got 't19'; did you mean 't91'"),
    ],
)
def test_bad_mixtures(root, sets, message):
    with pytest.raises(DataError, match=message):
        find("mix", root, sets=sets)


def test_only_sets_to_validate_on_are_named(root):
    message = "expected one of bsd100, bsds300, div2k_801_810, div2k_val, manga109, set14, set5, urban100, got 'set6'"
    with pytest.raises(DataError, match=rf"data\.val: {message}; did you mean 'set5'"):
        find("t91", root, val="set6")


def test_how_much_of_each_set_is_there(root):
    def counted(name, **changes):
        counts = find(name, root, **changes).counts
        return [(each.name, each.found, each.expected, each.is_incomplete) for each in counts]

    # Before images are held out or left out.
    assert counted("bsds300", exclude=["101"]) == [("bsds300", 20, 200, True)]
    assert counted("t91", val="bsds300") == [("t91", 30, 91, True), ("bsds300/test", 1, 100, True)]
    touch(root / "benchmark/Set5/HR", "butterfly.png", "head.png", "woman.png")
    assert counted("div2k", val="set5") == [("div2k", 5, 800, True), ("set5", 5, 5, False)]
    # Nobody knows how many images of one's own there should be.
    own = {"train_dir": str(root / "T91"), "val": "set5", "val_dir": None, "test_dir": None}
    assert counted("folder", **own) == [("set5", 5, 5, False), ("folder", 30, None, False)]
    assert counted("sample") == [("sample", len(sample_images()["train"]), None, False)]
    pieces = [f"{number:04}_s{piece:03}.png" for number in range(1, 801) for piece in (1, 2)]
    touch(root / "sub/DIV2K/DIV2K_train_HR_sub", *pieces)
    assert find("div2k", root / "sub", val=None, holdout=10).counts[0].found == 800


def test_images_are_left_out_by_name(root):
    images = find("bsds300", root, exclude=["101", "102.jpg"], holdout=0, val="set5")
    assert len(images.train[0].files) == 18
    assert not {"101.jpg", "102.jpg"} & set(names(images.train[0].files))
    with pytest.raises(DataError, match=r"data\.exclude: no training image is called '302003'"):
        find("bsds300", root, exclude=["302003"])


def test_evaluation_sets_are_not_trained_on(root):
    with pytest.raises(DataError, match=r"data=set5 is an evaluation set.*eval=\[set5\] or data\.val=set5"):
        find("set5", root)
    with pytest.raises(DataError, match=r"data\.val: expected a set with images to evaluate on .*, got 't91'"):
        find("div2k", root, val="t91")


def test_missing_images_name_place_and_command(tmp_path):
    with pytest.raises(MissingImages) as caught:
        find("div2k", tmp_path / "my data")
    message = str(caught.value)
    assert caught.value.sets == ["div2k", "div2k_801_810"]
    assert f"data=div2k: 800 training images are expected under {tmp_path}/my data/DIV2K/DIV2K_train_HR (or" in message
    assert "data.val=div2k_801_810: 10 validation images are expected under" in message
    assert f"`python prepare.py data=div2k scale=4 'data.root={tmp_path}/my data' data.val=div2k_801_810`" in message
    assert "fetches them (4.0 GB), or data.download=true" in message
    assert "found none; `python prepare.py n=3` fetches them (4.0 GB), or" in caught.value.message(
        "python prepare.py n=3"
    )


def test_missing_images_of_unknown_size(tmp_path):
    with pytest.raises(MissingImages, match=r"`python prepare.py data=t91 scale=4 data.root=\S+` fetches them, or"):
        find("t91", tmp_path)
    with pytest.raises(MissingImages, match=r"'data.sets=\{t91: 1, bsds300: 2\}'` fetches them \(more than 22.0 MB\)"):
        find("mix", tmp_path, sets={"t91": 1, "bsds300": 2})


def test_missing_images_that_nobody_offers(tmp_path):
    spec = {"kind": "training", "title": "Mine", "splits": {"train": {"hr": ["mine"]}}}
    with pytest.raises(
        MissingImages, match=r"data=t91: training images are expected under \S+/mine, found none; put them"
    ) as caught:
        find("t91", tmp_path, spec=spec)
    assert caught.value.message("python prepare.py data=t91").endswith("found none; put them there.")


def test_command_with_mirrors():
    data = data_of("t91", Path("data"), mirrors=["http://host/a", "/b"])
    command = prepare_command(data, name="t91", scale=3)
    assert command == "python prepare.py data=t91 scale=3 data.root=data 'data.mirrors=[http://host/a, /b]'"


def test_folders_of_ones_own(root, tmp_path):
    folders = {"train_dir": str(root / "T91"), "val_dir": str(root / "BSDS300/images/test")}
    images = find("folder", root, **folders, test_dir=None)
    assert (len(images.train[0].files), names(images.val), images.test) == (30, ["3096.jpg"], [])
    images = find("folder", root, **folders, test_dir=str(root / "benchmark"))
    assert (names(images.test), images.test_name) == (["baby.png", "bird.png"], "test")
    # Without a folder: a set of the catalogue, or held out.
    folders["val_dir"] = None
    assert names(find("folder", root, **folders, test_dir=None, val="set5").val) == ["baby.png", "bird.png"]
    assert len(find("folder", root, **folders, test_dir=None, holdout=4).val) == 4
    with pytest.raises(DataError, match=r"data\.val_dir=DIR, data\.val=set5"):
        find("folder", root, **folders, test_dir=None)


@pytest.mark.parametrize(
    ("given", "message"), [(None, "expected a folder of images, got nothing"), ("empty", "has none")]
)
def test_folders_without_images(root, given, message):
    (root / "empty").mkdir()
    folder = str(root / given) if given else None
    with pytest.raises(DataError, match=rf"data\.train_dir: .*{message}"):
        find("folder", root, train_dir=folder, val_dir=str(root / "T91"))


def test_images_of_other_bands_are_a_users_own(root):
    for name in ("a.npy", "b.tif"):
        touch(root / "bands", name)
    folders = {"train_dir": str(root / "bands"), "val_dir": str(root / "bands"), "test_dir": str(root / "bands")}

    def own(channels, name="folder", **changes):
        data = data_of(name, root, **changes)
        return locate(data, name=name, scale=4, entries=ENTRIES, channels=channels)

    images = own(5, **folders)
    assert names(images.train[0].files) == names(images.val) == names(images.test) == ["a.npy", "b.tif"]
    assert names(own(3, **folders).val) == ["b.tif"]
    for changes, key in (
        ({"name": "div2k"}, "data=div2k"),
        ({"name": "sample"}, "data=sample"),
        ({"name": "mix"}, r"data\.sets\.\w+"),
        ({**folders, "val_dir": None, "val": "set5"}, r"data\.val=set5"),
    ):
        with pytest.raises(
            DataError, match=rf"^{key}: its images are RGB, model.channels=5 takes .* 5 bands; say data="
        ):
            own(5, **changes)
    with pytest.raises(DataError, match=r"^eval=set5: its images are RGB"):
        wanted_sets(data_of("folder", root, **folders), name="folder", evaluated="set5", entries=ENTRIES, channels=5)
    with pytest.raises(DataError, match=r"^data=set5: its images are RGB"):
        wanted_sets(data_of("set5", root), name="set5", evaluated=None, entries=ENTRIES, channels=5)


@pytest.mark.parametrize(
    ("model", "channels"), [({}, 3), ({"channels": 1}, 3), ({"channels": 3}, 3), ({"channels": 2}, 2)]
)
def test_channels_of_training_images(model, channels):
    assert image_channels(model) == channels


def test_sample(tmp_path):
    images = find("sample", tmp_path)
    photographs = sample_images()
    assert (images.train[0].files, images.val, images.test) == tuple(
        photographs[part] for part in ("train", "val", "test")
    )
    assert (images.val_name, images.test_name) == ("sample", "sample")


def test_all_that_a_configuration_names(root):
    def wanted(name, evaluated, **changes):
        found = wanted_sets(data_of(name, root, **changes), name=name, evaluated=evaluated, entries=ENTRIES)
        return [(each.key, each.role, each.entry.name) for each in found]

    assert wanted("div2k", ["Set5", "b100"]) == [
        ("data=div2k", "training", "div2k"), ("data.val=div2k_801_810", "validation", "div2k_801_810"),
        ("eval=Set5", "evaluation", "set5"), ("eval=b100", "evaluation", "bsd100"),
    ]  # fmt: skip
    # Once each, and folders of a user's own are his.
    assert wanted("t91", "set5", val="set5") == [
        ("data=t91", "training", "t91"),
        ("data.val=set5", "validation", "set5"),
    ]
    assert wanted("set5", None) == [("data=set5", "evaluation", "set5")]
    assert wanted("sample", ["T91"]) == []
    with pytest.raises(DataError, match=r"eval: expected .* got 'sett5'; did you mean 'set5'"):
        wanted("t91", ["sett5"])


def test_likely_archives():
    entry = ENTRIES["t91"]
    assert [archive.file for archive in wanted_archives(entry, entry.splits["train"])] == ["train_data.zip"]
    entry = ENTRIES["general100"]
    assert [archive.file for archive in wanted_archives(entry, entry.splits["train"])] == ["General-100.zip"]


def test_places_for_people():
    assert expected_places(Split(hr=("a",)), Path("data")) == "data/a"
    assert expected_places(Split(hr=("a", "b", "c")), Path("data")) == "data/a (or b, ...)"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (22e6, "22.0 MB"), (250e6, "250 MB"), (3530603713, "3.5 GB"),
        (2e15, "2000 TB"),
    ],
)  # fmt: skip
def test_sizes_for_people(size, text):
    assert size_text(size) == text


def test_shared_sets(shared):
    images = find("bsds300", shared / "data" / "train")
    assert (len(images.train[0].files), len(images.val)) == (190, 10)
    images = find("mix", shared / "data", val="set5")
    assert [len(part.files) for part in images.train] == [200, 91]
    assert len(images.val) == 5
