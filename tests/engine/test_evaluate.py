"""Scores of sets: published numbers, saved images, and images that do not fit."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import nn

from sr_lightning.data.benchmarks import EvaluationSet, find_sets
from sr_lightning.degradations.base import Fixed
from sr_lightning.degradations.bicubic import Bicubic as MatlabBicubic
from sr_lightning.degradations.resize import Resize
from sr_lightning.engine.evaluate import (
    Source,
    bicubic_means,
    bicubic_score,
    check_channels,
    degraded,
    evaluate_set,
    image_source,
    missing_of,
    network_source,
    rules_of,
)
from sr_lightning.functional.draws import Draws
from sr_lightning.functional.quantize import to_8_bits
from sr_lightning.functional.resize import downscale_uint8
from sr_lightning.metrics.protocol import PROTOCOLS, prepare
from sr_lightning.metrics.spectrum import log_spectral_distance
from sr_lightning.metrics.suite import Suite, available
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
    means = bicubic_means(pairs, protocol=rules, scale=2)
    assert means == pytest.approx({key: scores["bicubic"][key] for key in ("psnr", "ssim")})


@pytest.mark.parametrize("protocol", ["rgb_to_y", "y_chain", "y_float", "rgb"])
def test_the_log_spectral_distance_is_of_what_the_protocol_compares(evaluation_set, protocol):
    found, rules = evaluation_set(lr=None), PROTOCOLS[protocol]
    scores = evaluate_set(found, source=Source(lambda pair, index: pair.hr**1.2), protocol=rules, scale=2)
    expected = {}
    for path in found.hr:
        image = torch.from_numpy(np.array(Image.open(path)).reshape(*Image.open(path).size[::-1], -1))
        hr = prepare(image.permute(2, 0, 1)[None], None, protocol=rules, scale=2).hr.double()
        sr = hr**1.2
        if rules.rounding == "uint8":
            sr = (sr * 255).round() / 255
        if protocol in ("rgb_to_y", "y_float"):
            weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64)
            sr, hr = (((each * weights.reshape(1, 3, 1, 1)).sum(1, keepdim=True) + 16) / 255 for each in (sr, hr))
        expected[path.stem] = log_spectral_distance(sr[..., 2:-2, 2:-2], hr[..., 2:-2, 2:-2]).item()
    assert {name: each["lsd"] for name, each in scores["per_image"].items()} == pytest.approx(expected, rel=1e-4)
    assert scores["lsd"] == pytest.approx(sum(expected.values()) / 2, rel=1e-4)


def test_bicubic_lacks_detail(shared):
    """It is the farther from HR's spectrum the larger the scale."""
    rules = PROTOCOLS["rgb_to_y"]
    distances = []
    for scale in (2, 4):
        [found] = find_sets(shared / "data" / "benchmarks", scale=scale, names="set5")
        scores = evaluate_set(found, source=bicubic(scale, rules), protocol=rules, scale=scale)
        assert scores["lsd"] == pytest.approx(scores["bicubic"]["lsd"], abs=0.01)
        distances.append(scores["lsd"])
    assert 5 < distances[0] < distances[1] < 30


def red(views):
    """Stands in for LPIPS: how far the red of two pictures is apart."""
    assert views.sr.shape == views.hr.shape
    if views.sr.shape[1] != 3 or min(views.sr.shape[-2:]) < 31:
        raise ValueError("colours of 31 pixels are needed.")
    return float((views.sr[:, 0] - views.hr[:, 0]).abs().mean())


WITH_LPIPS = Suite({**available(("psnr", "ssim")).measures, "lpips": red}, {"niqe": "its file is not here."})


def test_lpips_of_all_images_where_it_is_there(evaluation_set):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]
    arguments = {"source": Source(lambda pair, index: pair.hr + 0.11), "protocol": rules, "scale": 2}
    scores = evaluate_set(found, suite=WITH_LPIPS, **arguments)
    values = [each["lpips"] for each in scores["per_image"].values()]
    assert scores["lpips"] == pytest.approx(sum(values) / 2)
    # What a file holds is compared: nothing above 1, and on its 256 levels.
    hr = torch.from_numpy(np.array(Image.open(found.hr[0])))[:40, :46, 0] / 255
    rounded = ((hr + 0.11).clamp(0, 1) * 255).round() / 255
    assert values[0] == pytest.approx(float((rounded - hr).abs().mean()), abs=1e-6)
    assert scores["bicubic"]["lpips"] > 0
    assert scores["missing"] == {"niqe": "its file is not here."}
    plain = evaluate_set(found, **arguments)
    assert set(plain["per_image"]["baby"]) == {"psnr", "ssim", "lsd"}
    assert plain["missing"] == {
        "ms_ssim": "baby: MS-SSIM needs sides of at least 176 pixels, got 36x42 (2 of 2 images)"
    }
    # Luma has no colours to compare.
    luma = evaluate_set(found, suite=WITH_LPIPS, **{**arguments, "protocol": PROTOCOLS["y_chain"]})
    assert "lpips" not in luma
    assert luma["missing"]["lpips"] == "baby: colours of 31 pixels are needed (2 of 2 images)"


def test_a_set_with_an_image_too_small_for_lpips_has_no_mean_of_it(evaluation_set):
    found, rules = evaluation_set(lr=None), PROTOCOLS["rgb"]
    Image.open(found.hr[1]).crop((0, 0, 30, 40)).save(found.hr[1])
    scores = evaluate_set(found, source=bicubic(2, rules), protocol=rules, scale=2, suite=WITH_LPIPS)
    assert "lpips" not in scores
    assert "lpips" not in scores["bicubic"]
    assert scores["missing"]["lpips"] == "bridge: colours of 31 pixels are needed"
    assert ["lpips" in each for each in scores["per_image"].values()] == [True, False]


def test_what_is_missing_is_gathered_from_all_sets():
    assert missing_of({"a": {}, "b": {"missing": {}}}) == {}
    everywhere = {"missing": {"lpips": "no file"}}
    assert missing_of({"a": everywhere, "b": everywhere}) == {"lpips": "no file"}
    assert missing_of({"a": everywhere, "b": {}}) == {"lpips": "a: no file"}
    other = {"missing": {"lpips": "too small", "niqe": "flat"}}
    assert missing_of({"a": everywhere, "b": other}) == {"lpips": "a: no file; b: too small", "niqe": "b: flat"}


def test_regions(evaluation_set):
    found, rules = evaluation_set(lr=None), PROTOCOLS["rgb"]
    image = np.array(Image.open(found.hr[0]))
    image[:, :20] = 128  # a flat part, in one of the images alone
    Image.fromarray(image).save(found.hr[0])
    arguments = {"source": Source(lambda pair, index: pair.hr + 0.1), "protocol": rules, "scale": 2}
    scores = evaluate_set(found, regions=True, **arguments)
    plain = evaluate_set(found, **arguments)
    assert {key: scores[key] for key in plain} == plain
    regions = scores["regions"]
    assert list(regions) == ["edges", "texture", "flat"]
    for name in ("baby", "bridge"):
        own = [each["per_image"][name] for each in regions.values() if name in each["per_image"]]
        errors = sum(each["pixels"] * 10 ** (-each["psnr"] / 10) for each in own) / sum(each["pixels"] for each in own)
        assert -10 * np.log10(errors) == pytest.approx(scores["per_image"][name]["psnr"], rel=1e-9)
    edges = regions["edges"]
    assert edges["pixels"] == sum(each["pixels"] for each in edges["per_image"].values())
    assert edges["psnr"] == pytest.approx(np.mean([each["psnr"] for each in edges["per_image"].values()]))
    # What bicubic gets wrong is not flat; the network here errs the same everywhere.
    assert regions["flat"]["bicubic"]["psnr"] > edges["bicubic"]["psnr"] + 3
    assert abs(regions["flat"]["psnr"] - edges["psnr"]) < 3


def test_a_region_that_no_image_has_is_left_out(evaluation_set):
    found, rules = evaluation_set(lr=None), PROTOCOLS["rgb"]
    for path in found.hr:
        Image.new("RGB", (40, 40), (90, 90, 90)).save(path)
    source = Source(lambda pair, index: pair.hr + 0.1)
    scores = evaluate_set(found, source=source, protocol=rules, scale=2, regions=True)
    assert {name: each["pixels"] for name, each in scores["regions"].items()} == {"flat": 2 * 36 * 36}


def test_an_infinite_psnr_has_a_reason(evaluation_set):
    found, rules = evaluation_set(lr=None), PROTOCOLS["rgb"]
    Image.new("RGB", (40, 40), (90, 90, 90)).save(found.hr[0])
    # Right in the first image, which is flat (so that bicubic is right in it too), wrong in the second.
    source = Source(lambda pair, index: pair.hr + 0.1 * index)
    scores = evaluate_set(found, source=source, protocol=rules, scale=2, regions=True)
    assert scores["psnr"] == scores["per_image"]["baby"]["psnr"] == float("inf")
    assert scores["per_image"]["bridge"]["psnr"] < 30
    both = len(scores["regions"]["flat"]["per_image"])
    infinite = {key: reason for key, reason in scores["missing"].items() if "infinite" in reason}
    assert infinite == {
        "psnr": "infinite: SR equals HR in 1 of 2 images",
        "bicubic.psnr": "infinite: bicubic equals HR in 1 of 2 images",
        "regions.flat.psnr": f"infinite: SR equals HR in 1 of {both} images",
        "regions.flat.bicubic.psnr": f"infinite: bicubic equals HR in 1 of {both} images",
    }
    wrong = evaluate_set(found, source=Source(lambda pair, index: pair.hr + 0.1), protocol=rules, scale=2)
    assert list(wrong["missing"]) == [key for key in scores["missing"] if key not in infinite or key == "bicubic.psnr"]


def test_self_ensemble_is_the_mean_over_eight_views(evaluation_set):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]
    torch.manual_seed(0)
    network = ESPCN(scale=2, channels=1, width=4, mapping_width=4)
    seen = {False: [], True: []}
    for ensemble, kept in seen.items():
        source = network_source(network, device=CPU, self_ensemble=ensemble)
        evaluate_set(found, source=source, protocol=rules, scale=2, look=kept.append)
    one = network_source(network, device=CPU)
    for plain, mean in zip(seen[False], seen[True], strict=True):
        turned = [(k, flip) for k in range(4) for flip in (False, True)]
        total = 0
        for quarter, flip in turned:
            lr = torch.rot90(plain.pair.lr, quarter, (2, 3))
            sr = one.make(plain.pair._replace(lr=lr.flip(3) if flip else lr), 0)
            total = total + torch.rot90(sr.flip(3) if flip else sr, -quarter, (2, 3))
        assert torch.allclose(mean.sr, total / 8, rtol=0, atol=1e-6)
        assert (mean.sr - plain.sr).abs().max() > 1e-3


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


def test_a_set_is_scored_under_its_own_protocol(evaluation_set):
    found, rules = evaluation_set(), replace(PROTOCOLS["rgb_to_y"], ema=True)
    own = replace(found, protocol={"color": "rgb", "border": "scale+6"})
    scores = evaluate_set(own, source=bicubic(2, rules), protocol=rules, scale=2)
    assert scores["protocol"] == replace(PROTOCOLS["rgb_div2k"], ema=True).as_dict(2)
    expected = evaluate_set(found, source=bicubic(2, rules), protocol=PROTOCOLS["rgb_div2k"], scale=2)
    assert "protocol" not in expected
    assert (scores["psnr"], scores["bicubic"]) == (expected["psnr"], expected["bicubic"])
    # Where it is the given one anyway there is nothing to say.
    assert "protocol" not in evaluate_set(own, source=bicubic(2, rules), protocol=PROTOCOLS["rgb_div2k"], scale=2)
    with pytest.raises(Refusal, match="Set5: protocol in its yaml: expected the rules of one of"):
        rules_of(replace(found, protocol={"color": "lab"}), otherwise=rules)


def test_what_is_missing_of_a_set_is_said(evaluation_set):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]

    def said(**changes):
        scores = evaluate_set(replace(found, **changes), source=bicubic(2, rules), protocol=rules, scale=2)
        return {key: scores[key] for key in ("images", "excluded", "whole") if key in scores}

    assert said() == said(whole=2) == {"images": 2}
    assert said(whole=3) == {"images": 2, "whole": 3}
    assert said(whole=3, excluded=("woman",)) == {"images": 2, "excluded": ["woman"]}


class Noise(Fixed):
    """Every n-th pixel and noise, the kind of degradation that draws."""

    name, margin, stored, scale = "noise", 0, False, 2

    def __call__(self, hr, *, samples, seed):
        drawn = Draws(samples, seed=seed, purpose="noise").uniform(-0.2, 0.2)
        return hr[..., ::2, ::2] + torch.from_numpy(drawn).float().reshape(-1, 1, 1, 1)


def test_lr_by_a_degradation(evaluation_set, tmp_path):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]
    seen = []

    def look(pair, index):
        seen.append(pair.lr)
        return bicubic(2, rules).make(pair, index)

    source = Source(look)
    degradation = Resize(scale=2, kind="pil")
    scores = evaluate_set(found, source=source, protocol=rules, scale=2, degradation=degradation)
    for lr, path in zip(seen, found.hr, strict=True):
        with Image.open(path) as image:
            hr = image.convert("RGB")
        small = hr.crop((0, 0, hr.width // 2 * 2, hr.height // 2 * 2)).resize(
            (hr.width // 2, hr.height // 2), Image.Resampling.BICUBIC
        )
        np.testing.assert_array_equal(lr[0].permute(1, 2, 0).mul(255).round().numpy(), np.asarray(small))
    assert scores["protocol"]["degradation"] == "resize_pil_x2"
    # Bicubic is scored on the same LR.
    assert scores["bicubic"]["psnr"] == pytest.approx(scores["psnr"], abs=1e-4)
    standard = evaluate_set(found, source=bicubic(2, rules), protocol=rules, scale=2)
    assert abs(standard["bicubic"]["psnr"] - scores["bicubic"]["psnr"]) > 1e-3
    # The LR files of the set, which are MATLAB's bicubic.
    as_files = evaluate_set(
        found, source=bicubic(2, rules), protocol=rules, scale=2, degradation=MatlabBicubic(scale=2)
    )
    assert as_files["per_image"] == standard["per_image"]


def test_what_a_degradation_draws_depends_on_the_image_and_the_seed_alone(evaluation_set):
    found, rules = evaluation_set(), PROTOCOLS["rgb_to_y"]

    def scores(chosen, seed=1):
        given = {"source": bicubic(2, rules), "protocol": rules, "scale": 2, "degradation": Noise(), "seed": seed}
        return evaluate_set(chosen, **given)["per_image"]

    whole = scores(found)
    assert scores(found) == whole
    assert scores(found, seed=2) != whole
    left = replace(found, hr=found.hr[1:], lr=found.lr[1:], excluded=("baby",), numbers=(1,))
    assert scores(left) == {"bridge": whole["bridge"]}


def test_degraded_images_are_what_a_file_would_hold():
    grey = torch.randint(0, 256, (1, 1, 9, 12), dtype=torch.uint8)
    lr = degraded(grey, degradation=Noise(), number=3, seed=0)
    assert (lr.dtype, lr.shape) == (torch.uint8, (1, 3, 4, 6))
    drawn = float(Draws([3], seed=0, purpose="noise").uniform(-0.2, 0.2)[0])
    expected = (grey[..., :8:2, ::2] / 255 + drawn).clamp(0, 1).mul(255).round()
    assert (lr.int() - expected).abs().max() <= 1


def test_degraded_images_of_16_bits():
    hr = torch.randint(0, 65536, (1, 1, 9, 12), dtype=torch.int32).to(torch.uint16)
    near = to_8_bits(hr)
    for degradation, expected in (
        (Noise(), degraded(near, degradation=Noise(), number=3, seed=0)),
        (MatlabBicubic(scale=2), to_8_bits(downscale_uint8(hr[..., :8, :], 2, levels=65536)).expand(1, 3, 4, 6)),
    ):
        assert torch.equal(degraded(hr, degradation=degradation, number=3, seed=0), expected)


def test_images_of_16_bits_are_scored_as_the_nearest_of_8(tmp_path):
    rules = PROTOCOLS["rgb"]
    pixels = np.random.default_rng(0).integers(0, 65536, (24, 26, 3), np.uint16)
    grey = pixels[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", grey)
    found = EvaluationSet("own", (tmp_path / "a.tif", tmp_path / "b.tif"), None)
    seen = []

    def look(pair, index):
        seen.append(pair)
        return pair.hr * 0.9

    scores = evaluate_set(found, source=Source(look), protocol=rules, scale=2)
    for pair, image in zip(seen, (pixels, grey), strict=True):
        planes = torch.from_numpy(image.reshape(24, 26, -1)).permute(2, 0, 1)[None]
        expected = prepare(planes, None, protocol=rules, scale=2)
        assert torch.equal(pair.lr, expected.lr)
        assert torch.equal(pair.hr, expected.hr)
    # SR images may be of 16 bits as well.
    assert (
        evaluate_set(found, source=image_source(tmp_path, found, protocol=rules), protocol=rules, scale=2)["psnr"] > 99
    )
    # Luma of a grey image is its grey, of 16 bits too.
    luma = evaluate_set(found, source=bicubic(2, PROTOCOLS["y_chain"]), protocol=PROTOCOLS["y_chain"], scale=2)
    near = to_8_bits(torch.from_numpy(grey)[None, None])
    pair = prepare(near, None, protocol=PROTOCOLS["y_chain"], scale=2)
    assert luma["per_image"]["b"]["psnr"] == pytest.approx(
        bicubic_score(pair, protocol=PROTOCOLS["y_chain"], scale=2).psnr, abs=1e-4
    )
    assert scores["images"] == 2


def test_images_of_several_bands(tmp_path):
    rules = PROTOCOLS["rgb"]
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (24, 26, 5), np.uint8))
    found = EvaluationSet("own", (tmp_path / "a.npy",), None)
    source = network_source(Bicubic(scale=2, channels=5), device=CPU)
    assert source.channels == 5
    scores = evaluate_set(found, source=source, protocol=rules, scale=2)
    assert scores["psnr"] == pytest.approx(scores["bicubic"]["psnr"], abs=1e-4)
    with pytest.raises(Refusal, match=r"a\.npy: rgb_to_y compares the luma .* use protocol=rgb"):
        evaluate_set(found, source=source, protocol=PROTOCOLS["rgb_to_y"], scale=2)
    with pytest.raises(Refusal, match="save: expected images of 1 or 3 bands, which a PNG holds, got 5"):
        evaluate_set(found, source=source, protocol=rules, scale=2, save=tmp_path / "sr")
    Image.new("RGB", (24, 24)).save(tmp_path / "b.png")
    with pytest.raises(Refusal, match=r"b\.png: expected 5 bands, got 3"):
        evaluate_set(EvaluationSet("own", (tmp_path / "b.png",), None), source=source, protocol=rules, scale=2)


def test_a_degradation_has_no_place_in_a_protocol_that_makes_lr_of_y(evaluation_set):
    rules = PROTOCOLS["y_chain"]
    with pytest.raises(Refusal, match="makes LR of Y by itself, which no degradation can; use rgb_to_y"):
        evaluate_set(evaluation_set(), source=bicubic(2, rules), protocol=rules, scale=2, degradation=Noise())


@pytest.mark.parametrize(("kind", "psnr"), [("pil", 28.43), ("cv2", 27.80), ("bilinear", 28.31)])
def test_bicubic_on_set5_made_as_in_tutorials(shared, kind, psnr):
    """Pillow, OpenCV and F.interpolate at x4; 28.43 on MATLAB's LR."""
    [found] = find_sets(shared / "data" / "benchmarks", scale=4, names="set5")
    rules, degradation = PROTOCOLS["rgb_to_y"], Resize(scale=4, kind=kind)
    scores = evaluate_set(found, source=bicubic(4, rules), protocol=rules, scale=4, degradation=degradation)
    assert scores["psnr"] == pytest.approx(psnr, abs=0.006)
