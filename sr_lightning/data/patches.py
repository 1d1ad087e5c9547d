"""Which patch is which sample: a pure function of the seed and the sample's number.

Training draws an endless stream of samples 0, 1, 2, ...; optimiser step t takes the t-th run of `batch_size`
of them. What sample k is depends on neither workers nor ranks nor the point where a run was resumed.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sr_lightning.data.scan import DataError
from sr_lightning.data.store import Store
from sr_lightning.functional.draws import splitmix64

_DRAWS = 4  # random numbers per sample: image, top, left, dihedral


class PatchPlan(NamedTuple):
    """Where samples are cut; four int64 arrays `(N,)`."""

    image: NDArray[np.int64]
    top: NDArray[np.int64]  # in LR pixels, as `left`
    left: NDArray[np.int64]
    dihedral: NDArray[np.int64]  # 0..7, see `functional.geometry.dihedral`


def plan_patches(samples: Sequence[int], *, seed: int, lr_sizes: NDArray[np.int64], lr_patch: int) -> PatchPlan:
    """Choose image, place and dihedral code of each sample, each uniformly.

    Args:
        samples: numbers of the samples in the global stream, at least 0.
        seed: any integer; equal seeds give equal plans.
        lr_sizes: `(images, 2)`, height and width of each LR image, none smaller than the patch.
        lr_patch: side of the square patch in LR pixels.

    Example:
        >>> plan_patches([7], seed=0, lr_sizes=np.array([[24, 32]]), lr_patch=24).top
        array([0])
    """
    # A mixed seed starts the stream: streams from neighbouring seeds would be shifts of each other.
    start = int(splitmix64(seed, np.zeros(1, np.uint64))[0])
    positions = np.asarray(samples, np.uint64)[None] * np.uint64(_DRAWS) + np.arange(_DRAWS, dtype=np.uint64)[:, None]
    image_draw, top_draw, left_draw, dihedral_draw = splitmix64(start, positions) >> np.uint64(32)
    image = _below(image_draw, np.uint64(len(lr_sizes)))
    tops, lefts = (lr_sizes[image] - lr_patch + 1).astype(np.uint64).T
    return PatchPlan(image, _below(top_draw, tops), _below(left_draw, lefts), _below(dihedral_draw, np.uint64(8)))


def _below(draw: NDArray[np.uint64], bound: NDArray[np.uint64] | np.uint64) -> NDArray[np.int64]:
    """Map 32 random bits to [0, bound); uneven by less than bound / 2^32."""
    return ((draw * bound) >> np.uint64(32)).astype(np.int64)


class PatchDataset(Dataset[dict[str, Tensor]]):
    """Random patches of a store, a batch at a time.

    A loader fetches a whole batch by one call of `__getitems__`, which writes the patches straight into the
    batch's memory: use it with `batch_sampler=GlobalBatchSampler(...)` and a `collate_fn` that hands through.

    Args:
        store: images of at least the patch's size.
        lr_patch: side of the LR patch; the HR patch's is `lr_patch * store.scale`.
        seed: see `plan_patches`.
    """

    def __init__(self, store: Store, *, lr_patch: int, seed: int) -> None:
        self.store = store
        self.lr_patch = lr_patch
        self.seed = seed
        self.lr_sizes = np.array([store.lr_size(i) for i in range(len(store))], np.int64)
        if self.lr_sizes.min() < lr_patch:
            raise DataError(
                f"expected images of at least {lr_patch}x{lr_patch} LR pixels, got one with a side of "
                f"{self.lr_sizes.min()}; open the store with min_side={lr_patch * store.scale}."
            )

    def __getitems__(self, samples: Sequence[int]) -> dict[str, Tensor]:
        """Cut the patches of these samples.

        Returns:
            `lr` uint8 `(N, 3, h, h)`, `hr` uint8 `(N, 3, scale*h, scale*h)`, both channels_last in memory
            and not yet flipped or rotated; `dihedral` int64 `(N,)`, what is to be done to both.
        """
        plan = plan_patches(samples, seed=self.seed, lr_sizes=self.lr_sizes, lr_patch=self.lr_patch)
        scale, side = self.store.scale, self.lr_patch
        lr = torch.empty(len(samples), side, side, 3, dtype=torch.uint8)
        hr = torch.empty(len(samples), side * scale, side * scale, 3, dtype=torch.uint8)
        lr_array, hr_array = lr.numpy(), hr.numpy()
        places = zip(plan.image.tolist(), plan.top.tolist(), plan.left.tolist(), strict=True)
        for n, (image, top, left) in enumerate(places):
            lr_array[n] = _square(self.store.lr(image), top, left, side)
            hr_array[n] = _square(self.store.hr(image), top * scale, left * scale, side * scale)
        dihedral = torch.from_numpy(plan.dihedral)
        return {"lr": lr.permute(0, 3, 1, 2), "hr": hr.permute(0, 3, 1, 2), "dihedral": dihedral}


def _square(image: NDArray[np.uint8], top: int, left: int, side: int) -> NDArray[np.uint8]:
    return image[top : top + side, left : left + side]


class GlobalBatchSampler(Sampler[list[int]]):
    """The micro-batches of one rank from the one stream of samples that all ranks share, without end.

    With B = `batch_size * world_size * accumulate`, optimiser step t is made of the samples t*B ... (t+1)*B
    - 1, whatever B is composed of: rank r takes in its j-th micro-batch those from t*B + (j*world_size +
    r)*batch_size.

    Args:
        batch_size: samples per micro-batch and rank.
        rank: this process's number.
        world_size: number of processes.
        accumulate: micro-batches per optimiser step.
        start_step: optimiser steps already done, for a resumed run.
    """

    def __init__(self, *, batch_size: int, rank: int, world_size: int, accumulate: int, start_step: int) -> None:
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.accumulate = accumulate
        self.start_step = start_step

    def __iter__(self) -> Iterator[list[int]]:
        stride = self.world_size * self.batch_size
        first = self.start_step * self.accumulate * stride + self.rank * self.batch_size
        while True:
            yield list(range(first, first + self.batch_size))
            first += stride
