"""What `preview` shows is what a training is given."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.data.pairs import match_lr
from sr_lightning.data.scan import list_images
from sr_lightning.engine import preview as engine
from sr_lightning.engine.images import build_datamodule
from sr_lightning.engine.preview import preview, training_pairs
from sr_lightning.functional.quantize import to_uint8
from sr_lightning.modules.pixel import PixelModule
from sr_lightning.refusal import Refusal
from sr_lightning.report.contact_sheet import Pair

AS_IT_IS = ("augment.flip=false", "augment.rotate=false")


@pytest.fixture
def configure(tiny_arguments, tmp_path):
    """The resolved configuration of a preview."""

    def make(*overrides):
        arguments = tiny_arguments("edsr_baseline", "command=preview", *overrides)
        return Composer("train").compose([*arguments, f"output={tmp_path / 'preview.png'}"]).tree

    return make


def first_pairs(config, count):
    datamodule = build_datamodule(config)
    datamodule.setup("fit")
    pairs = training_pairs(datamodule, device=torch.device("cpu"))
    return [next(pairs) for _ in range(count)]


@pytest.mark.parametrize("degradation", ["bicubic", "classical"])
def test_the_pairs_are_those_that_a_training_is_given(configure, run_tiny, tmp_path, monkeypatch, degradation):
    overrides = (f"degradation={degradation}", "augment.cutmix=0.5", "seed=5", "data.num_workers=1")
    given = []
    genuine = PixelModule.training_step

    def training_step(self, batch, batch_idx):
        given.append({key: to_uint8(batch[key]).permute(0, 2, 3, 1).numpy() for key in ("lr", "hr")})
        return genuine(self, batch, batch_idx)

    monkeypatch.setattr(PixelModule, "training_step", training_step)
    run_tiny("edsr_baseline", tmp_path / "run", *overrides)

    pairs = first_pairs(configure(*overrides), 8)
    assert len(given) == 4
    assert np.array_equal(np.stack([pair.lr for pair in pairs]), np.concatenate([batch["lr"] for batch in given]))
    assert np.array_equal(np.stack([pair.hr for pair in pairs]), np.concatenate([batch["hr"] for batch in given]))


def test_names_are_those_of_the_images_that_patches_are_cut_from(configure, tiny_images):
    for pair in first_pairs(configure(*AS_IT_IS), 6):
        image = np.asarray(Image.open(tiny_images / "train" / f"{pair.name}.png"))
        windows = np.lib.stride_tricks.sliding_window_view(image, pair.hr.shape)
        assert (windows == pair.hr).all(axis=(-3, -2, -1)).any()


def test_sheet_and_page_carry_what_was_drawn(configure, tmp_path):
    config = configure("degradation=classical", "n=5", "seed=9")
    page = preview(config)
    assert page == tmp_path / "preview.html"
    html = page.read_text()
    entries = re.findall(r'data-parameters="([^"]*)"', html)
    assert len(entries) == 5
    datamodule = build_datamodule(config)
    drawn = datamodule.degradations[2].parameters(samples=[0, 1, 2, 3, 4], seed=9)
    shown = [json.loads(entry.replace("&#34;", '"').replace("\\u0026#34;", '"')) for entry in entries]
    assert shown == drawn
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html))
    assert facts == {
        "data": "folder", "degradation": datamodule.degradations[2].name, "scale": "2", "seed": "9", "samples": "5",
    }  # fmt: skip
    assert Image.open(tmp_path / "preview.png").mode == "RGB"


def test_nothing_is_drawn_for_stored_lr(configure):
    assert [pair.parameters for pair in first_pairs(configure(), 3)] == [{}, {}, {}]


def test_each_scale_of_a_run_is_shown(configure, tmp_path):
    config = configure("data.hr_patch=null", "data.lr_patch=8", "data.scales=[2,4]", "n=12")
    pairs = first_pairs(config, 12)
    assert {pair.lr.shape for pair in pairs} == {(8, 8, 3)}
    assert {pair.hr.shape for pair in pairs} == {(16, 16, 3), (32, 32, 3)}
    assert "<dt>scale</dt><dd>2, 4</dd>" in preview(config).read_text()


def test_pairs_for_other_programs(configure, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SHOWN", 3)
    config = configure("degradation=noise_down", "n=5", f"pairs={tmp_path / 'pairs'}")
    html = preview(config).read_text()
    assert html.count('class="pair"') == 3
    assert "5, the first 3 shown" in html
    hr_files = list_images(tmp_path / "pairs" / "HR")
    lr_files = match_lr(hr_files, tmp_path / "pairs" / "LR", key="data.lr_dir", scale=2)
    for pair, hr, lr in zip(first_pairs(config, 5), hr_files, lr_files, strict=True):
        assert hr.name == lr.name
        assert np.array_equal(np.asarray(Image.open(hr)), pair.hr)
        assert np.array_equal(np.asarray(Image.open(lr)), pair.lr)


@pytest.mark.parametrize(("bands", "mode"), [(1, "L"), (4, None)])
def test_bands_of_pairs(configure, tmp_path, monkeypatch, bands, mode):
    pair = Pair("a/b c", np.full((4, 4, bands), 7, np.uint8), np.full((8, 8, bands), 9, np.uint8), {})
    monkeypatch.setattr(engine, "training_pairs", lambda *_, **__: iter([pair]))
    config = configure("n=1", f"pairs={tmp_path / 'pairs'}")
    if mode is None:
        with pytest.raises(Refusal, match="expected images of 1 or 3 bands, which a PNG holds, got 4"):
            preview(config)
        return
    preview(config)
    image = Image.open(tmp_path / "pairs" / "HR" / "000000_a_b_c.png")
    assert (image.mode, image.getpixel((0, 0))) == (mode, 9)


def test_missing_images_are_fetched_where_that_is_wanted(configure, monkeypatch):
    fetched = []
    monkeypatch.setattr(engine, "prepare_images", fetched.append)
    preview(configure("n=1"))
    assert fetched == []
    config = configure("n=1", "data.download=true")
    preview(config)
    assert fetched == [config]
