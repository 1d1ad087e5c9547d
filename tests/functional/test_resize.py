import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.geometry import crop_to
from sr_lightning.functional.resize import check_downscale, downscale_uint8, extend, extend_to, imresize

ReadImage = Callable[[Path], Tensor]


def matlab_reference(image: np.ndarray, scale: Fraction, border: str) -> np.ndarray:
    """MATLAB's algorithm as its source has it, one output pixel at a time, for `(H, W)` in float64."""
    for axis in (0, 1):
        image = np.apply_along_axis(_matlab_reference_1d, axis, image, scale, border)
    return image


def _matlab_reference_1d(values: np.ndarray, scale: Fraction, border: str) -> np.ndarray:
    def keys(x: np.ndarray) -> np.ndarray:
        x = np.abs(x)
        inner = 1.5 * x**3 - 2.5 * x**2 + 1
        outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x <= 1, inner, np.where(x <= 2, outer, 0.0))

    size, factor = len(values), float(scale)
    shrink = min(factor, 1.0)
    width = 4 / shrink
    result = []
    for x in range(1, math.ceil(size * scale) + 1):
        center = x / factor + 0.5 * (1 - 1 / factor)
        index = math.floor(center - width / 2) + np.arange(math.ceil(width) + 2)
        weights = keys(shrink * (center - index))
        weights /= weights.sum()
        if border == "symmetric":
            mirrored = np.concatenate([np.arange(size), np.arange(size)[::-1]])
            source = mirrored[(index - 1) % (2 * size)]
        else:
            source = np.clip(index - 1, 0, size - 1)
        result.append(weights @ values[source])
    return np.array(result)


# protocol.md, section 1.1: made with a program that knows nothing of this one.
VECTOR = ((np.arange(144).reshape(12, 12) ** 2 * 37) % 256).astype(np.uint8)
DOWN_4 = [[105, 124, 118], [131, 150, 98], [102, 110, 119]]


@pytest.mark.parametrize(
    ("scale", "border", "rounding", "expected"),
    [
        (
            2,
            "symmetric",
            "uint8_each",
            [
                [82, 96, 107, 88, 137, 138],
                [109, 152, 144, 143, 133, 80],
                [70, 158, 175, 128, 86, 93],
                [109, 180, 171, 133, 48, 132],
                [115, 140, 92, 124, 111, 161],
                [87, 73, 102, 115, 104, 108],
            ],
        ),
        (
            2,
            "replicate",
            "uint8_each",
            [
                [87, 96, 107, 92, 139, 140],
                [112, 152, 144, 143, 133, 84],
                [73, 158, 175, 128, 86, 93],
                [109, 180, 171, 133, 48, 129],
                [115, 140, 92, 124, 111, 161],
                [85, 77, 102, 112, 99, 108],
            ],
        ),
        (
            3,
            "symmetric",
            "uint8_each",
            [[99, 111, 115, 127], [105, 175, 124, 89], [128, 158, 108, 118], [93, 94, 112, 120]],
        ),
        (
            3,
            "symmetric",
            "end",
            [[99, 110, 115, 128], [105, 175, 124, 89], [128, 158, 108, 118], [94, 95, 112, 120]],
        ),
        (
            3,
            "replicate",
            "uint8_each",
            [[103, 112, 117, 128], [109, 175, 124, 90], [130, 158, 108, 114], [95, 95, 111, 121]],
        ),
        (4, "symmetric", "uint8_each", DOWN_4),
        (4, "symmetric", "end", [[105, 123, 118], [131, 150, 97], [102, 110, 119]]),
        (4, "replicate", "uint8_each", [[107, 125, 117], [134, 150, 96], [105, 111, 120]]),
    ],
)
def test_the_unit_vectors_of_every_published_rule(
    scale: int, border: str, rounding: str, expected: list[list[int]]
) -> None:
    image = torch.from_numpy(VECTOR)[None, None]
    assert downscale_uint8(image, scale, border=border, rounding=rounding)[0, 0].tolist() == expected


def test_the_unit_vector_going_up() -> None:
    image = torch.tensor(DOWN_4, dtype=torch.float32)
    assert imresize(image, 2, rounding="uint8_each").tolist() == [
        [101, 107, 118, 123, 121, 120],
        [109, 115, 127, 128, 117, 111],
        [126, 133, 147, 140, 111, 97],
        [125, 131, 144, 136, 110, 97],
        [108, 111, 117, 119, 115, 114],
        [98, 100, 104, 110, 118, 122],
    ]


def taps(scale: int | Fraction, size: int, output: int) -> list[float]:
    """The weight of each input pixel in one output pixel, 0-based."""
    basis = torch.eye(size, dtype=torch.float64)[:, :, None].expand(size, size, 12)
    return imresize(basis, scale)[:, output, 0].tolist()


@pytest.mark.parametrize(
    ("scale", "size", "output", "first", "weights", "divisor"),
    [
        (Fraction(1, 2), 24, 5, 2 * 6 - 4, [-3, -9, 29, 111, 111, 29, -9, -3], 256),
        (Fraction(1, 3), 24, 3, 3 * 4 - 6, [-1, -2, 0, 9, 21, 27, 21, 9, 0, -2, -1], 81),
        (
            Fraction(1, 4),
            32,
            3,
            4 * 4 - 9,
            [-7, -45, -75, -49, 93, 399, 745, 987, 987, 745, 399, 93, -49, -75, -45, -7],
            4096,
        ),
        (2, 12, 10, 4, [-3, 29, 111, -9], 128),
        (2, 12, 11, 5, [-9, 111, 29, -3], 128),
        (3, 12, 15, 4, [-1, 9, 21, -2], 27),
        (3, 12, 16, 6, [1], 1),
        (3, 12, 17, 5, [-2, 21, 9, -1], 27),
        (4, 12, 20, 4, [-45, 399, 745, -75], 1024),
        (4, 12, 21, 4, [-7, 93, 987, -49], 1024),
        (4, 12, 22, 5, [-49, 987, 93, -7], 1024),
        (4, 12, 23, 5, [-75, 745, 399, -45], 1024),
    ],
)
def test_the_exact_taps(
    scale: int | Fraction, size: int, output: int, first: int, weights: list[int], divisor: int
) -> None:
    """`first` is 1-based as in protocol.md."""
    expected = [0.0] * size
    expected[first - 1 : first - 1 + len(weights)] = [weight / divisor for weight in weights]
    assert taps(scale, size, output) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("blocks", [(1, 1), (1, 2), (5, 3)])
def test_equals_matlabs_algorithm_even_where_the_image_is_smaller_than_the_kernel(
    scale: int, border: str, blocks: tuple[int, int]
) -> None:
    height, width = blocks
    small = torch.rand(height, width, dtype=torch.float64)
    large = torch.rand(height * scale, width * scale, dtype=torch.float64)
    for image, factor in ((small, Fraction(scale)), (large, Fraction(1, scale))):
        expected = matlab_reference(image.numpy(), factor, border)
        np.testing.assert_allclose(imresize(image, factor, border=border).numpy(), expected, atol=1e-13)
        in_float32 = imresize(image.float(), factor, border=border)
        np.testing.assert_allclose(in_float32.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_equals_pillow_pass_by_pass_on_a_mirrored_border(scale: int) -> None:
    pixels = np.random.default_rng(scale).integers(0, 256, (12 * scale, 9 * scale, 3), dtype=np.uint8)
    margin = 4 * scale
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    image = Image.fromarray(padded)
    image = image.resize((image.width, image.height // scale), Image.Resampling.BICUBIC)
    image = image.resize((image.width // scale, image.height), Image.Resampling.BICUBIC)
    expected = np.asarray(image)[4:-4, 4:-4]
    lr = downscale_uint8(torch.from_numpy(pixels).permute(2, 0, 1)[None], scale)
    # Pillow's fixed point decides a few exact halves of noise otherwise; photographs are equal (below).
    difference = np.abs(lr[0].permute(1, 2, 0).numpy().astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("benchmark", ["Set5", "Set14", "BSD100"])
def test_every_published_lr_file_bit_for_bit(shared: Path, read_image: ReadImage, benchmark: str, scale: int) -> None:
    folder = shared / "data" / "benchmarks" / benchmark
    files = sorted((folder / "HR").glob("*.png"))
    different = []
    for path in files:
        hr = read_image(path)
        published = read_image(folder / "LR_bicubic" / f"x{scale}" / f"{path.stem}x{scale}.png")
        height, width = hr.shape[-2] // scale * scale, hr.shape[-1] // scale * scale
        if not torch.equal(downscale_uint8(hr[..., :height, :width], scale), published):
            different.append(path.name)
    assert len(files) == {"Set5": 5, "Set14": 14, "BSD100": 100}[benchmark]
    assert different == []


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matlabs_own_double_arrays_down_and_up_again(shared: Path, read_image: ReadImage, scale: int) -> None:
    oracle = np.load(shared / "data" / "oracles" / "matlab_imresize" / f"butterfly_x{scale}.npz")
    matlab_lr = torch.from_numpy(oracle["im_l"]).permute(2, 0, 1)
    matlab_up_y = torch.from_numpy(oracle["im_b_y"])
    side = len(matlab_up_y)
    hr = read_image(shared / "data" / "benchmarks" / "Set5" / "HR" / "butterfly.png")[0, :, :side, :side]

    lr = imresize(hr.double(), Fraction(1, scale))
    assert (lr - matlab_lr).abs().max() < 1e-9
    up_y = rgb_to_y(imresize(matlab_lr, scale) / 255)[0] * 255
    assert (up_y - matlab_up_y).abs().max() < 1e-9
    # The whole way without MATLAB's LR in between.
    assert (rgb_to_y(imresize(lr, scale) / 255)[0] * 255 - matlab_up_y).abs().max() < 1e-9


@pytest.mark.parametrize("shape", [(6, 8), (3, 6, 8), (2, 3, 6, 8), (5, 2, 3, 6, 8)])
def test_any_leading_axes_and_the_dtype_are_kept(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, dtype=torch.float64)
    up = imresize(image, 3)
    assert up.dtype == torch.float64
    assert up.shape == (*shape[:-2], 18, 24)
    assert torch.allclose(imresize(image.reshape(-1, 6, 8), 3).reshape(up.shape), up, rtol=0, atol=1e-15)


def test_memory_layout_does_not_change_the_result() -> None:
    image = torch.rand(2, 3, 10, 8)
    other = imresize(image.contiguous(memory_format=torch.channels_last), 2)
    assert torch.allclose(imresize(image, 2), other, rtol=0, atol=1e-6)


def test_rounds_halves_up_and_clips() -> None:
    # A flat image keeps its value through the filter; a bright edge overshoots on both sides.
    flat = torch.full((1, 4, 4), 100.5, dtype=torch.float64)
    assert imresize(flat, Fraction(1, 2), rounding="end").unique().tolist() == [101.0]
    edge = torch.cat([torch.zeros(8, 8), torch.full((8, 8), 255.0)], dim=1)
    assert imresize(edge, 2).min() < -1
    assert imresize(edge, 2).max() > 256
    for rounding in ("end", "uint8_each"):
        rounded = imresize(edge, 2, rounding=rounding)
        assert (rounded.min(), rounded.max()) == (0, 255)
        assert torch.equal(rounded, rounded.round())


class Up(nn.Module):
    def forward(self, lr: Tensor) -> Tensor:
        return imresize(lr, 4)


def test_exports_with_free_height_and_width() -> None:
    height, width = torch.export.Dim("height", min=2, max=512), torch.export.Dim("width", min=2, max=512)
    program = torch.export.export(Up(), (torch.rand(1, 1, 9, 11),), dynamic_shapes={"lr": {2: height, 3: width}})
    # Smaller than what a mirror by flips would need, and larger than the example.
    for size in ((2, 2), (17, 5)):
        lr = torch.rand(1, 1, *size)
        assert torch.allclose(program.module()(lr), imresize(lr, 4), rtol=0, atol=1e-6)


def test_is_one_graph_for_the_compiler() -> None:
    compiled = torch.compile(Up(), backend="eager", fullgraph=True)
    lr = torch.rand(1, 3, 6, 7)
    assert torch.equal(compiled(lr), imresize(lr, 4))


def test_passes_the_gradient() -> None:
    image = torch.rand(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: imresize(x, 2), (image,))
    assert torch.autograd.gradcheck(lambda x: imresize(x, Fraction(1, 2)), (image,))


@pytest.mark.parametrize("scale", [0, -2, Fraction(3, 2), Fraction(2, 3), 0.25])
def test_refuses_other_factors(scale: int) -> None:
    with pytest.raises(ValueError, match="scale must be an integer n or Fraction"):
        imresize(torch.rand(1, 1, 8, 8), scale)


def test_refuses_a_size_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match=r"divisible by 4, got 8x10; modcrop first"):
        imresize(torch.rand(1, 1, 8, 10), Fraction(1, 4))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float16])
def test_refuses_dtypes_that_cannot_hold_the_result(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match="needs a float32 or float64 image"):
        imresize(torch.zeros(1, 1, 8, 8, dtype=dtype), 2)


def test_refuses_unknown_names() -> None:
    image = torch.rand(1, 1, 8, 8)
    with pytest.raises(ValueError, match="border must be one of symmetric, replicate; got 'reflect'"):
        imresize(image, 2, border="reflect")
    with pytest.raises(ValueError, match="rounding must be one of none, end, uint8_each; got 'uint8'"):
        imresize(image, 2, rounding="uint8")


def test_downscale_uint8_refuses_floats() -> None:
    with pytest.raises(ValueError, match="needs a uint8 image"):
        downscale_uint8(torch.rand(1, 1, 8, 8), 2)


@pytest.mark.parametrize(
    ("scale", "border", "rounding", "message"),
    [
        (2, "symmetric", "none", "must be rounded"),
        (2, "mirror", "end", "border must be one of"),
        (2, "symmetric", "each", "rounding must be one of"),
        (0, "symmetric", "end", "scale must be a whole number from 1 on, got 0"),
        (2.0, "symmetric", "end", "scale must be a whole number"),
    ],
)
def test_check_downscale(scale: int, border: str, rounding: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_downscale(scale, border=border, rounding=rounding)
    with pytest.raises(ValueError, match=message):
        downscale_uint8(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), scale, border=border, rounding=rounding)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("rounding", ["uint8_each", "end"])
def test_uint16_is_rounded_to_its_own_levels(scale: int, rounding: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (12 * scale, 9 * scale)).astype(np.uint16)
    lr = downscale_uint8(torch.from_numpy(pixels)[None, None], scale, rounding=rounding, levels=65536)
    expected = pixels.astype(np.float64)
    for axis in (0, 1):
        expected = np.apply_along_axis(_matlab_reference_1d, axis, expected, Fraction(1, scale), "symmetric")
        if rounding == "uint8_each" or axis == 1:
            expected = np.clip(np.floor(expected + 0.5), 0, 65535)
    assert lr.dtype == torch.uint16
    assert np.array_equal(lr[0, 0].numpy(), expected.astype(np.uint16))


def test_uint16_of_8_bit_values_agrees_with_uint8_where_nothing_overshoots() -> None:
    pixels = torch.randint(100, 150, (1, 3, 24, 24), dtype=torch.uint8)
    fine = downscale_uint8((pixels.to(torch.int32) * 257).to(torch.uint16), 2, levels=65536)
    difference = fine.to(torch.float64) / 257 - downscale_uint8(pixels, 2).to(torch.float64)
    assert difference.abs().max() < 1.2


def test_levels_and_dtype_must_agree() -> None:
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"needs a uint16 image for 65536 levels, got torch\.uint8"):
        downscale_uint8(image, 2, levels=65536)
    with pytest.raises(ValueError, match=r"needs a uint8 image for 256 levels, got torch\.uint16"):
        downscale_uint8(image.to(torch.uint16), 2)
    with pytest.raises(ValueError, match=r"levels must be 256 \(uint8\) or 65536 \(uint16\), got 1024"):
        downscale_uint8(image, 2, levels=1024)


@pytest.mark.parametrize(
    ("border", "mode"), [("symmetric", "symmetric"), ("replicate", "edge"), ("reflect", "reflect")]
)
@pytest.mark.parametrize("margin", [0, 3, 17])
@pytest.mark.parametrize("size", [(1, 4), (2, 1), (5, 6)])
def test_extends_as_numpy_does(border: str, mode: str, margin: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((2, *size))
    expected = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode=mode)
    assert np.array_equal(extend(torch.from_numpy(image), margin, border).numpy(), expected)


@pytest.mark.parametrize(
    ("border", "mode"), [("symmetric", "symmetric"), ("replicate", "edge"), ("reflect", "reflect")]
)
@pytest.mark.parametrize(
    ("size", "multiple", "smallest", "expected"),
    [((8, 4), 4, 1, (8, 4)), ((9, 3), 4, 1, (12, 4)), ((1, 2), 8, 1, (8, 8)), ((3, 30), 1, 21, (21, 30)),
     ((3, 30), 4, 21, (24, 32))],
)  # fmt: skip
def test_extends_to_a_size_that_a_network_takes(
    border: str, mode: str, size: tuple[int, int], multiple: int, smallest: int, expected: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).random((2, *size))
    extended = extend_to(torch.from_numpy(image), border=border, multiple=multiple, smallest=smallest)
    padding = ((0, 0), *((0, side - had) for side, had in zip(expected, size, strict=True)))
    assert np.array_equal(extended.numpy(), np.pad(image, padding, mode=mode))


def test_extending_and_cropping_export_with_free_height_and_width() -> None:
    class Padded(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            height, width = image.shape[-2:]
            return crop_to(extend_to(image, border="reflect", multiple=8, smallest=16) + 1, height, width)

    free = {side: torch.export.Dim(name, min=2, max=512) for side, name in ((2, "height"), (3, "width"))}
    program = torch.export.export(Padded(), (torch.rand(1, 3, 12, 16),), dynamic_shapes=(free,))
    for size in ((2, 7), (16, 24), (33, 50)):
        image = torch.rand(1, 3, *size)
        assert torch.equal(program.module()(image), image + 1)


def test_extend_refuses_another_border() -> None:
    with pytest.raises(ValueError, match="border must be one of symmetric, replicate, reflect; got 'wrap'"):
        extend(torch.rand(1, 4, 4), 1, "wrap")
    with pytest.raises(ValueError, match="border must be one of symmetric, replicate, reflect; got 'wrap'"):
        extend_to(torch.rand(1, 4, 4), border="wrap")
