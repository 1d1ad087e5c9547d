"""What does not fit together: scale, patch, batch, module, data."""

import pytest
from PIL import Image

FOLDER = "data=folder"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("scale=5",), "model=edsr_baseline supports scale 2, 3, 4, 8, got scale=5."),
        (("model=bicubic",), "model=bicubic has no parameters"),
        (
            ("data.hr_patch=50",),
            "data.hr_patch: model=edsr_baseline at scale=4 takes a multiple of 4 from 4 on, got 50",
        ),
        (("data.hr_patch=50",), "data.hr_patch=48 fits"),
        (("model=srresnet", "data.lr_patch=1"), "data.lr_patch: model=srresnet takes a side from 2 on, got 1"),
        (
            ("model=srgan", "data.hr_patch=16"),
            "data.hr_patch: the discriminator takes a multiple of 4 from 17 on, got 16",
        ),
        (("model=srgan", "data.hr_patch=16"), "data.hr_patch=20 fits"),
        (("model=srgan", "data.lr_patch=4"), "data.lr_patch: the discriminator at x4 takes a side from 5 on, got 4"),
        (
            ("data.hr_patch=96", "data.lr_patch=24"),
            "expected exactly one of data.hr_patch and data.lr_patch, got 96 and 24",
        ),
        (("data.lr_patch=null",), "expected exactly one of data.hr_patch and data.lr_patch, got None and None"),
        (("module.accumulate=3",), "data.batch_size is what one optimiser step sees"),
        (("trainer.devices=3",), "expected a multiple of 3, got 16"),
        (("trainer.devices=0",), "trainer.devices: expected a positive number"),
        (("model=srgan", "trainer.gradient_clip_val=1"), "use module.gradient_clip instead"),
        (("trainer.gradient_clip_val=1", "module.gradient_clip=1"), "give one of them"),
        (("model=srgan", "trainer.precision=16-mixed"), "use bf16-mixed or 32-true"),
        (("model=srgan", "module.pretrain_steps=9", "trainer.max_steps=9"), "leaves no adversarial step"),
        (("protocol=y_chain",), "use protocol=rgb_to_y"),
        (("data.train_dir=x",), "data.train_dir has no meaning for data=sample"),
        ((FOLDER,), "data.train_dir: expected a folder of images, got nothing; say data.train_dir=PATH"),
        (("eval=[set5]",), "data.root: expected a folder with evaluation sets"),
    ],
)
def test_refused(refusal, arguments, expected):
    assert expected in refusal(*arguments)


def test_what_a_refusal_recommends_is_accepted(command):
    for fits in ("data.hr_patch=20", "data.lr_patch=5"):
        assert not command("train", "model=srgan", fits).error
    assert not command("train", "data.hr_patch=48").error


def test_luma_network_may_be_validated_on_luma(command):
    assert command("train", "model=srcnn", "protocol=y_chain").tree["protocol"] == "y_chain"


def test_data_folders(refusal, command, photos, tmp_path):
    good = photos("good")
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_text("no image")
    (tmp_path / "file.png").write_text("")

    def error(train, val=good):
        return refusal(FOLDER, f"data.train_dir={train}", f"data.val_dir={val}")

    assert "data.train_dir" in error(tmp_path / "missing")
    assert "which does not exist" in error(tmp_path / "missing")
    assert "holds no image file" in error(empty)
    assert "can be read" in error(broken)
    assert "data.train_dir" in error(tmp_path / "file.png")
    assert "at least 192x192 pixels" in error(photos("small", side=100))
    assert "data.val_dir" in error(good, tmp_path / "missing")
    assert "at least 19x19 pixels" in error(good, photos("tiny", side=18))
    assert not command("train", FOLDER, f"data.train_dir={good}", f"data.val_dir={photos('fair', side=19)}").error
    assert "data.test_dir" in refusal(
        FOLDER, f"data.train_dir={good}", f"data.val_dir={good}", f"data.test_dir={empty}"
    )


def test_evaluation_sets_are_looked_for_before_the_training(refusal, command, photos, tmp_path):
    photos("sets/Set5/HR")
    assert not command("train", f"data.root={tmp_path / 'sets'}").error
    error = refusal(f"data.root={tmp_path / 'sets'}", "eval=[sett5]")
    assert "(Set5), got 'sett5'; did you mean 'Set5'?" in error
    # LR files that are not those of the HR files would fail the run at its end.
    photos("sets/Set5/LR_bicubic/x4", "other.png")
    assert "expected one image for 'a'" in refusal(f"data.root={tmp_path / 'sets'}")


def test_a_set_that_chooses_the_best_weights_is_not_reported(refusal, command, photos, tmp_path):
    train, hr = photos("train"), photos("sets/Set5/HR")
    photos("sets/Set14/HR", "c.png")
    arguments = (FOLDER, f"data.train_dir={train}", f"data.val_dir={hr}", f"data.root={tmp_path / 'sets'}")
    assert "holds Set5, which eval would report though it chose best.ckpt" in refusal(*arguments, "eval=[set5,set14]")
    # Sets that nobody named are left out without a word.
    assert not command("train", *arguments).error
    assert not command("train", *arguments, "eval=[set14]").error
    assert not command("train", *arguments, "eval=[]").error
    again = f"data.test_dir={hr}"
    assert "data.test_dir: expected images that did not choose best.ckpt" in refusal(*arguments, again)


STRANGE = [
    "with blank",
    "comma,s",
    "brac[ket]s",
    "e=quals",
    "it's",
    'dou"ble',
    "a\\b",
    "end\\",
    "{a: b}",
    "$dollar",
    "#x",
]


@pytest.mark.parametrize("name", STRANGE)
def test_paths_of_any_characters(command, photos, name):
    folder = photos(name)
    tree = command("train", FOLDER, f"data.train_dir={folder}", f"data.val_dir={folder}").tree
    assert tree["data"]["train_dir"] == str(folder)


def test_quoted_paths_are_left_as_they_are(command, photos):
    folder = photos("with blank")
    tree = command("train", FOLDER, f"data.train_dir='{folder}'", f'data.val_dir="{folder}"').tree
    assert tree["data"]["train_dir"] == tree["data"]["val_dir"] == str(folder)


def test_home_is_found(command, photos, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    photos("photos")
    tree = command("train", FOLDER, "data.train_dir=~/photos", "data.val_dir=~/photos").tree
    assert tree["data"]["train_dir"] == "~/photos"


def test_sixteen_bit_images_alone_are_refused(refusal, photos, tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    Image.new("I;16", (300, 300)).save(folder / "a.png")
    error = refusal(FOLDER, f"data.train_dir={folder}", f"data.val_dir={photos('good')}")
    assert "not 8-bit" in error
