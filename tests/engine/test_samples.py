"""Which place of an image is shown, and that all runs show the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_lightning.data.benchmarks import EvaluationSet
from sr_lightning.engine.evaluate import Source, evaluate_set, network_source
from sr_lightning.engine.samples import Box, Samples, choose_box
from sr_lightning.functional.resize import imresize
from sr_lightning.metrics.protocol import PROTOCOLS, Pair
from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.report.samples import Sample, read_samples

CPU = torch.device("cpu")


def busy_at(box: Box, *, size: tuple[int, int], channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth image of (width, height) with noise in a box: (H, W, C)."""
    image = np.tile(np.linspace(40, 200, size[0]), (size[1], 1))[..., None].repeat(channels, 2)
    left, top, width, height = box
    noise = np.random.default_rng(seed).uniform(-40, 40, (height, width, 1))
    image[top : top + height, left : left + width] += noise
    return image.clip(0, 255).round().astype(np.uint8)


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_place_is_where_bicubic_loses_most_at_every_scale(scale: int) -> None:
    hr = tensor(busy_at((96, 48, 72, 72), size=(251, 199)))
    # As much of it as LR of this scale has pixels of.
    part = hr[..., : 199 // scale * scale, : 251 // scale * scale]
    assert choose_box(part, side=72, scale=scale) == (96, 48, 72, 72)


@pytest.mark.parametrize(
    ("size", "side", "scale", "expected"),
    [
        # A multiple of 24, and at least once.
        ((200, 200), 100, 4, (96, 96)),
        ((200, 200), 10, 4, (24, 24)),
        # Smaller images.
        ((100, 80), 144, 3, (96, 72)),
        ((100, 22), 144, 2, (96, 22)),
        ((19, 23), 144, 4, (16, 20)),
        # A scale that does not divide 24.
        ((300, 300), 144, 5, (120, 120)),
        ((300, 100), 144, 5, (120, 100)),
    ],
)
def test_size_of_the_crop(size: tuple[int, int], side: int, scale: int, expected: tuple[int, int]) -> None:
    left, top, width, height = choose_box(tensor(busy_at((0, 0, 8, 8), size=size)), side=side, scale=scale)
    assert (width, height) == expected
    assert left + width <= size[0]
    assert top + height <= size[1]
    assert left % scale == top % scale == width % scale == height % scale == 0


def test_grey_and_16_bits_have_the_place_of_the_same_picture() -> None:
    image = tensor(busy_at((48, 24, 48, 48), size=(120, 100)))
    deep = (image.to(torch.int32) * 257).to(torch.uint16)
    for hr in (image, image[:, :1], deep, deep[:, :1]):
        assert choose_box(hr, side=48, scale=2) == (48, 24, 48, 48)


@pytest.fixture
def found(tmp_path: Path) -> EvaluationSet:
    """Three pictures of odd sizes, the second grey."""
    files = []
    for index, channels in enumerate((3, 1, 3)):
        image = busy_at((24 * index, 24, 48, 48), size=(131, 97), channels=channels, seed=index)
        files.append(tmp_path / "images" / f"{'abc'[index]}.png")
        files[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(image.squeeze()).save(files[-1])
    return EvaluationSet("own", tuple(files), None)


def scored(
    found: EvaluationSet, folder: Path, *, scale: int, source: Source | None = None, protocol: str = "rgb_to_y",
    per_set: int = 2,
) -> list[Sample]:  # fmt: skip
    rules = PROTOCOLS[protocol]
    samples = Samples(per_set=per_set, side=48, scale=scale)
    source = source or network_source(Bicubic(scale=scale, channels=rules.channels), device=CPU)
    evaluate_set(found, source=source, protocol=rules, scale=scale, look=samples.keep)
    samples.write(folder)
    return read_samples(folder)


def test_a_damaged_list_of_earlier_crops_is_replaced(found: EvaluationSet, tmp_path: Path) -> None:
    scored(found, tmp_path, scale=2)
    (tmp_path / "samples" / "samples.json").write_text("{")
    assert len(scored(found, tmp_path, scale=2)) == 2
    (tmp_path / "samples" / "samples.json").write_text("{")
    assert scored(found, tmp_path, scale=2, per_set=0) == []


def pixels(sample: Sample, key: str) -> np.ndarray:
    return np.asarray(Image.open(sample.files[key]))


def test_pictures_are_the_crops_of_what_was_scored(found: EvaluationSet, tmp_path: Path) -> None:
    seen: list[Pair] = []

    def darker(pair: Pair, index: int) -> Tensor:
        seen.append(pair)
        return pair.hr * 0.9

    first, second = scored(found, tmp_path, scale=3, source=Source(darker))
    assert [(each.set, each.image) for each in (first, second)] == [("own", "a"), ("own", "b")]
    assert first.size == (131, 97)
    assert first.box == (0, 24, 48, 48)
    assert second.box == (24, 24, 48, 48)
    for sample, pair in zip((first, second), seen, strict=False):
        left, top, width, height = sample.box
        hr = pair.hr[0, :, top : top + height, left : left + width].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(pixels(sample, "hr"), (hr * 255).round())
        np.testing.assert_allclose(pixels(sample, "sr"), hr * 255 * 0.9, atol=0.51)
        lr = pair.lr[0, :, top // 3 : (top + height) // 3, left // 3 : (left + width) // 3].permute(1, 2, 0)
        np.testing.assert_array_equal(pixels(sample, "lr"), (lr * 255).round())
        large = imresize(pair.lr, 3)[0, :, top : top + height, left : left + width].permute(1, 2, 0)
        np.testing.assert_array_equal(pixels(sample, "bicubic"), (large.clamp(0, 1) * 255 + 0.5).floor())
    assert pixels(first, "whole").shape == (97, 131, 3)
    assert pixels(second, "whole").shape == (97, 131)


def test_scores_are_those_of_the_whole_crop(found: EvaluationSet, tmp_path: Path) -> None:
    (sample, _) = scored(found, tmp_path, scale=2)

    def luma(key: str) -> np.ndarray:
        return pixels(sample, key).astype(float) @ [65.481, 128.553, 24.966] / 255

    error = float(((luma("sr") - luma("hr")) ** 2).mean())
    assert sample.psnr == pytest.approx(10 * np.log10(255**2 / error), abs=1e-6)
    assert (sample.psnr, sample.ssim) == pytest.approx((sample.bicubic_psnr, sample.bicubic_ssim))
    (perfect, _) = scored(found, tmp_path, scale=2, source=Source(lambda pair, index: pair.hr))
    assert (perfect.psnr, perfect.ssim) == (None, pytest.approx(1))


def test_all_scales_show_the_same(found: EvaluationSet, tmp_path: Path) -> None:
    runs = {scale: scored(found, tmp_path / str(scale), scale=scale) for scale in (2, 3, 4, 8)}
    for first, second in runs.values():
        for sample, other in ((first, runs[2][0]), (second, runs[2][1])):
            assert sample.box == other.box
            np.testing.assert_array_equal(pixels(sample, "hr"), pixels(other, "hr"))
            assert sample.files["whole"].read_bytes() == other.files["whole"].read_bytes()
    assert [pixels(first, "lr").shape[:2] for first, _ in runs.values()] == [(24, 24), (16, 16), (12, 12), (6, 6)]


def test_large_images_are_shown_small_as_a_whole(tmp_path: Path) -> None:
    Image.fromarray(busy_at((0, 0, 24, 24), size=(960, 500))).save(tmp_path / "large.png")
    (sample,) = scored(EvaluationSet("own", (tmp_path / "large.png",), None), tmp_path, scale=2)
    assert sample.size == (960, 500)
    assert Image.open(sample.files["whole"]).size == (480, 250)


def test_luma_from_the_start_is_shown_in_grey(found: EvaluationSet, tmp_path: Path) -> None:
    (sample, _) = scored(found, tmp_path, scale=2, protocol="y_chain")
    assert pixels(sample, "sr").shape == pixels(sample, "hr").shape == (48, 48)


def test_other_bands_are_not_shown(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (48, 52, 5), np.uint8))
    source = network_source(Bicubic(scale=2, channels=5), device=CPU)
    found = EvaluationSet("own", (tmp_path / "a.npy",), None)
    assert scored(found, tmp_path, scale=2, source=source, protocol="rgb") == []
    assert not (tmp_path / "samples").exists()


@pytest.mark.parametrize(("per_set", "count"), [(0, 0), (1, 1), (9, 3)])
def test_as_many_of_a_set_as_asked_for(found: EvaluationSet, tmp_path: Path, per_set: int, count: int) -> None:
    assert len(scored(found, tmp_path, scale=2, per_set=per_set)) == count


def test_earlier_ones_do_not_outlast_a_run_that_keeps_none(found: EvaluationSet, tmp_path: Path) -> None:
    assert len(scored(found, tmp_path, scale=2)) == 2
    assert scored(found, tmp_path, scale=2, per_set=0) == []


def test_every_protocol_has_samples(found: EvaluationSet, tmp_path: Path) -> None:
    for name in PROTOCOLS:
        assert len(scored(found, tmp_path / name, scale=4, protocol=name)) == 2
