"""Crop figures show the runs' own pixels, each above its numbers."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sr_lightning.comparison.crops import crops_of
from sr_lightning.comparison.figure import BOX, SIDE, crop_figures
from sr_lightning.comparison.ranking import compare
from sr_lightning.refusal import Refusal
from sr_lightning.report.samples import read_samples


@pytest.fixture
def texts(monkeypatch):
    """Every text that is drawn, and whether it is bold."""
    drawn = []
    real = ImageDraw.ImageDraw.text

    def text(self, xy, text, *arguments, **options):
        drawn.append((text, bool(options.get("stroke_width"))))
        return real(self, xy, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return drawn


@pytest.fixture
def figures(runs_of):
    """`figures({...}, {...}, images=1)`: figures of runs with these facts, and the runs."""

    def draw(*facts, images=1, runs=6):
        found = runs_of(*({"crops": True, **fact} for fact in facts))
        return crop_figures(compare(found), crops_of(found).crops, images=images, runs=runs), found

    return draw


def holds(picture, part):
    """Whether a picture shows another somewhere."""
    picture, part = np.asarray(picture), np.asarray(part)
    places = np.argwhere((picture[: 1 - part.shape[0], : 1 - part.shape[1]] == part[0, 0]).all(-1))
    return any(np.array_equal(picture[y : y + part.shape[0], x : x + part.shape[1]], part) for y, x in places)


def test_pixels_and_numbers(figures, texts):
    [figure], runs = figures({"model": "srcnn", "gain": 1}, {"model": "edsr", "gain": 3}, images=["Set5/baby"])
    assert figure.name == "Set5_baby_x4"
    assert figure.caption.startswith("baby of Set5 at x4. PSNR and SSIM are those of the crop. Protocol rgb_to_y")
    samples = [next(s for s in read_samples(run.folder) if s.image == "baby") for run in runs]
    shown = [samples[0].files[key] for key in ("hr", "bicubic", "sr")] + [samples[1].files["sr"]]
    for path in shown:
        with Image.open(path) as image:
            assert holds(figure.picture, image.resize((SIDE, SIDE), Image.Resampling.NEAREST))
    said = [text for text, _ in texts]
    assert said[0] == "Set5: baby (x4)"
    assert said[1:5] == ["HR", "PSNR (dB) / SSIM", "Bicubic", f"{samples[0].bicubic_psnr:.2f} / 0.8000"]
    # The worst first, the best bold.
    assert said[5:7] == ["srcnn l1", f"{samples[0].psnr:.2f} / {samples[0].ssim:.4f}"]
    assert texts[7:] == [("edsr l1", False), (f"{samples[1].psnr:.2f} / {samples[1].ssim:.4f}", True)]


def test_the_box_stands_where_the_crop_was_cut(figures):
    [figure], [run] = figures({}, images=["Set5/baby"])
    sample = next(sample for sample in read_samples(run.folder) if sample.image == "baby")
    pixels = np.asarray(figure.picture)
    ys, xs = np.nonzero((pixels == BOX).all(-1))
    left, top, width, height = sample.box
    ratio = (xs.max() - xs.min()) / width
    assert (ys.max() - ys.min()) == pytest.approx(ratio * height, abs=2)
    assert xs.min() == pytest.approx(ratio * left, abs=2)
    assert ys.min() == pytest.approx(ratio * top, abs=2)
    assert pixels.shape[0] == figure.picture.height


def test_the_images_on_which_methods_differ_most(figures):
    found, runs = figures({"model": "srcnn", "gain": 1}, {"model": "edsr", "gain": 3}, images=2)
    first, second = (read_samples(run.folder) for run in runs)
    spreads = {
        f"{a.set}_{a.image}_x4": max(a.psnr, b.psnr, a.bicubic_psnr) - min(a.psnr, b.psnr, a.bicubic_psnr)
        for a, b in zip(first, second, strict=True)
    }
    assert [figure.name for figure in found] == sorted(spreads, key=spreads.get, reverse=True)[:2]


def test_one_of_each_network_first_and_a_gan_among_few(figures, texts):
    figures(
        {"model": "edsr", "gain": 3}, {"model": "edsr", "gain": 2.9, "loss": "mse"}, {"model": "srcnn", "gain": 1},
        {"model": "srgan", "gan": True}, {"model": "srresnet", "status": "failed"}, images=["baby"], runs=3,
    )  # fmt: skip
    names = [text for text, _ in texts if text.split()[0] in ("edsr", "srcnn", "srgan", "srresnet")]
    assert names == ["srcnn l1", "edsr l1", "srgan l1"]


def test_one_image_at_two_scales_or_under_two_protocols_gives_two_files(figures):
    found, _ = figures({"scale": 2}, {"scale": 4}, {"scale": 4, "protocol": "y_chain"}, images=["Set5/baby"])
    captions = {figure.name: figure.caption.partition(".")[0] for figure in found}
    assert captions == {
        "Set5_baby_x2": "baby of Set5 at x2", "Set5_baby_x4": "baby of Set5 at x4",
        "Set5_baby_x4_2": "baby of Set5 at x4",
    }  # fmt: skip
    assert len(found) == 3


def test_an_unknown_image_is_refused(figures):
    with pytest.raises(Refusal, match=r"figure.images: expected images .* got Set5/babi; did you mean 'Set5/baby'\?"):
        figures({}, images=["Set5/babi"])


def test_validation_images_are_no_figure(figures):
    found, _ = figures({"benchmark": False})
    assert found == []
