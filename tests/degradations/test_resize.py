import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.degradations.resize import Resize

# protocol.md, section 1.1's image; what OpenCV 5.0 makes of it with INTER_CUBIC.
VECTOR = ((np.arange(144).reshape(12, 12) ** 2 * 37) % 256).astype(np.uint8)
OPENCV = {
    2: [
        [93, 118, 103, 67, 187, 167],
        [116, 183, 125, 145, 110, 71],
        [65, 163, 149, 137, 73, 47],
        [74, 255, 199, 112, 21, 128],
        [131, 144, 57, 104, 147, 206],
        [77, 57, 100, 106, 70, 112],
    ],
    3: [[109, 0, 45, 244], [5, 208, 53, 52], [61, 64, 221, 20], [21, 80, 37, 148]],
    4: [[104, 144, 143], [137, 163, 95], [58, 115, 99]],
}


def shrink(image: np.ndarray, scale: int, kind: str) -> np.ndarray:
    """`(H, W)` uint8 to the same."""
    hr = torch.from_numpy(image)[None, None] / 255
    lr = Resize(scale=scale, kind=kind)(hr, samples=[0], seed=0)
    return (lr[0, 0] * 255).round().to(torch.uint8).numpy()


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (24, 33)])
def test_pil_is_pillows_to_the_bit(scale: int, height: int, width: int) -> None:
    image = np.random.default_rng(scale).integers(0, 256, (height * scale, width * scale), dtype=np.uint8)
    expected = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    assert np.array_equal(shrink(image, scale, "pil"), np.asarray(expected))


@pytest.mark.parametrize("scale", OPENCV)
def test_cv2_is_opencvs(scale: int) -> None:
    assert shrink(VECTOR, scale, "cv2").tolist() == OPENCV[scale]


def test_bilinear_takes_the_pixels_around_the_centre() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 36), dtype=np.uint8)
    assert np.array_equal(shrink(image, 3, "bilinear"), image[1::3, 1::3])
    for scale in (2, 4):
        first = scale // 2 - 1
        four = sum(
            image[first + y :: scale, first + x :: scale][: 24 // scale, : 36 // scale].astype(int)
            for y in (0, 1)
            for x in (0, 1)
        )
        assert np.array_equal(shrink(image, scale, "bilinear"), (four + 2) // 4)


def test_kinds_differ_and_are_made_on_the_fly() -> None:
    kinds = [Resize(scale=4, kind=kind) for kind in ("pil", "cv2", "bilinear")]
    assert len({one.name for one in kinds}) == 3
    assert not any(one.stored for one in kinds)
    assert len({shrink(VECTOR, 2, one.kind).tobytes() for one in kinds}) == 3


def test_refuses_another_kind() -> None:
    with pytest.raises(ValueError, match="kind must be one of pil, cv2, bilinear; got 'lanczos'"):
        Resize(scale=4, kind="lanczos")
