"""Scores of sets: published numbers, saved images, and images that do not fit."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sr_lightning.data.benchmarks import EvaluationSet, find_sets
from sr_lightning.engine.evaluate import bicubic_means, check_channels, evaluate_set, image_source, network_source
from sr_lightning.metrics.protocol import PROTOCOLS
from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.refusal import Refusal

CPU = torch.device("cpu")

# The issue's numbers for bicubic: {protocol: {set: PSNR at x2, x3, x4}}; Set5's SSIM from protocol.md.
PSNR = {
    "y_chain": {"Set5": (33.66, 30.39, 28.42), "Set14": (30.23, 27.54, 26.00), "BSD100": (29.55, 27.20, 25.95)},
    "rgb_to_y": {"Set5": (33.67, 30.40, 28.43), "Set14": (30.33, 27.63, 26.09), "BSD100": (29.55, 27.20, 25.96)},
}
SSIM = {"y_chain": (0.9299, 0.8682, 0.8104), "rgb_to_y": (0.9303, 0.8689, 0.8111)}


def bicubic(scale, protocol):
    return network_source(Bicubic(scale=scale, channels=protocol.channels), device=CPU)


def check_bicubic(shared, name, protocol, scale):
    [found] = find_sets(shared / "data" / "benchmarks", scale=scale, names=name)
    rules = PROTOCOLS[protocol]
    scores = evaluate_set(found, source=bicubic(scale, rules), protocol=rules, scale=scale)
    assert scores["psnr"] == pytest.approx(PSNR[protocol][name][scale - 2], abs=0.01)
    assert scores["bicubic"]["psnr"] == pytest.approx(scores["psnr"], abs=1e-4)  # float64 under y_chain
    assert scores["images"] == len(scores["per_image"]) == len(found.hr)
    return scores


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("protocol", PSNR)
def test_bicubic_on_set5(shared, protocol, scale):
    scores = check_bicubic(shared, "Set5", protocol, scale)
    assert scores["ssim"] == pytest.approx(SSIM[protocol][scale - 2], abs=5e-4)


@pytest.mark.parametrize("protocol", PSNR)
def test_bicubic_on_set14_with_its_grey_image(shared, protocol):
    check_bicubic(shared, "Set14", protocol, 4)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("protocol", PSNR)
@pytest.mark.parametrize("name", ["Set14", "BSD100"])
def test_bicubic_on_the_other_sets(shared, name, protocol, scale):
    check_bicubic(shared, name, protocol, scale)


@pytest.mark.parametrize(
    "protocol", [PROTOCOLS["rgb_to_y"], PROTOCOLS["y_chain"], PROTOCOLS["rgb"]], ids=lambda p: p.name
)
@pytest.mark.parametrize("lr", ["LR_bicubic/x{}", None])
def test_saved_images_give_the_same_scores(tmp_path, evaluation_set, protocol, lr):
    found = evaluation_set(scale=2, lr=lr)
    torch.manual_seed(0)
    network = ESPCN(scale=2, channels=protocol.channels, width=4, mapping_width=4)
    arguments = {"protocol": protocol, "scale": 2}

    scores = evaluate_set(found, source=network_source(network, device=CPU), save=tmp_path / "sr", **arguments)
    again = evaluate_set(found, source=image_source(tmp_path / "sr", found, protocol=protocol), **arguments)

    assert sorted(path.name for path in (tmp_path / "sr" / "Set5").iterdir()) == ["baby.png", "bridge.png"]
    for name, expected in scores["per_image"].items():
        assert again["per_image"][name] == pytest.approx(expected, abs=1e-9)
    assert again["bicubic"] == scores["bicubic"]


def test_luma_network_is_scored_on_rgb_too(evaluation_set):
    network = Bicubic(scale=2, channels=1)
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]
    scores = evaluate_set(found, source=network_source(network, device=CPU), protocol=rules, scale=2)
    # Luma up alone, and bicubic chroma beside it, is bicubic but for rounding.
    assert scores["psnr"] == pytest.approx(scores["bicubic"]["psnr"], abs=0.01)


def test_network_for_rgb_is_refused_under_y_chain(evaluation_set):
    with pytest.raises(Refusal, match="use protocol=rgb_to_y"):
        check_channels(Bicubic(scale=2, channels=3), 1)
    source = network_source(Bicubic(scale=2, channels=3), device=CPU)
    with pytest.raises(Refusal, match="use protocol=rgb_to_y"):
        evaluate_set(evaluation_set(), source=source, protocol=PROTOCOLS["y_chain"], scale=2)


def test_network_is_evaluated_in_evaluation_mode(evaluation_set):
    class Both(nn.Module):
        channels, scale = 3, 2

        def forward(self, lr):
            assert not self.training
            return torch.zeros(1, 3, 2 * lr.shape[2], 2 * lr.shape[3])

    source = network_source(Both().train(), device=CPU)
    evaluate_set(evaluation_set(), source=source, protocol=PROTOCOLS["rgb"], scale=2)


def test_bicubic_of_tensors_is_that_of_files(evaluation_set):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]
    scores = evaluate_set(found, source=bicubic(2, rules), protocol=rules, scale=2)

    def planes(path):
        return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]

    pairs = [(planes(lr), planes(hr)) for lr, hr in zip(found.lr, found.hr, strict=True)]
    assert bicubic_means(pairs, protocol=rules, scale=2) == pytest.approx(scores["bicubic"])


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("lr of another size", "check scale and folders"),
        ("hr that is no image", "cannot be read as an image"),
        ("hr too small", "baby.png"),
    ],
)
def test_images_that_do_not_fit_are_refused_by_name(evaluation_set, damage, expected):
    found = evaluation_set()
    if damage == "lr of another size":
        Image.new("RGB", (5, 5)).save(found.lr[0])
    elif damage == "hr that is no image":
        found.hr[0].write_text("hello")
    else:
        Image.new("RGB", (8, 8)).save(found.hr[0])
        found = EvaluationSet(found.name, found.hr, None)
    rules = PROTOCOLS["rgb_to_y"]
    with pytest.raises(Refusal, match=expected) as refusal:
        evaluate_set(found, source=bicubic(2, rules), protocol=rules, scale=2)
    assert "baby" in str(refusal.value)


def test_sr_images_of_another_size_are_refused(tmp_path, evaluation_set):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]
    for path in found.hr:
        Image.open(path).save(tmp_path / path.name)  # not cut to a multiple of the scale
    with pytest.raises(Refusal, match=r"baby\.png has 47x41 pixels, .* has 46x40"):
        evaluate_set(found, source=image_source(tmp_path, found, protocol=rules), protocol=rules, scale=2)
