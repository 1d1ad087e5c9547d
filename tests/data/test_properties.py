"""What holds for any size, scale, place and seed."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_lightning.data.patches import plan_patches
from sr_lightning.data.store import Store
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.functional.resize import downscale_uint8

sides = st.integers(8, 600)
scales = st.sampled_from([2, 3, 4, 8])


def random_pixels(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), scale=scales, sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=3))
def test_a_store_gives_back_every_pixel(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, scale: int, sizes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    images = [random_pixels(*size, seed) for seed, size in enumerate(sizes)]
    paths = [folder / f"{number}.png" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path, compress_level=0)
    store = Store.open_or_build(
        paths, cache_dir=folder / "cache", scales=[scale], degradation=Bicubic(scale=scale), min_side=scale
    )
    for index, image in enumerate(images):
        assert np.array_equal(store.hr(index), image)
        height, width = (side // scale for side in image.shape[:2])
        whole = torch.from_numpy(image[: height * scale, : width * scale]).permute(2, 0, 1)[None]
        lr = downscale_uint8(whole, scale)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(store.lr(index, scale), lr)
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        out = np.empty((data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left)), 3), np.uint8)
        store.cut_lr(index, scale, top, left, out)
        assert np.array_equal(out, lr[top : top + out.shape[0], left : left + out.shape[1]])
        store.cut_hr(index, top, left, out)
        assert np.array_equal(out, image[top : top + out.shape[0], left : left + out.shape[1]])


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(-(2**40), 2**70),
    samples=st.lists(st.integers(0, 2**60), min_size=1, max_size=20),
    scale=scales,
    lr_patch=st.integers(1, 12),
    extra=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=4),
    weight=st.floats(0.01, 100),
)
def test_every_patch_lies_in_its_image_and_is_the_samples_own(
    seed: int, samples: list[int], scale: int, lr_patch: int, extra: list[tuple[int, int]], weight: float
) -> None:
    sizes = [np.array(extra) + lr_patch * scale, np.array(extra[:1]) + lr_patch * scale]

    def plan(numbers: list[int]) -> list[tuple[int, ...]]:
        planned = plan_patches(numbers, seed=seed, sizes=sizes, weights=[1.0, weight], scale=scale, lr_patch=lr_patch)
        return list(zip(*(column.tolist() for column in planned), strict=True))

    together = plan(samples)
    for number, (store, image, top, left, height, width, dihedral) in zip(samples, together, strict=True):
        assert (height, width) == (lr_patch, lr_patch)
        assert 0 <= top <= sizes[store][image][0] // scale - lr_patch
        assert 0 <= left <= sizes[store][image][1] // scale - lr_patch
        assert 0 <= dihedral < 8
        assert plan([number]) == [(store, image, top, left, height, width, dihedral)]


@settings(max_examples=100, deadline=None)
@given(scale=scales, height=st.integers(1, 30), width=st.integers(1, 30), seed=st.integers(0, 1000))
def test_downscaling_knows_no_direction_and_keeps_a_plain_colour(
    scale: int, height: int, width: int, seed: int
) -> None:
    image = torch.from_numpy(random_pixels(height * scale, width * scale, seed)).permute(2, 0, 1)[None]
    lr = downscale_uint8(image, scale)
    assert lr.shape == (1, 3, height, width)
    for axis in (-1, -2):
        assert torch.equal(downscale_uint8(image.flip(axis), scale).flip(axis), lr)
    plain = torch.full_like(image, seed % 256)
    assert torch.equal(downscale_uint8(plain, scale), torch.full_like(lr, seed % 256))
