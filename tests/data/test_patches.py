import pickle
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from sr_lightning.data.patches import ALL_CODES, GlobalBatchSampler, PatchDataset, PatchSettings, plan_patches
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store
from sr_lightning.functional.draws import splitmix64

SIZES = [np.array([[24, 40], [31, 24], [50, 50]])]


class Nth:
    """LR is each n-th pixel of HR: the place of a patch can be read off its values."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.name = f"each {scale}th"

    def downscale(self, image: Tensor) -> Tensor:
        return image[..., :: self.scale, :: self.scale].contiguous()


@pytest.fixture
def open_store(folder: Path, tmp_path: Path) -> Callable[..., Store]:
    def open_or_build(
        paths: list[Path] | None = None, *, scales: tuple[int, ...] = (2,), min_side: int = 16, **options: Any
    ) -> Store:
        return Store.open_or_build(
            paths or list_images(folder),
            cache_dir=tmp_path / "cache",
            scales=scales,
            degradation={scale: Nth(scale) for scale in scales},
            min_side=min_side,
            **options,
        )

    return open_or_build


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


def patches(*stores: Store, weights: Any = None, seed: int = 1, plan: bool = False, **changes: Any) -> PatchDataset:
    settings = PatchSettings(**{"lr_patch": 8, "scales": (2,), "batch_size": 8, **changes})
    return PatchDataset(stores, weights or [None] * len(stores), settings=settings, seed=seed, plan_only=plan)


def sampler(
    batch_size: int = 4, rank: int = 0, world_size: int = 1, accumulate: int = 1, start_step: int = 0
) -> GlobalBatchSampler:
    return GlobalBatchSampler(
        batch_size=batch_size, rank=rank, world_size=world_size, accumulate=accumulate, start_step=start_step
    )


def plan(samples: Any, *, seed: int = 0, sizes: Any = SIZES, weights: Any = (1.0,), **options: Any) -> Any:
    return plan_patches(samples, seed=seed, sizes=sizes, weights=weights, **{"scale": 1, "lr_patch": 24, **options})


def hand_through(batch: dict[str, Any]) -> dict[str, Any]:
    return batch


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.keys() != other.keys():
        return False
    return all(torch.equal(v, other[k]) if isinstance(v, Tensor) else v == other[k] for k, v in one.items())


def test_splitmix64_gives_the_published_numbers() -> None:
    # The generator's first outputs for the state 1234567, as in its reference implementations.
    numbers = splitmix64(1234567, np.arange(5, dtype=np.uint64))
    assert numbers.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_plan_depends_on_seed_and_sample_alone() -> None:
    together = plan(range(1000), seed=3)
    for k in (0, 1, 7, 500, 999):
        assert [values[k] for values in together] == [values[0] for values in plan([k], seed=3)]
    for values, reverse in zip(together, plan(range(999, -1, -1), seed=3), strict=True):
        np.testing.assert_array_equal(values, reverse[::-1])


def test_plan_is_the_same_for_ever() -> None:
    # Resuming a run with a newer version must go on with the same samples.
    frozen = plan([0, 1, 2, 10**12], sizes=[SIZES[0], SIZES[0][:2]], weights=[1, 2])
    # Store, image, top, left, height, width and dihedral code of each, worked out in Python's integers.
    assert np.stack(frozen, axis=1).tolist() == [
        [1, 0, 0, 8, 24, 24, 5],
        [1, 0, 0, 16, 24, 24, 7],
        [1, 1, 0, 0, 24, 24, 5],
        [0, 1, 3, 0, 24, 24, 7],
    ]


def test_plan_is_uniform_and_every_place_is_reached() -> None:
    samples = 60_000
    many = plan(range(samples))
    assert np.bincount(many.image) == pytest.approx(samples / 3, rel=0.03)
    assert np.bincount(many.dihedral) == pytest.approx(samples / 8, rel=0.05)
    for image, (height, width) in enumerate(SIZES[0]):
        tops, lefts = many.top[many.image == image], many.left[many.image == image]
        assert set(tops) == set(range(height - 23))
        assert set(lefts) == set(range(width - 23))
        assert np.bincount(tops) == pytest.approx(len(tops) / (height - 23), rel=0.25)
    # Draws of one sample are independent of each other and of the next sample's.
    largest = many.image == 2
    for first, second in (
        (many.top[largest], many.left[largest]),
        (many.image, many.dihedral),
        (many.dihedral[1:], many.dihedral[:-1]),
        (many.image[1:], many.image[:-1]),
    ):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


@pytest.mark.parametrize("seeds", [(0, 1), (0, 0x9E3779B97F4A7C15), (-1, 1), (2**64, 1)])
def test_seeds_give_unrelated_streams(seeds: tuple[int, int]) -> None:
    one, other = (plan(range(4000), seed=seed).dihedral for seed in seeds)
    for shift in range(3):  # neighbouring seeds must not be shifts of one stream
        assert (one[shift:] == other[: 4000 - shift]).mean() == pytest.approx(1 / 8, abs=0.03)


def test_stores_are_chosen_by_weight_and_their_images_equally() -> None:
    many = plan(range(40_000), sizes=[SIZES[0], np.full((6, 2), 30)], weights=[1.0, 3.0])
    assert np.bincount(many.store) == pytest.approx([10_000, 30_000], rel=0.05)
    for store, images in ((0, 3), (1, 6)):
        chosen = np.bincount(many.image[many.store == store])
        assert chosen == pytest.approx(np.full(images, (many.store == store).sum() / images), rel=0.07)
    assert many.top[many.store == 1].max() == 6


def test_codes_are_those_asked_for() -> None:
    assert set(plan(range(200), codes=(0, 3)).dihedral) == {0, 3}
    assert set(plan(range(200)).dihedral) == set(ALL_CODES)


def test_centre_takes_the_same_images_from_their_middle() -> None:
    centre, random = (plan(range(100), crop=crop) for crop in ("centre", "random"))
    for field in ("store", "image", "dihedral"):
        np.testing.assert_array_equal(getattr(centre, field), getattr(random, field))
    np.testing.assert_array_equal(np.stack([centre.top, centre.left], 1), (SIZES[0][centre.image] - 24) // 2)
    assert set(centre.height) == set(centre.width) == {24}


def test_whole_images_have_their_own_sides_and_keep_them_when_turned() -> None:
    whole = plan(range(300), crop="whole", scale=2, lr_patch=1000)
    np.testing.assert_array_equal(np.stack([whole.height, whole.width], 1), SIZES[0][whole.image] // 2)
    assert not whole.top.any()
    assert not whole.left.any()
    assert set(whole.dihedral[whole.image == 0]) == {0, 1, 2, 3}
    assert set(whole.dihedral[whole.image == 2]) == set(ALL_CODES)  # the square one


def test_planning_touches_the_sizes_of_the_chosen_alone() -> None:
    class Sizes:
        """As many images as fit into no memory."""

        def __len__(self) -> int:
            return 10**12

        def __getitem__(self, index: Any) -> Any:
            assert index.shape == (16,)
            assert (index > 10**8).any()
            return np.full((16, 2), 100)

    assert plan(range(16), sizes=[Sizes()]).image.max() < 10**12


def test_patches_lie_where_the_plan_says_in_lr_and_hr(store: Store) -> None:
    dataset = patches(store, seed=5)
    samples = range(100, 140)
    places = dataset.plan(samples, 2)
    batch = dataset.__getitems__(samples)
    assert batch["lr"].shape == (40, 3, 8, 8)
    assert batch["hr"].shape == (40, 3, 16, 16)
    assert batch["samples"] == list(samples)
    assert batch["scale"] == 2
    assert batch["dihedral"].dtype == torch.int64
    assert batch["dihedral"].tolist() == places.dihedral.tolist()
    for n, (image, top, left) in enumerate(zip(places.image, places.top, places.left, strict=True)):
        lr = store.lr(image, 2)[top : top + 8, left : left + 8]
        hr = store.hr(image)[2 * top : 2 * top + 16, 2 * left : 2 * left + 16]
        np.testing.assert_array_equal(batch["lr"][n].permute(1, 2, 0), lr)
        np.testing.assert_array_equal(batch["hr"][n].permute(1, 2, 0), hr)
    assert set(places.image.tolist()) == {0, 1, 2, 3}
    # This LR is every second pixel of HR: the two patches show the same place.
    assert torch.equal(batch["lr"], batch["hr"][:, :, ::2, ::2])


def test_batches_are_uint8_and_channels_last_in_memory(store: Store) -> None:
    batch = patches(store).__getitems__([0, 1])
    for key in ("lr", "hr"):
        assert batch[key].dtype == torch.uint8
        assert batch[key].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("margin", [2, 6, 50])
def test_margin_is_the_surroundings_and_mirrored_at_borders(store: Store, margin: int) -> None:
    dataset, samples = patches(store, margins={2: margin}), range(80)
    batch = dataset.__getitems__(samples)
    assert set(batch) == {"hr", "samples", "scale", "dihedral"}
    places = dataset.plan(samples, 2)
    at_border = 0
    for n, (image, top, left) in enumerate(zip(places.image, places.top * 2, places.left * 2, strict=True)):
        height, width = store.sizes[image] // 2 * 2
        # 50 is more than the shorter sides: mirrored twice.
        hr = np.pad(store.hr(image)[:height, :width], ((margin, margin), (margin, margin), (0, 0)), "symmetric")
        expected = hr[top : top + 16 + 2 * margin, left : left + 16 + 2 * margin]
        np.testing.assert_array_equal(batch["hr"][n].permute(1, 2, 0), expected)
        at_border += min(top, left, height - top - 16, width - left - 16) < margin
    assert at_border > 0
    assert margin == 50 or at_border < 80


def test_centre_and_whole_patches_come_from_their_images(store: Store, open_store: Callable[..., Store]) -> None:
    dataset = patches(store, crop="centre")
    batch, places = dataset.__getitems__(range(8)), dataset.plan(range(8), 2)
    for n, image in enumerate(places.image):
        top, left = (store.sizes[image] // 2 - 8) // 2 * 2
        np.testing.assert_array_equal(
            batch["hr"][n].permute(1, 2, 0), store.hr(image)[top : top + 16, left : left + 16]
        )
    whole = patches(store, crop="whole", lr_patch=99)
    (image,) = whole.plan([4], 2).image
    one = whole.__getitems__([4])
    height, width = store.sizes[image] // 2 * 2
    np.testing.assert_array_equal(one["hr"][0].permute(1, 2, 0), store.hr(image)[:height, :width])
    np.testing.assert_array_equal(one["lr"][0].permute(1, 2, 0), store.lr(image, 2))


def test_resized_images_are_patches(open_store: Callable[..., Store]) -> None:
    batch = patches(open_store(resize=16), crop="resize").__getitems__(range(4))
    assert batch["hr"].shape == (4, 3, 16, 16)


def test_whole_images_of_different_sizes_are_refused(
    store: Store, open_store: Callable[..., Store], save_image: Callable[..., Path], tmp_path: Path
) -> None:
    # 41x33 and 50x39, 65x31, 35x35
    expected = r"whole images of different sizes .* got a\.png \(41x33\) and bb\.png \(50x39\); use data\.batch_size=1"
    with pytest.raises(DataError, match=expected):
        patches(store, crop="whole").check_one_size()
    with pytest.raises(DataError, match=r"different sizes .* got \S+ \(\d+x\d+\) and \S+ \(\d+x\d+\)"):
        patches(store, crop="whole").__getitems__(range(8))
    equal = open_store([save_image(tmp_path / f"equal/{n}.png", 40 + n, 33) for n in range(2)])
    dataset = patches(equal, crop="whole")  # what the scale does not divide is cut off
    dataset.check_one_size()
    assert dataset.__getitems__(range(8))["hr"].shape == (8, 3, 32, 40)
    with pytest.raises(DataError, match=r"0\.png \(40x33\) and a\.png \(41x33\)|0\.png \(40x33\) and bb\.png"):
        patches(equal, store, crop="whole").check_one_size()


def test_patch_larger_than_an_image_is_refused(store: Store) -> None:
    with pytest.raises(DataError, match=r"at least 40x40 pixels, got one with a side of 31; .*min_side=40"):
        patches(store, lr_patch=20)
    with pytest.raises(DataError, match=r"at least 32x32 pixels, got one with a side of 31"):
        patches(store, scales=(2, 4))


def test_weights_default_to_the_number_of_images(store: Store, open_store: Callable[..., Store], folder: Path) -> None:
    other = open_store(list_images(folder / "sub"))
    assert patches(store, other).weights == [4.0, 2.0]
    assert patches(store, other, weights=[None, 0.5]).weights == [4.0, 0.5]
    mixed = patches(store, other, weights=[1.0, 1.0])
    places = mixed.plan(range(400), 2)
    assert np.bincount(places.store) == pytest.approx(200, rel=0.15)
    batch = mixed.__getitems__(range(8))
    for n, (number, image, top, left) in enumerate(zip(*mixed.plan(range(8), 2)[:4], strict=True)):
        lr = (store, other)[number].lr(image, 2)[top : top + 8, left : left + 8]
        np.testing.assert_array_equal(batch["lr"][n].permute(1, 2, 0), lr)
    with pytest.raises(DataError, match=r"weights above 0 for all sets of images, got \[4\.0, 0\.0\]"):
        patches(store, other, weights=[None, 0.0])


def test_stores_of_different_channels_are_refused(store: Store, open_store: Callable[..., Store]) -> None:
    with pytest.raises(DataError, match=r"equal channels, got sets of \[3, 1\] channels"):
        patches(store, open_store(channels=1))


def test_sixteen_bits_beside_eight(store: Store, open_store: Callable[..., Store], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (33, 40), np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    deep, grey = open_store([tmp_path / "deep.png"], channels=1), open_store(channels=1)
    mixed = patches(deep, grey, weights=[1.0, 1.0])
    batch, places = mixed.__getitems__(range(20)), mixed.plan(range(20), 2)
    assert batch["lr"].dtype == batch["hr"].dtype == torch.uint16
    assert set(places.store) == {0, 1}
    for n, (number, image, top, left) in enumerate(zip(*places[:4], strict=True)):
        for key, image_of in (("lr", lambda s, i: s.lr(i, 2)), ("hr", lambda s, i: s.hr(i))):
            factor, side = (1, 8) if key == "lr" else (2, 16)
            whole = image_of(deep, image) if number == 0 else image_of(grey, image).astype(np.uint16) * 257
            cut = whole[top * factor : top * factor + side, left * factor : left * factor + side]
            np.testing.assert_array_equal(batch[key][n].permute(1, 2, 0).numpy(), cut)
    # White stays white, whatever the depth.
    assert 255 * 257 == 65535


def test_scale_changes_from_step_to_step_and_lr_keeps_its_size(open_store: Callable[..., Store]) -> None:
    store = open_store(scales=(2, 3))
    dataset = patches(store, scales=(2, 3), batch_size=4)
    seen = []
    for step in range(40):
        samples = range(4 * step, 4 * step + 4)
        batch = dataset.__getitems__(samples)
        scale = batch["scale"]
        seen.append(scale)
        assert batch["lr"].shape == (4, 3, 8, 8)
        assert torch.equal(batch["lr"], batch["hr"][:, :, ::scale, ::scale])
        # The micro-batches of a step have its scale.
        assert [dataset.scale_of([k]) for k in samples] == [scale] * 4
    assert 10 < seen.count(2) < 30
    assert len({tuple(seen[n : n + 3]) for n in range(38)}) > 6  # no pattern
    assert [patches(store, scales=(2, 3), batch_size=4, seed=2).scale_of([4 * n]) for n in range(40)] != seen
    with pytest.raises(ValueError, match=r"samples of one optimiser step, got those of steps \[0, 1\]"):
        dataset.__getitems__([3, 4])


def test_batches_across_blocks_of_the_plan_are_cut_as_planned(store: Store) -> None:
    dataset = patches(store, plan=True)
    # Within a block, across two, backwards, far away, and with the scale of another block.
    for samples in (range(8), range(1020, 1030), range(2000, 1990, -1), [10**12 + 1], range(8)):
        batch = dataset.__getitems__(samples)
        for values, expected in zip(batch["plan"], dataset.plan(samples, 2), strict=True):
            np.testing.assert_array_equal(values, expected)


def test_stores_are_asked_for_a_batch_before_it_is_cut(
    open_store: Callable[..., Store], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = open_store(), open_store(list_images(folder / "sub"))
    asked: list[tuple[int, list[tuple[int, int, int]], int, int]] = []
    for number, store in enumerate(stores):
        monkeypatch.setattr(
            store, "ask_for", lambda places, *, side, scale, number=number: asked.append((number, places, side, scale))
        )
    dataset = patches(*stores)
    dataset.__getitems__(range(40, 48))
    places = dataset.plan(range(40, 48), 2)
    rows = list(zip(places.store, places.image, 2 * places.top, 2 * places.left, strict=True))
    assert asked == [(number, [row[1:] for row in rows if row[0] == number], 16, 2) for number in (0, 1)]
    asked.clear()
    patches(*stores, crop="whole").__getitems__([0])
    assert asked == []


def test_plan_only_hands_over_no_pixels(store: Store) -> None:
    batch = patches(store, plan=True).__getitems__([3, 4])
    assert set(batch) == {"samples", "scale", "dihedral", "plan"}
    for values, expected in zip(batch["plan"], patches(store).plan([3, 4], 2), strict=True):
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_change_nothing(store: Store, context: str) -> None:
    def batches(workers: int) -> list[dict[str, Any]]:
        loader = DataLoader(
            patches(store),
            batch_sampler=sampler(start_step=3),
            collate_fn=hand_through,
            num_workers=workers,
            multiprocessing_context=context if workers else None,
        )
        return list(islice(loader, 5))

    # A spawned process imports torch once more: one of them is enough.
    for alone, parallel in zip(batches(0), batches(2 if context == "fork" else 1), strict=True):
        assert same(alone, parallel)
        assert parallel["hr"].is_contiguous(memory_format=torch.channels_last)


def test_dataset_is_pickled_as_a_path(store: Store) -> None:
    dataset = patches(store)
    dataset.__getitems__(range(8))
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 2000 < store.hr(0).nbytes
    assert same(pickle.loads(pickled).__getitems__(range(8)), dataset.__getitems__(range(8)))


@pytest.mark.parametrize(("world_size", "accumulate"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
def test_ranks_and_accumulation_share_one_stream(world_size: int, accumulate: int) -> None:
    micro_batch = 16 // (world_size * accumulate)
    ranks = [islice(sampler(micro_batch, rank, world_size, accumulate), 3 * accumulate) for rank in range(world_size)]
    stream = [k for together in zip(*ranks, strict=True) for batch in together for k in batch]
    assert stream == list(range(3 * 16))


def test_micro_batches_of_a_rank_are_those_of_the_contract() -> None:
    batches = list(islice(sampler(2, rank=1, world_size=3, accumulate=2, start_step=5), 4))
    # B = 12; step 5 begins at 60; micro-batch j of rank 1 at 60 + (3 j + 1) * 2.
    assert batches == [[62, 63], [68, 69], [74, 75], [80, 81]]


@pytest.mark.parametrize("rank", [0, 1])
def test_resumed_stream_goes_on_where_it_stopped(rank: int) -> None:
    whole = list(islice(sampler(2, rank, 2, accumulate=3), 8 * 3))
    assert list(islice(sampler(2, rank, 2, accumulate=3, start_step=5), 3 * 3)) == whole[5 * 3 :]


def test_sampler_has_no_length_so_that_trainers_count_steps() -> None:
    assert not hasattr(sampler(), "__len__")


def test_two_ranks_see_what_one_sees(store: Store) -> None:
    dataset = patches(store, seed=2)
    alone, first, second = (iter(each) for each in (sampler(8), sampler(4, 0, 2), sampler(4, 1, 2)))
    for _ in range(3):
        whole, *parts = (dataset.__getitems__(next(each)) for each in (alone, first, second))
        for key in ("lr", "hr", "dihedral"):
            assert torch.equal(whole[key], torch.cat([part[key] for part in parts]))
