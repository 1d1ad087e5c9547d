import pickle
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sr_lightning.data.patches import GlobalBatchSampler, PatchDataset, plan_patches
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Store
from sr_lightning.functional.draws import splitmix64

SIZES = np.array([[24, 40], [31, 24], [50, 50]])


@pytest.fixture
def store(folder: Path, tmp_path: Path, every_nth: type[Any]) -> Store:
    return Store.open_or_build(
        list_images(folder), cache_dir=tmp_path / "cache", scale=2, degradation=every_nth(2), min_side=16
    )


def sampler(
    batch_size: int = 4, rank: int = 0, world_size: int = 1, accumulate: int = 1, start_step: int = 0
) -> GlobalBatchSampler:
    return GlobalBatchSampler(
        batch_size=batch_size, rank=rank, world_size=world_size, accumulate=accumulate, start_step=start_step
    )


def hand_through(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return batch


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
    together = plan_patches(range(1000), seed=3, lr_sizes=SIZES, lr_patch=24)
    for k in (0, 1, 7, 500, 999):
        alone = plan_patches([k], seed=3, lr_sizes=SIZES, lr_patch=24)
        assert [values[k] for values in together] == [values[0] for values in alone]
    backwards = plan_patches(range(999, -1, -1), seed=3, lr_sizes=SIZES, lr_patch=24)
    for values, reverse in zip(together, backwards, strict=True):
        np.testing.assert_array_equal(values, reverse[::-1])


def test_plan_is_the_same_for_ever() -> None:
    # Resuming a run with a newer version must go on with the same samples.
    plan = plan_patches([0, 1, 2, 10**12], seed=0, lr_sizes=SIZES, lr_patch=24)
    # Image, top, left and dihedral code of each, worked out in Python's integers.
    assert np.stack(plan, axis=1).tolist() == [[1, 5, 0, 5], [2, 3, 21, 2], [1, 4, 0, 0], [0, 0, 0, 7]]


def test_plan_is_uniform_and_every_place_is_reached() -> None:
    samples = 60_000
    plan = plan_patches(range(samples), seed=0, lr_sizes=SIZES, lr_patch=24)
    assert np.bincount(plan.image) == pytest.approx(samples / 3, rel=0.03)
    assert np.bincount(plan.dihedral) == pytest.approx(samples / 8, rel=0.05)
    for image, (height, width) in enumerate(SIZES):
        tops, lefts = plan.top[plan.image == image], plan.left[plan.image == image]
        assert set(tops) == set(range(height - 23))
        assert set(lefts) == set(range(width - 23))
        assert np.bincount(tops) == pytest.approx(len(tops) / (height - 23), rel=0.25)
    # Draws of one sample are independent of each other and of the next sample's.
    largest = plan.image == 2
    for first, second in (
        (plan.top[largest], plan.left[largest]),
        (plan.image, plan.dihedral),
        (plan.dihedral[1:], plan.dihedral[:-1]),
        (plan.image[1:], plan.image[:-1]),
    ):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


@pytest.mark.parametrize("seeds", [(0, 1), (0, 0x9E3779B97F4A7C15), (-1, 1), (2**64, 1)])
def test_seeds_give_unrelated_streams(seeds: tuple[int, int]) -> None:
    one, other = (plan_patches(range(4000), seed=seed, lr_sizes=SIZES, lr_patch=24).dihedral for seed in seeds)
    for shift in range(3):  # neighbouring seeds must not be shifts of one stream
        assert (one[shift:] == other[: 4000 - shift]).mean() == pytest.approx(1 / 8, abs=0.03)


def test_patches_lie_where_the_plan_says_in_lr_and_hr(store: Store) -> None:
    dataset = PatchDataset(store, lr_patch=8, seed=5)
    samples = range(100, 140)
    plan = plan_patches(samples, seed=5, lr_sizes=dataset.lr_sizes, lr_patch=8)
    batch = dataset.__getitems__(samples)
    assert batch["lr"].shape == (40, 3, 8, 8)
    assert batch["hr"].shape == (40, 3, 16, 16)
    assert batch["dihedral"].dtype == torch.int64
    assert batch["dihedral"].tolist() == plan.dihedral.tolist()
    for n, (image, top, left, _) in enumerate(zip(*plan, strict=True)):
        lr = store.lr(image)[top : top + 8, left : left + 8]
        hr = store.hr(image)[2 * top : 2 * top + 16, 2 * left : 2 * left + 16]
        np.testing.assert_array_equal(batch["lr"][n].permute(1, 2, 0), lr)
        np.testing.assert_array_equal(batch["hr"][n].permute(1, 2, 0), hr)
    assert set(plan.image.tolist()) == {0, 1, 2, 3}
    # This LR is every second pixel of HR: the two patches show the same place.
    assert torch.equal(batch["lr"], batch["hr"][:, :, ::2, ::2])


def test_batches_are_uint8_and_channels_last_in_memory(store: Store) -> None:
    batch = PatchDataset(store, lr_patch=8, seed=0).__getitems__([0, 1])
    for key in ("lr", "hr"):
        assert batch[key].dtype == torch.uint8
        assert batch[key].is_contiguous(memory_format=torch.channels_last)


def test_patch_larger_than_an_image_is_refused(store: Store) -> None:
    with pytest.raises(DataError, match=r"at least 20x20 LR pixels, got one with a side of 15; .*min_side=40"):
        PatchDataset(store, lr_patch=20, seed=0)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_change_nothing(store: Store, context: str) -> None:
    def batches(workers: int) -> list[dict[str, Tensor]]:
        loader = DataLoader(
            PatchDataset(store, lr_patch=8, seed=1),
            batch_sampler=sampler(start_step=3),
            collate_fn=hand_through,
            num_workers=workers,
            multiprocessing_context=context if workers else None,
        )
        return list(islice(loader, 5))

    for alone, parallel in zip(batches(0), batches(2), strict=True):
        assert alone.keys() == parallel.keys()
        for key in alone:
            assert torch.equal(alone[key], parallel[key])
        assert parallel["hr"].is_contiguous(memory_format=torch.channels_last)


def test_dataset_is_pickled_as_a_path(folder: Path, tmp_path: Path, every_nth: type[Any]) -> None:
    store = Store.open_or_build(
        list_images(folder), cache_dir=tmp_path / "cache", scale=2, degradation=every_nth(2), min_side=16
    )
    pickled = pickle.dumps(PatchDataset(store, lr_patch=8, seed=1))
    assert len(pickled) < 2000 < store.hr(0).nbytes
    again = pickle.loads(pickled)
    for key, values in PatchDataset(store, lr_patch=8, seed=1).__getitems__(range(8)).items():
        assert torch.equal(again.__getitems__(range(8))[key], values)


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
    def cut(batches: GlobalBatchSampler) -> Callable[[], dict[str, Tensor]]:
        dataset, iterator = PatchDataset(store, lr_patch=8, seed=2), iter(batches)
        return lambda: dataset.__getitems__(next(iterator))

    alone, first, second = cut(sampler(8)), cut(sampler(4, 0, 2)), cut(sampler(4, 1, 2))
    for _ in range(3):
        whole, parts = alone(), (first(), second())
        for key in whole:
            assert torch.equal(whole[key], torch.cat([part[key] for part in parts]))
