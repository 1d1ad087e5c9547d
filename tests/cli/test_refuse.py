"""What does not fit together: scale, patch, batch, module, data."""

import sys

import numpy as np
import pytest

from sr_lightning.metric_names import COLOUR_PROTOCOLS
from sr_lightning.metrics.protocol import PROTOCOLS

FOLDER = "data=folder"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("scale=5",), "model=edsr_baseline supports scale 2, 3, 4, 8, got scale=5."),
        (("model=bicubic",), "model=bicubic has no parameters"),
        (("model.pretrained=no.pth",), "model.pretrained: expected a file, got no.pth, which is not there."),
        (("model.pretrained=.",), "model.pretrained: expected a file, got ., which is a folder."),
        (("model.pretrained_strict=maybe",), "model.pretrained_strict: expected true or false, got 'maybe'"),
        (("model.pretraned=x",), "did you mean 'model.pretrained'?"),
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
        (
            ("model=srgan", "module.discriminator.patch=128"),
            "module.discriminator.patch: this discriminator judges whole patches, which have 96 HR pixels, got 128;",
        ),
        (("model=srgan", "module.discriminator.width=0"), "module.discriminator.width: expected 1 or more, got 0"),
        (
            ("model=drct", "model.window_size=0"),
            "model=drct: these arguments make windows of 0 pixels, expected",
        ),
        (("model=drct", "model.depths=[6,-1]"), "model.depths: expected 0 or more, got [6, -1]"),
        (("scale=4", "model.scale=2"), "model.scale follows scale, got 2 at scale=4; say scale=2."),
        (("scheduler=multistep", "scheduler.gamma=-1"), "scheduler.gamma: expected a positive number, got -1"),
        (("scheduler=cosine", "scheduler.length=0"), "scheduler.length: expected a positive number, got 0"),
        (("scheduler=cosine", "scheduler.floor=-1"), "scheduler.floor: expected zero or more, got -1"),
        (("model=srgan", "data.lr_patch=4"), "data.lr_patch: the discriminator at x4 takes a side from 5 on, got 4"),
        (
            ("data.hr_patch=96", "data.lr_patch=24"),
            "expected exactly one of data.hr_patch and data.lr_patch, got 96 and 24",
        ),
        (("data.lr_patch=null",), "expected exactly one of data.hr_patch and data.lr_patch, got None and None"),
        (("module.accumulate=3",), "data.batch_size is what one optimiser step sees"),
        (("trainer.devices=3",), "expected a multiple of 3, got 16"),
        (("trainer.devices='0,1,2'",), "expected a multiple of 3, got 16"),
        (("trainer.devices=two",), "trainer.devices: expected a positive number"),
        (("trainer.devices=0",), "trainer.devices: expected a positive number"),
        (("model=srgan", "trainer.gradient_clip_val=1"), "use module.gradient_clip instead"),
        (("trainer.gradient_clip_val=1", "module.gradient_clip=1"), "give one of them"),
        (("model=srgan", "trainer.precision=16-mixed"), "use bf16-mixed or 32-true"),
        (("model=srgan", "module.pretrain_steps=9", "trainer.max_steps=9"), "leaves no adversarial step"),
        (("protocol=y_chain",), "use protocol=rgb_to_y"),
        (("data.train_dir=x",), "unknown key 'data.train_dir'"),
        (("data.train_dir=x",), "data=folder has it"),
        (("data=set5",), "data=set5 is an evaluation set, nothing to train on"),
        (("data=div2k", "data.root=nowhere"), "data=div2k: 800 training images are expected under nowhere/DIV2K"),
        (("data=div2k", "data.root=nowhere"), "`python prepare.py data=div2k data.root=nowhere`"),
        (("data=mix", "data.sets={t91: 1, bsds300: null}"), "data.sets: expected weights for all sets or for none"),
        (("data.val=set6",), "got 'set6'; did you mean 'set5'?"),
        (("data.store=dsk",), "data.store: expected one of disk, ram, off, got 'dsk'; did you mean 'disk'?"),
        (("data.crop=center",), "data.crop: expected one of random, centre, whole, resize, got 'center'"),
        (("data.max_skipped=2",), "data.max_skipped: expected a share between 0 and 1, got 2"),
        (("data.scales=[2,4]",), "sweep over them instead: -m scale=2,4"),
        (("model=mdsr", "data.scales=[2,3]"), "data.scales: expected scale=4, which validation scores, among them"),
        (("model=span", "model.channels=1"), "model=span takes images of 3 channels, got model.channels=1."),
        (
            ("model=drct", "data.lr_patch=40"),
            "data.lr_patch: model=drct takes a multiple of 16 from 16 on, got 40; data.lr_patch=32 fits.",
        ),
        (("model=drct", "model.window_size=8", "data.lr_patch=20"), "takes a multiple of 8 from 8 on, got 20"),
        (
            ("model=dat", "data.batch_size=2", "module.accumulate=2"),
            "model=dat trains on 2 images at once or more, got 1 on each device; data.batch_size=4 fits.",
        ),
        (("model=hat", "model.window_sise=8"), "did you mean 'model.window_size'?"),
        (("model=carn_m", "scale=8"), "model=carn_m supports scale 2, 3, 4, got scale=8."),
        (("model=lapsrn", "scale=3"), "model=lapsrn supports scale 2, 4, 8, got scale=3."),
        (
            ("module=pyramid",),
            "module=pyramid trains networks that give an image at each level, which model=edsr_baseline does not; use "
            "module=pixel.",
        ),
        (("data.store=off", "data.device_cache=true"), "choose one"),
        (("degradation=blur_down", "data.lr_dir=x"), "leave one of the two out"),
        (("degradation=blur_down", "protocol=y_chain", "model=srcnn"), "no other degradation can"),
        (("metrics=[dist]",), "expected auto or some of psnr, ssim, ms_ssim, lpips, dists, niqe, lsd, got 'dist'"),
        (("degradations=[clasical]",), "got 'clasical'; did you mean 'classical'?"),
        (("degradations=[classical]", "protocol=y_chain", "model=srcnn"), "protocol=y_chain makes it of Y"),
        (("preflight=onyl",), "preflight: expected one of check, only, got 'onyl'"),
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


def test_without_an_extra_it_says_what_to_install(refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert refusal("model=hat") == (
        "model=hat: spandrel.architectures.HAT.HAT needs the package spandrel, which is not there; say "
        "`pip install '.[spandrel]'`."
    )


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


def test_patches_are_held_against_the_images(refusal, command, photos, tmp_path):
    photos("sets/T91", *(f"t{number}.png" for number in range(20)), side=100)
    photos("sets/T91", *(f"t{number}.png" for number in range(20, 40)), side=200)
    root = ("data=t91", f"data.root={tmp_path / 'sets'}")
    begins = "data.lr_patch=48: "
    told = "data.lr_patch=25 keeps 30 of 30."
    error = refusal(*root, "scale=4")
    assert error.startswith(begins)
    assert "images of t91 are smaller than 192x192 pixels" in error
    assert error.endswith(told)
    # What is recommended is accepted, and so are crops that need no patch of the image.
    assert not command("train", *root, "scale=4", "data.lr_patch=25").error
    assert not command("train", *root, "scale=4", "data.crop=resize").error
    assert not command("train", *root, "scale=4", "data.max_skipped=1").error
    # All scales share the LR patch; the largest has the largest HR.
    assert not command("train", *root, "scale=2", "data.lr_patch=40").error
    assert refusal(*root, "data.hr_patch=144").endswith("data.hr_patch=100 keeps 30 of 30.")
    # The discriminator has its own smallest patch.
    photos("tiny/T91", *(f"t{number}.png" for number in range(20)), side=16)
    tiny = refusal("model=srgan", "data=t91", f"data.root={tmp_path / 'tiny'}", "scale=4", "data.hr_patch=20")
    assert "no patch that the networks take is small enough" in tiny


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
    assert "eval: Set5 would be reported though its images choose best.ckpt (data.val_dir)" in refusal(
        *arguments, "eval=[set5,set14]"
    )
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


def test_training_and_lr_folders_belong_together(refusal, command, photos):
    hr = photos("hr")
    folders = FOLDER, f"data.train_dir={hr}", f"data.val_dir={hr}", "scale=2"
    photos("lr", "ax2.png", "bx2.png", side=100)
    lr = photos("lr").parent / "lr"
    for name in ("a.png", "b.png"):
        (lr / name).unlink()
    assert not command("train", *folders, f"data.lr_dir={lr}").error
    wrong = photos("wrong", side=101)
    assert "the LR image of" in refusal(*folders, f"data.lr_dir={wrong}")
    assert "has 100 x 100 pixels, but" in refusal(*folders, f"data.lr_dir={wrong}")
    (lr / "bx2.png").unlink()
    assert "data.lr_dir: expected one LR image for" in refusal(*folders, f"data.lr_dir={lr}")
    assert "data.val_lr_dir: expected a folder of LR images" in refusal(*folders, "data.val_lr_dir=nowhere")


@pytest.mark.parametrize("arguments", [("model=lapsrn",), ("model=mdsr",), ("model=carn_m", "data.scales=null")])
def test_networks_of_levels_and_of_several_scales_are_accepted(command, arguments):
    assert not command("train", *arguments).error


def test_several_scales_need_a_network_for_them(refusal, command, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "several.yaml").write_text(
        "# A network for several scales.\n_target_: x.Y\nscale: ${scale}\nchannels: 3\n"
        "spec: {scales: [2, 3, 4], min_size: 1, multiple: 1, multi_scale: true}\n"
    )
    several = f"--config-dir={tmp_path}", "model=several", "data.scales=[2,3]", "data.lr_patch=16"
    assert not command("train", *several, "scale=2").error
    assert "expected scale=4, which validation scores, among them" in refusal(*several, "scale=4")
    assert "expected data.lr_patch" in refusal(*several[:3], "data.hr_patch=48", "scale=2")


def test_a_discriminator_of_ones_own_may_have_patches_of_its_own(command, tmp_path):
    folder = tmp_path / "conf" / "module" / "discriminator"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("_target_: mine.PatchGAN\npatch: 70\n")
    answer = command("train", f"--config-dir={tmp_path}/conf", "model=srgan", "module/discriminator=mine")
    assert answer.tree["module"]["discriminator"]["patch"] == 70


def test_images_of_other_bands(refusal, command, tmp_path):
    for part in ("train", "val", "test"):
        (tmp_path / part).mkdir()
        np.save(tmp_path / part / "a.npy", np.zeros((200, 200, 5), np.uint8))
    folders = FOLDER, f"data.train_dir={tmp_path / 'train'}", f"data.val_dir={tmp_path / 'val'}"
    bands = "model=srresnet", "model.channels=5"
    for protocol in COLOUR_PROTOCOLS:
        assert not command(
            "train", *folders, *bands, f"protocol={protocol}", f"data.test_dir={tmp_path / 'test'}"
        ).error
    for protocol in ("rgb_to_y", "y_chain", "y_float"):
        expected = f"protocol={protocol} scores luma, which images of model.channels=5 have not; use protocol=rgb."
        assert refusal(*folders, *bands, f"protocol={protocol}") == expected
    rest = *folders, *bands, "protocol=rgb"
    assert "loss.perceptual compares features of RGB images or Y, got model.channels=5" in refusal(
        *rest, "loss=[l1,perceptual]"
    )
    srgan = *folders, "model=srgan", "model.channels=5", "protocol=rgb"
    assert "loss.perceptual compares" in refusal(*srgan)
    assert command("train", *srgan, "loss=l1").tree["module"]["discriminator"]["channels"] == 5
    assert "eval: evaluation sets are RGB, got model.channels=5" in refusal(*rest, "eval=[set5]")
    # Whatever lies under data.root is not looked at.
    assert not command("train", *rest, f"data.root={tmp_path}").error
    assert "data.val=set5: its images are RGB" in refusal(*folders[:2], *rest[3:], "data.val=set5")
    assert "data=sample: its images are RGB" in refusal(*rest[3:])
    assert "data=div2k: its images are RGB" in refusal(*rest[3:], "data=div2k", "data.download=true")
    assert "model.channels: expected 3 for RGB" in refusal(*folders, "model.channels=0", "protocol=rgb")
    # Three channels do not come as arrays.
    assert "holds no image file" in refusal(*folders)


def test_protocols_of_colour():
    assert tuple(name for name, protocol in PROTOCOLS.items() if protocol.color == "rgb") == COLOUR_PROTOCOLS


def test_without_a_validation_set_one_is_asked_for(refusal, command, photos):
    train = f"data.train_dir={photos('train')}"
    assert "data.val: expected images that choose the best weights" in refusal(FOLDER, train)
    assert not command("train", FOLDER, train, "data.holdout=1").error
    assert "expected fewer than the 2 images" in refusal(FOLDER, train, "data.holdout=2")


def test_what_is_fetched_by_the_run_may_be_missing_before(command):
    assert not command("train", "data=t91", "data.root=nowhere", "data.download=true").error
