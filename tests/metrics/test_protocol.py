import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from sr_lightning.functional.color import rgb_to_ycbcr, ycbcr_to_rgb
from sr_lightning.functional.quantize import from_uint8, to_8_bits
from sr_lightning.functional.resize import downscale_uint8, imresize
from sr_lightning.metrics.protocol import PROTOCOLS, Protocol, get_protocol, own_protocol, prepare, score

SCALES = (2, 3, 4)
# protocol.md, section 1.3: PSNR and SSIM of the deterministic pair for borders of 0, 2, 3, 4 pixels.
VECTOR_SCORES = {
    "y": {
        0: (45.686591, 0.999410),
        2: (45.680053, 0.999422),
        3: (45.682962, 0.999427),
        4: (45.682058, 0.999428),
    },
    "rgb": {
        0: (38.193763, 0.998872),
        2: (38.194048, 0.998942),
        3: (38.196894, 0.998963),
        4: (38.202761, 0.998975),
    },
}
# The same, the bicubic baseline for x2, x3, x4; BSD100 from expected.json: protocol.md had other files.
BICUBIC = {
    "rgb_to_y": {
        "Set5": [(33.6734, 0.9303), (30.4033, 0.8689), (28.4290, 0.8111)],
        "Set14": [(30.3246, 0.8699), (27.6311, 0.7759), (26.0884, 0.7048)],
        "BSD100": [(29.555, 0.8434), (27.203, 0.7391), (25.956, 0.6681)],
    },
    "y_chain": {
        "Set5": [(33.6614, 0.9299), (30.3922, 0.8682), (28.4207, 0.8104)],
        "Set14": [(30.2318, 0.8687), (27.5405, 0.7736), (26.0001, 0.7019)],
        "BSD100": [(29.550, 0.8429), (27.200, 0.7382), (25.954, 0.6671)],
    },
    "rgb": {
        "Set5": [(31.7866, 0.9086), (28.6236, 0.8383), (26.6921, 0.7731)],
        "Set14": [(28.5183, 0.8425), (25.9440, 0.7402), (24.4616, 0.6637)],
    },
}


def benchmark(shared: Path, name: str, scale: int) -> Iterator[tuple[Tensor, Tensor]]:
    """HR and published LR of each image, uint8 as they lie in the files."""
    folder = shared / "data" / "benchmarks" / name
    for path in sorted((folder / "HR").glob("*.png")):
        yield read(path), read(folder / "LR_bicubic" / f"x{scale}" / f"{path.stem}x{scale}.png")


def read(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1).unsqueeze(0)


def bicubic_scores(shared: Path, name: str, protocol: Protocol, scale: int) -> tuple[float, float]:
    scores = []
    for hr_file, lr_file in benchmark(shared, name, scale):
        lr, hr = prepare(hr_file, lr_file, protocol=protocol, scale=scale)
        scores.append(score(imresize(lr, scale), hr, protocol=protocol, scale=scale))
    return fmean(s.psnr for s in scores), fmean(s.ssim for s in scores)


def test_the_fields_are_the_ones_that_results_json_promises() -> None:
    assert [field.name for field in fields(Protocol)] == [
        "name",
        "color",
        "border",
        "rounding",
        "grey",
        "ema",
        "self_ensemble",
        "tile",
        "degradation",
    ]
    assert get_protocol("rgb_to_y").as_dict(3) == {
        "name": "rgb_to_y",
        "color": "y",
        "border": 3,
        "rounding": "uint8",
        "grey": "replicate",
        "ema": False,
        "self_ensemble": False,
        "tile": None,
    }
    assert json.loads(json.dumps(replace(PROTOCOLS["rgb"], border=10).as_dict(4)))["border"] == 10
    # Only where there was one.
    assert replace(PROTOCOLS["rgb"], degradation="noise_30").as_dict(4)["degradation"] == "noise_30"
    assert [PROTOCOLS["rgb_div2k"].as_dict(scale)["border"] for scale in SCALES] == [8, 9, 10]


def test_the_names_and_what_they_mean() -> None:
    meaning = {name: (p.color, p.border, p.rounding, p.grey, p.channels) for name, p in PROTOCOLS.items()}
    assert meaning == {
        "rgb_to_y": ("y", "scale", "uint8", "replicate", 3),
        "y_chain": ("y", "scale", "uint8", "y", 1),
        "y_float": ("y", "scale", "none", "replicate", 3),
        "rgb": ("rgb", "scale", "uint8", "replicate", 3),
        "rgb_div2k": ("rgb", "scale+6", "uint8", "replicate", 3),
    }
    assert all(get_protocol(name).name == name for name in PROTOCOLS)
    with pytest.raises(FrozenInstanceError):
        PROTOCOLS["rgb"].color = "y"  # type: ignore[misc]


def test_a_set_may_have_rules_of_its_own() -> None:
    otherwise = replace(PROTOCOLS["y_chain"], ema=True, tile=64, degradation="noise_30")
    assert own_protocol(None, otherwise=otherwise) is otherwise
    own = own_protocol({"color": "rgb", "border": "scale+6"}, otherwise=otherwise)
    # What was compared is the set's; how SR and LR were made is the caller's.
    assert own == replace(PROTOCOLS["rgb_div2k"], ema=True, tile=64, degradation="noise_30")
    assert own_protocol({"color": "y", "border": "scale"}, otherwise=PROTOCOLS["rgb"]) == PROTOCOLS["rgb_to_y"]


@pytest.mark.parametrize("rules", [{"color": "rgb", "border": 7}, {"colour": "rgb", "border": "scale"}])
def test_rules_of_no_protocol_are_refused(rules: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"one of the protocols rgb_to_y, .*; got .*border: {rules['border']}"):
        own_protocol(rules, otherwise=PROTOCOLS["rgb"])


def test_the_border_of_div2k_is_six_pixels_wider() -> None:
    hr = torch.randint(0, 256, (1, 3, 40, 44)) / 255
    sr = hr.clone()
    sr[..., :9, :] = 0  # all that is wrong lies outside
    sr[..., -9:] = 0
    assert score(sr, hr, protocol=PROTOCOLS["rgb_div2k"], scale=3).psnr == float("inf")
    assert score(sr, hr, protocol=PROTOCOLS["rgb_div2k"], scale=2).psnr < 40
    inner = slice(9, -9)
    expected = score(sr * 0.9, hr, protocol=PROTOCOLS["rgb_div2k"], scale=3)
    cropped = replace(PROTOCOLS["rgb"], border=0)
    assert score(sr[..., inner, inner] * 0.9, hr[..., inner, inner], protocol=cropped, scale=3) == expected


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"one of rgb_to_y, y_chain, .*'y_chian'.*did you mean 'y_chain'"):
        get_protocol("y_chian")


@pytest.mark.parametrize("border", [0, 2, 3, 4])
@pytest.mark.parametrize("name", ["rgb_to_y", "rgb"])
def test_the_vectors_of_the_protocol(vector_pair: tuple[Tensor, Tensor], name: str, border: int) -> None:
    first, second = (from_uint8(image) for image in vector_pair)
    protocol = replace(PROTOCOLS[name], border=border)
    expected = VECTOR_SCORES[protocol.color][border]
    for sr, hr in ((first, second), (second, first)):
        result = score(sr, hr, protocol=protocol, scale=4)
        assert result.psnr == pytest.approx(expected[0], abs=1e-6)
        assert result.ssim == pytest.approx(expected[1], abs=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_scikit_image_agrees_on_an_unrounded_image(name: str, scale: int) -> None:
    protocol = PROTOCOLS[name]
    hr = torch.randint(0, 256, (1, protocol.channels, 36, 32)) / 255
    sr = hr + 0.1 * torch.randn_like(hr)
    first, second = sr[0].double().numpy() * 255, hr[0].double().numpy() * 255
    if protocol.rounding == "uint8":
        first = np.floor(np.clip(first, 0, 255) + 0.5)
    if name in ("rgb_to_y", "y_float"):
        first, second = (rgb2ycbcr(image / 255, channel_axis=0)[:1] for image in (first, second))
    first = np.clip(first, 0, 255)
    border = scale + 6 if name == "rgb_div2k" else scale
    first, second = (image[:, border:-border, border:-border] for image in (first, second))
    result = score(sr, hr, protocol=protocol, scale=scale)
    assert result.psnr == pytest.approx(peak_signal_noise_ratio(second, first, data_range=255), abs=1e-5)
    assert result.ssim == pytest.approx(
        structural_similarity(
            second,
            first,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        ),
        abs=1e-6,
    )


def test_y_float_clips_the_luma_and_not_the_rgb_it_came_in() -> None:
    # A Y network's output with the colour of its input: RGB leaves [0, 1] while Y does not.
    ycbcr = torch.tensor([0.9, 0.3, 0.7]).reshape(1, 3, 1, 1).expand(1, 3, 20, 20)
    sr = ycbcr_to_rgb(ycbcr)
    assert sr.max() > 1.1
    hr = ycbcr_to_rgb(rgb_to_ycbcr(torch.full((1, 3, 20, 20), 100 / 255)))
    luma = 0.9 * 255 - (100 / 255 * 219 + 16)
    expected = 20 * np.log10(255 / luma)
    assert score(sr, hr, protocol=PROTOCOLS["y_float"], scale=2).psnr == pytest.approx(expected, abs=1e-4)
    assert score(sr, hr, protocol=PROTOCOLS["rgb_to_y"], scale=2).psnr > expected + 0.5


def test_only_some_protocols_round() -> None:
    hr = torch.full((1, 3, 20, 20), 100 / 255)
    sr = torch.full((1, 3, 20, 20), 100.4 / 255)
    assert score(sr, hr, protocol=PROTOCOLS["rgb_to_y"], scale=2).psnr == float("inf")
    assert score(sr, hr, protocol=PROTOCOLS["y_float"], scale=2).psnr < 60


@pytest.mark.parametrize(
    ("name", "sr", "hr"),
    [
        ("rgb", (1, 3, 20, 20), (1, 3, 20, 24)),
        ("rgb", (2, 3, 20, 20), (2, 3, 20, 20)),
        ("rgb_to_y", (1, 1, 20, 20), (1, 1, 20, 20)),
        ("y_chain", (1, 3, 20, 20), (1, 3, 20, 20)),
        ("y_chain", (1, 1, 20, 20), (1, 3, 20, 20)),
    ],
)
def test_score_refuses_other_shapes(name: str, sr: tuple[int, ...], hr: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"{name} compares one image of"):
        score(torch.rand(sr), torch.rand(hr), protocol=PROTOCOLS[name], scale=2)


def test_score_refuses_an_image_that_the_border_uses_up() -> None:
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="cannot shave 8 pixels"):
        score(image, image, protocol=PROTOCOLS["rgb"], scale=8)
    with pytest.raises(ValueError, match="at least 11 pixels, got 8x8"):
        score(image, image, protocol=PROTOCOLS["rgb"], scale=4)


def random_uint8(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


@pytest.mark.parametrize("name", ["rgb_to_y", "y_float", "rgb"])
def test_prepare_makes_the_published_lr_where_there_is_none(name: str) -> None:
    hr = random_uint8(1, 3, 26, 31)
    pair = prepare(hr, None, protocol=PROTOCOLS[name], scale=4)
    assert torch.equal(pair.hr, from_uint8(hr[..., :24, :28]))
    assert torch.equal(pair.lr, from_uint8(downscale_uint8(hr[..., :24, :28], 4)))


def test_prepare_crops_hr_to_a_given_lr() -> None:
    # 24 of 35: a set cut to multiples of 12, as BasicSR does it for every scale.
    hr, lr = random_uint8(1, 3, 35, 24), random_uint8(1, 3, 12, 12)
    pair = prepare(hr, lr, protocol=PROTOCOLS["rgb"], scale=2)
    assert torch.equal(pair.hr, from_uint8(hr[..., :24, :24]))
    assert torch.equal(pair.lr, from_uint8(lr))


@pytest.mark.parametrize("size", [(23, 24), (24, 36), (12, 12), (48, 48)])
def test_prepare_refuses_an_lr_of_another_image(size: tuple[int, int]) -> None:
    sizes = rf"LR of 12x12 pixels is not that of HR of {size[0]}x{size[1]} at scale 2, which is 24x24"
    with pytest.raises(ValueError, match=sizes):
        prepare(random_uint8(1, 3, *size), random_uint8(1, 3, 12, 12), protocol=PROTOCOLS["rgb"], scale=2)


def test_grey_is_replicated_or_luma_itself() -> None:
    hr = random_uint8(1, 1, 25, 24)
    lr = downscale_uint8(hr[..., :24, :], 2)
    for given in (lr, None):
        pair = prepare(hr, given, protocol=PROTOCOLS["rgb_to_y"], scale=2)
        assert torch.equal(pair.hr, from_uint8(hr[..., :24, :]).expand(1, 3, 24, 24))
        assert torch.equal(pair.lr, from_uint8(lr).expand(1, 3, 12, 12))
    assert torch.equal(prepare(hr, None, protocol=PROTOCOLS["y_chain"], scale=2).hr, from_uint8(hr[..., :24, :]))


def test_y_chain_rounds_luma_first_and_lr_never() -> None:
    hr = random_uint8(1, 3, 25, 26)
    pair = prepare(hr, random_uint8(1, 3, 8, 8), protocol=PROTOCOLS["y_chain"], scale=3)
    luma = rgb2ycbcr(hr[0].numpy(), channel_axis=0)[0, :24, :24]
    expected = np.floor(luma + 0.5)
    np.testing.assert_allclose(pair.hr[0, 0].numpy() * 255, expected, atol=1e-4)
    assert pair.hr.dtype == torch.float32
    assert pair.lr.dtype == torch.float64
    lr = imresize(torch.from_numpy(expected), Fraction(1, 3))
    np.testing.assert_allclose(pair.lr[0, 0].numpy() * 255, lr.numpy(), atol=1e-10)


def test_prepare_refuses_floats() -> None:
    with pytest.raises(ValueError, match=r"hr must be uint8 or uint16, got torch\.float32"):
        prepare(torch.rand(1, 3, 24, 24), None, protocol=PROTOCOLS["y_chain"], scale=2)
    with pytest.raises(ValueError, match="lr must be uint8 or uint16"):
        prepare(random_uint8(1, 3, 24, 24), torch.rand(1, 3, 12, 12), protocol=PROTOCOLS["rgb"], scale=2)


@pytest.mark.parametrize("name", ["rgb_to_y", "y_chain", "y_float"])
def test_other_bands_have_no_luma(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} compares the luma .* got hr of 4; use protocol=rgb"):
        prepare(random_uint8(1, 4, 24, 24), None, protocol=PROTOCOLS[name], scale=2)


@pytest.mark.parametrize("bands", [2, 5])
def test_all_bands_are_compared_as_one_image(bands: int) -> None:
    hr = random_uint8(1, bands, 25, 24)
    pair = prepare(hr, None, protocol=PROTOCOLS["rgb"], scale=2)
    assert torch.equal(pair.hr, from_uint8(hr[..., :24, :]))
    assert torch.equal(pair.lr, from_uint8(downscale_uint8(hr[..., :24, :], 2)))
    sr = pair.hr.clone()
    sr[:, -1] = 1 - sr[:, -1]
    # All but the last band are equal: the error is spread over all of them.
    inner = pair.hr[0, -1, 2:-2, 2:-2].double()
    expected = 10 * np.log10(bands / (1 - 2 * inner).square().mean().item())
    assert score(sr, pair.hr, protocol=PROTOCOLS["rgb"], scale=2).psnr == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match=f"rgb compares one image of {bands} channels"):
        score(sr[:, 1:], pair.hr, protocol=PROTOCOLS["rgb"], scale=2)


def test_16_bits_are_rounded_to_8_after_lr_is_made() -> None:
    hr = torch.randint(0, 65536, (1, 3, 24, 24), dtype=torch.int32).to(torch.uint16)
    nearest = torch.from_numpy(np.rint(hr.numpy() / 257).astype(np.uint8))
    assert torch.equal(to_8_bits(hr), nearest)
    assert to_8_bits(nearest) is nearest
    for name in ("rgb_to_y", "rgb"):
        pair = prepare(hr, None, protocol=PROTOCOLS[name], scale=2)
        assert torch.equal(pair.hr, from_uint8(nearest))
        made = np.rint(downscale_uint8(hr, 2, levels=65536).numpy() / 257) / 255
        np.testing.assert_allclose(pair.lr.numpy(), made, atol=1e-7)
    # LR of luma is made of luma, which has 8 bits.
    for found, expected in zip(
        prepare(hr, None, protocol=PROTOCOLS["y_chain"], scale=2),
        prepare(nearest, None, protocol=PROTOCOLS["y_chain"], scale=2),
        strict=True,
    ):
        assert torch.equal(found, expected)
    given = hr[..., :12, :12]
    pair = prepare(nearest, given, protocol=PROTOCOLS["rgb"], scale=2)
    assert torch.equal(pair.lr, from_uint8(to_8_bits(given)))


@pytest.mark.parametrize("name", ["Set5", "Set14", pytest.param("BSD100", marks=pytest.mark.slow)])
@pytest.mark.parametrize("protocol", ["rgb_to_y", "y_chain"])
def test_the_bicubic_baseline(shared: Path, protocol: str, name: str) -> None:
    for scale, (psnr, ssim) in zip(SCALES, BICUBIC[protocol][name], strict=True):
        result = bicubic_scores(shared, name, get_protocol(protocol), scale)
        assert result == (pytest.approx(psnr, abs=0.01), pytest.approx(ssim, abs=5e-4))


def test_expected_json_and_the_published_row(shared: Path) -> None:
    expected = json.loads((shared / "data" / "oracles" / "expected.json").read_text())["bicubic"]
    for scale in SCALES:
        psnr, ssim = bicubic_scores(shared, "Set5", get_protocol("y_chain"), scale)
        assert [round(psnr, 3), round(ssim, 4)] == expected["measured"]["Set5"][str(scale)]
        assert [round(psnr, 2), round(ssim, 4)] == expected["published"]["Set5"][str(scale)]


@pytest.mark.parametrize("protocol", ["rgb_to_y", "rgb"])
def test_the_baseline_of_matlabs_uint8_image_to_four_digits(shared: Path, protocol: str) -> None:
    """protocol.md's figures come of a uint8 image, which MATLAB rounds after each pass."""
    rules = get_protocol(protocol)
    for scale, expected in zip(SCALES, BICUBIC[protocol]["Set5"], strict=True):
        scores = []
        for hr_file, lr_file in benchmark(shared, "Set5", scale):
            lr, hr = prepare(hr_file, lr_file, protocol=rules, scale=scale)
            sr = imresize(lr * 255, scale, rounding="uint8_each") / 255
            scores.append(score(sr, hr, protocol=rules, scale=scale))
        means = fmean(s.psnr for s in scores), fmean(s.ssim for s in scores)
        assert means == (pytest.approx(expected[0], abs=1e-4), pytest.approx(expected[1], abs=1e-4))
