"""Which patch is which sample: a pure function of the seed and the sample's number.

Training draws an endless stream of samples 0, 1, 2, ...; optimiser step t takes the t-th run of `batch_size`
of them. What sample k is depends on neither workers nor ranks nor the point where a run was resumed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from sr_lightning.data.image import Pixels
from sr_lightning.data.scan import DataError
from sr_lightning.data.store import Images
from sr_lightning.functional.draws import Draws

Crop = Literal["random", "centre", "whole", "resize"]
ALL_CODES = (0, 1, 2, 3, 4, 5, 6, 7)
# Samples that are planned at once: numpy takes about as long for a batch of 64.
_BLOCK = 1024


class PatchPlan(NamedTuple):
    """Where samples are cut; int64 arrays `(N,)`, places and sizes in LR pixels."""

    store: NDArray[np.int64]
    image: NDArray[np.int64]  # within its store
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    dihedral: NDArray[np.int64]  # 0..7, see `functional.geometry.dihedral`

    def places(self) -> list[tuple[int, int, int, int]]:
        """Store, image, top and left of each sample in plain numbers, quicker to calculate with than numpy's."""
        return list(zip(*(values.tolist() for values in self[:4]), strict=True))


def plan_patches(
    samples: Sequence[int],
    *,
    seed: int,
    sizes: Sequence[NDArray[np.int64]],
    weights: Sequence[float],
    scale: int,
    lr_patch: int,
    crop: Crop = "random",
    codes: Sequence[int] = ALL_CODES,
) -> PatchPlan:
    """Choose store, image, place and dihedral code of each sample.

    Time and memory do not depend on the number of images.

    Args:
        samples: numbers of the samples in the global stream, at least 0.
        seed: any integer; equal seeds give equal plans.
        sizes: for each store `(images, 2)`, height and width of each HR image, none smaller than the patch.
        weights: how often each store is chosen, in any unit; its images are equally likely.
        scale: HR pixels per LR pixel; what it does not divide of an image is not used.
        lr_patch: side of the square patch in LR pixels.
        crop: `random` takes every place equally often, `centre` the middle one, `whole` the image with its own sides;
            `resize` is for images that already have the patch's size.
        codes: dihedral codes to choose from. Images that are cut whole and not square keep rows and columns: codes
            from 4 on become those without the swap.

    Example:
        >>> plan_patches([7], seed=0, sizes=[np.array([[24, 32]])], weights=[1], scale=1, lr_patch=24).top
        array([0])
    """
    draws = Draws(samples, seed=seed, purpose="patch")
    store, image = draws.choice(weights), draws.uniform()
    lr_sizes = np.empty((len(draws), 2), np.int64)
    index = np.empty(len(draws), np.int64)
    for number, own in enumerate(sizes):
        mine = np.flatnonzero(store == number)
        index[mine] = (image[mine] * len(own)).astype(np.int64)
        lr_sizes[mine] = own[index[mine]] // scale
    patch = lr_sizes if crop == "whole" else np.full_like(lr_sizes, lr_patch)
    free = lr_sizes - patch
    # Drawn whatever the crop, so that modes differ in the place alone.
    places = np.stack([draws.uniform(0, free[:, axis] + 1) for axis in (0, 1)]).astype(np.int64)
    top, left = free.T // 2 if crop == "centre" else places
    dihedral = np.asarray(codes, np.int64)[draws.below(len(codes))]
    height, width = patch.T
    return PatchPlan(store, index, top, left, height, width, np.where(height == width, dihedral, dihedral & 3))


class Cuttable(Protocol):
    """Images that patches are cut from, into arrays of the host or tensors of a device."""

    sizes: NDArray[np.int64]

    def cut_hr(self, index: int, top: int, left: int, out: Any) -> None:
        """Fill `out (h, w, C)` with HR from row `top` and column `left` on."""

    def cut_lr(self, index: int, scale: int, top: int, left: int, out: Any) -> None:
        """Fill `out (h, w, C)` with LR from row `top` and column `left` on."""


def cut_patches(images: Sequence[Cuttable], plan: PatchPlan, *, scale: int, lr: Any, hr: Any, margin: int = 0) -> None:
    """Cut the patches of a plan into a batch.

    Args:
        images: the stores that the plan was made for.
        plan: where to cut.
        scale: HR pixels per LR pixel.
        lr: `(N, h, w, C)`, filled with LR; None where LR is made later.
        hr: `(N, scale*h + 2*margin, scale*w + 2*margin, C)`, filled with HR.
        margin: HR pixels of surroundings on each side; beyond the image's border its mirror image, the edge doubled.
    """
    for n, (store, image, top, left) in enumerate(plan.places()):
        if lr is not None:
            images[store].cut_lr(image, scale, top, left, lr[n])
        if margin:
            _cut_with_margin(images[store], image, top * scale - margin, left * scale - margin, hr[n], scale)
        else:
            images[store].cut_hr(image, top * scale, left * scale, hr[n])


def _cut_with_margin(images: Cuttable, image: int, top: int, left: int, out: Any, scale: int) -> None:
    rows, columns = out.shape[:2]
    # Degradations see the image cropped to a multiple of the scale: that is where its border is.
    height, width = (images.sizes.item(image, axis) // scale * scale for axis in (0, 1))
    if top >= 0 and left >= 0 and top + rows <= height and left + columns <= width:
        images.cut_hr(image, top, left, out)
        return
    at_rows, at_columns = _mirrored(top, rows, height), _mirrored(left, columns, width)
    first_row, first_column = int(at_rows.min()), int(at_columns.min())
    inside = out[: int(at_rows.max()) + 1 - first_row, : int(at_columns.max()) + 1 - first_column]
    inside = inside.copy() if isinstance(inside, np.ndarray) else inside.clone()
    images.cut_hr(image, first_row, first_column, inside)
    out[:] = inside[(at_rows - first_row)[:, None], at_columns - first_column]


def _mirrored(first: int, length: int, size: int) -> NDArray[np.int64]:
    """Places 0 ... size - 1 that stand for `first` ... `first + length - 1`, as MATLAB's symmetric padding."""
    places = np.arange(first, first + length) % (2 * size)
    return np.where(places < size, places, 2 * size - 1 - places)


class Widened:
    """8-bit images as 16-bit ones, for a batch that holds both: times 257, so that 255 becomes 65535."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.sizes = images.sizes

    def cut_hr(self, index: int, top: int, left: int, out: Pixels) -> None:
        """See `Cuttable`."""
        narrow = np.empty(out.shape, np.uint8)
        self.images.cut_hr(index, top, left, narrow)
        np.multiply(narrow, np.uint16(257), out=out)

    def cut_lr(self, index: int, scale: int, top: int, left: int, out: Pixels) -> None:
        """See `Cuttable`."""
        narrow = np.empty(out.shape, np.uint8)
        self.images.cut_lr(index, scale, top, left, narrow)
        np.multiply(narrow, np.uint16(257), out=out)


@dataclass(frozen=True, kw_only=True)
class PatchSettings:
    """What patches are cut, besides the images and the seed.

    Attributes:
        lr_patch: side of the LR patch, the same for all scales.
        scales: HR pixels per LR pixel, one of them for each optimiser step.
        batch_size: samples per optimiser step, over all devices: the scale changes after as many.
        crop: see `plan_patches`.
        codes: see `plan_patches`.
        margins: HR pixels of surroundings for each scale where LR is made on the device; None takes stored LR.
    """

    lr_patch: int
    scales: Sequence[int]
    batch_size: int
    crop: Crop = "random"
    codes: Sequence[int] = ALL_CODES
    margins: Mapping[int, int] | None = None


class PatchDataset(Dataset[dict[str, Any]]):
    """Patches of one or several stores, a batch at a time.

    A loader fetches a whole batch by one call of `__getitems__`, which writes the patches straight into the
    batch's memory: use it with `batch_sampler=GlobalBatchSampler(...)` and a `collate_fn` that hands through.

    Args:
        stores: images of at least the patch's size and of the same channels.
        weights: how often each store is chosen, in units of images; None: as many as it has.
        settings: what is cut.
        seed: of everything that is drawn.
        plan_only: hand over the plan instead of pixels, for a cache on the device.

    Attributes:
        weights: those of the stores, None filled in.
        dtype: of the patches: uint16 if any store has 16 bits.

    Raises:
        DataError: a store with images below the patch's size, with other channels or with a weight that is not
            positive.
    """

    def __init__(
        self,
        stores: Sequence[Images],
        weights: Sequence[float | None],
        *,
        settings: PatchSettings,
        seed: int,
        plan_only: bool = False,
    ) -> None:
        self.stores = stores
        self.weights = [float(len(store)) if w is None else w for store, w in zip(stores, weights, strict=True)]
        self.settings = settings
        self.seed = seed
        self.plan_only = plan_only
        if min(self.weights) <= 0:
            raise DataError(f"expected weights above 0 for all sets of images, got {self.weights}.")
        if len({store.channels for store in stores}) > 1:
            raise DataError(f"expected images of equal channels, got sets of {[s.channels for s in stores]} channels.")
        hr_patch = settings.lr_patch * max(settings.scales)
        for store in stores if settings.crop != "whole" else ():
            smallest = store.sizes.min()
            if smallest < hr_patch:
                raise DataError(
                    f"expected images of at least {hr_patch}x{hr_patch} pixels, got one with a side of {smallest}; "
                    f"open the store with min_side={hr_patch}."
                )
        self.dtype: type[np.uint8] | type[np.uint16] = (
            np.uint16 if any(store.dtype == np.uint16 for store in stores) else np.uint8
        )
        self._block: PatchPlan | None = None
        self._block_key: tuple[int, int] | None = None
        self.cuttable: list[Cuttable] = [store if store.dtype == self.dtype else Widened(store) for store in stores]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_block": None, "_block_key": None}

    def __getitems__(self, samples: Sequence[int]) -> dict[str, Any]:
        """Cut the patches of these samples, which belong to one optimiser step.

        Returns:
            `hr` uint8 (or uint16) `(N, C, P, P)` with the margin around, where LR is stored `lr` of `(N, C, h, h)`,
            both channels_last in memory and not yet flipped or rotated; `dihedral` int64 `(N,)`, what is to be
            done to them; `samples`, their numbers; `scale`. With `plan_only`, `plan` instead of `hr` and `lr`.

        Raises:
            DataError: whole images of different sizes.
        """
        scale = self.scale_of(samples)
        plan = self._quick_plan(samples, scale)
        batch: dict[str, Any] = {"samples": list(samples), "scale": scale, "dihedral": torch.from_numpy(plan.dihedral)}
        if self.plan_only:
            return batch | {"plan": plan}
        shapes = self.shapes(plan, scale)
        # Numpy's memory, not torch's: it asks for huge pages, into which patches are copied a tenth faster.
        pixels = {key: np.empty(shape, self.dtype) for key, shape in shapes.items()}
        self._ask_for(plan, scale)
        cut_patches(self.cuttable, plan, scale=scale, lr=pixels.get("lr"), hr=pixels["hr"], margin=self.margin(scale))
        return batch | {key: torch.from_numpy(array).permute(0, 3, 1, 2) for key, array in pixels.items()}

    def scale_of(self, samples: Sequence[int]) -> int:
        """Return the scale of the optimiser step that these samples belong to."""
        scales = self.settings.scales
        if len(scales) == 1:
            return scales[0]
        steps = {sample // self.settings.batch_size for sample in samples}
        if len(steps) > 1:
            raise ValueError(f"expected samples of one optimiser step, got those of steps {sorted(steps)}.")
        return scales[Draws([*steps], seed=self.seed, purpose="scale").below(len(scales)).item()]

    def plan(self, samples: Sequence[int], scale: int) -> PatchPlan:
        """Return where these samples are cut at this scale."""
        return plan_patches(
            samples,
            seed=self.seed,
            sizes=[store.sizes for store in self.stores],
            weights=self.weights,
            scale=scale,
            lr_patch=self.settings.lr_patch,
            crop=self.settings.crop,
            codes=self.settings.codes,
        )

    def _quick_plan(self, samples: Sequence[int], scale: int) -> PatchPlan:
        """`plan`, of which a block of samples is kept."""
        block, last = min(samples) // _BLOCK, max(samples) // _BLOCK
        if block != last:
            return self.plan(samples, scale)
        if (block, scale) != self._block_key:
            self._block = self.plan(range(block * _BLOCK, (block + 1) * _BLOCK), scale)
            self._block_key = block, scale
        rows = np.asarray(samples) - block * _BLOCK
        assert self._block is not None
        return PatchPlan(*(values[rows] for values in self._block))

    def _ask_for(self, plan: PatchPlan, scale: int) -> None:
        """Have the disk begin with all patches of a batch before the first is cut."""
        if self.settings.crop == "whole":
            return  # each image is one long read
        every = plan.places()
        for number, store in enumerate(self.stores):
            mine = [(image, top * scale, left * scale) for owner, image, top, left in every if owner == number]
            store.ask_for(mine, side=self.settings.lr_patch * scale, scale=scale)

    def shapes(self, plan: PatchPlan, scale: int) -> dict[str, tuple[int, int, int, int]]:
        """Return the shapes `(N, h, w, C)` of a batch's `hr` and, where it is stored, `lr`."""
        height, width = self._one_size(plan)
        count, channels, around = len(plan.image), self.stores[0].channels, 2 * self.margin(scale)
        shapes = {"hr": (count, height * scale + around, width * scale + around, channels)}
        if self.settings.margins is None:
            shapes["lr"] = (count, height, width, channels)
        return shapes

    def margin(self, scale: int) -> int:
        """HR pixels that are cut around a patch."""
        return 0 if self.settings.margins is None else self.settings.margins[scale]

    def check_one_size(self) -> None:
        """Refuse stores whose whole images cannot lie in one batch.

        Raises:
            DataError: they have different sizes; names two.
        """
        for scale in self.settings.scales:
            first = self.stores[0].sizes[0] // scale
            for store in self.stores:
                others = np.flatnonzero((store.sizes // scale != first).any(axis=1))
                if len(others):
                    raise _different_sizes((self.stores[0], 0), (store, int(others[0])))

    def _one_size(self, plan: PatchPlan) -> tuple[int, int]:
        if self.settings.crop != "whole":
            return self.settings.lr_patch, self.settings.lr_patch
        other = np.flatnonzero((plan.height != plan.height[0]) | (plan.width != plan.width[0]))
        if len(other):
            raise _different_sizes(*((self.stores[plan.store[n]], int(plan.image[n])) for n in (0, other[0])))
        return plan.height.item(0), plan.width.item(0)


def _different_sizes(*images: tuple[Images, int]) -> DataError:
    each = [f"{store.names[index]} ({store.sizes[index, 1]}x{store.sizes[index, 0]})" for store, index in images]
    return DataError(
        f"whole images of different sizes cannot lie in one batch, got {' and '.join(each)}; use data.batch_size=1 "
        "(one for each device and accumulated batch), data.crop=resize or data.crop=random."
    )


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
