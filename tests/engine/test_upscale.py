"""Files and folders through a network."""

import numpy as np
import pytest
from PIL import Image, ImageCms

import sr_lightning
from sr_lightning.engine.upscale import run_with_progress, upscale_file
from sr_lightning.refusal import Refusal


@pytest.fixture
def save(tmp_path):
    def write(name, mode="RGB", size=(9, 7)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
        Image.fromarray(noise).convert(mode).save(path)
        return path

    return write


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".tif", ".webp"])
def test_file_to_file_in_any_format(save, tmp_path, rgb_checkpoint, suffix):
    source, target = save("a.jpg"), tmp_path / "new folder" / f"b{suffix}"
    run_with_progress(sr_lightning.load(rgb_checkpoint, device="cpu"), [(source, target)])
    with Image.open(target) as image:
        assert image.size == (18, 14)
        expected = np.array(sr_lightning.load(rgb_checkpoint, device="cpu")(Image.open(source)))
        lossy = 25 if suffix.lower() in (".jpg", ".jpeg", ".webp") else 0
        assert np.abs(np.array(image.convert("RGB")).astype(int) - expected).mean() <= lossy
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_one_bad_file_does_not_stop_the_others(save, tmp_path, luma_checkpoint, capsys):
    pairs = [(save(f"in/{name}.png"), tmp_path / "out" / f"{name}.png") for name in "abc"]
    pairs[1][0].write_text("hello")
    with pytest.raises(Refusal, match=r"in/b\.png cannot be upscaled") as refusal:
        run_with_progress(sr_lightning.load(luma_checkpoint, device="cpu"), pairs)
    assert "a.png" not in str(refusal.value)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert "2 image(s), x2" in capsys.readouterr().out


def test_truncated_file_is_refused(save, tmp_path, rgb_checkpoint):
    source = save("a.png", size=(60, 60))
    source.write_bytes(source.read_bytes()[:2000])
    with pytest.raises(Refusal, match=r"a\.png cannot be upscaled"):
        run_with_progress(sr_lightning.load(rgb_checkpoint, device="cpu"), [(source, tmp_path / "b.png")])
    assert not (tmp_path / "b.png").exists()


def test_sixteen_bit_is_refused(save, tmp_path, rgb_checkpoint):
    Image.new("I;16", (8, 8)).save(tmp_path / "deep.png")
    with pytest.raises(Refusal, match=r"deep\.png cannot be upscaled: .*not 8-bit"):
        run_with_progress(
            sr_lightning.load(rgb_checkpoint, device="cpu"), [(tmp_path / "deep.png", tmp_path / "b.png")]
        )


@pytest.mark.parametrize("there_already", [False, True])
def test_a_target_is_the_old_file_or_the_new(save, tmp_path, rgb_checkpoint, monkeypatch, there_already):
    source, target = save("a.png"), tmp_path / "b.png"
    if there_already:
        target.write_text("old")
    upscaler = sr_lightning.load(rgb_checkpoint, device="cpu")

    def half(self, path, **_):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(Refusal, match="cannot be written: disk full"):
        upscale_file(upscaler, source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == (["a.png", "b.png"] if there_already else ["a.png"])
    assert not there_already or target.read_text() == "old"


def test_alpha_in_jpeg_is_refused(save, tmp_path, rgb_checkpoint):
    with pytest.raises(Refusal, match=r"cannot be written: .*; a \.png holds alpha"):
        run_with_progress(
            sr_lightning.load(rgb_checkpoint, device="cpu"), [(save("a.png", "RGBA"), tmp_path / "b.jpg")]
        )
    assert not (tmp_path / "b.jpg").exists()


def test_unwritable_folder_is_refused(save, tmp_path, rgb_checkpoint):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="cannot be written"):
        run_with_progress(
            sr_lightning.load(rgb_checkpoint, device="cpu"), [(save("a.png"), tmp_path / "file" / "b.png")]
        )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_colour_profile_is_kept(tmp_path, rgb_checkpoint, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source, target = tmp_path / "a.png", tmp_path / f"b{suffix}"
    Image.new("RGB", (12, 12), (200, 30, 30)).save(source, icc_profile=profile)
    upscale_file(sr_lightning.load(rgb_checkpoint), source, target)
    with Image.open(target) as image:
        assert image.info["icc_profile"] == profile
    Image.new("CMYK", (12, 12)).save(tmp_path / "c.tif", icc_profile=profile)
    upscale_file(sr_lightning.load(rgb_checkpoint), tmp_path / "c.tif", tmp_path / f"d{suffix}")
    with Image.open(tmp_path / f"d{suffix}") as image:
        assert "icc_profile" not in image.info
