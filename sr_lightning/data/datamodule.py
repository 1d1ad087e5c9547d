"""Stores, samplers and loaders behind the one object that a Lightning trainer asks for batches."""

import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sr_lightning.data.patches import GlobalBatchSampler, PatchDataset
from sr_lightning.data.scan import DataError
from sr_lightning.data.store import Degradation, Store
from sr_lightning.functional.geometry import dihedral_batch
from sr_lightning.functional.quantize import from_uint8

_log = logging.getLogger(__name__)


class WholeImages(Dataset[dict[str, Tensor | str]]):
    """The images of a store, each a batch of one: `lr`, `hr` uint8 `(1, 3, H, W)` and `name`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        # Copies: torch cannot hold read-only memory.
        lr, hr = (torch.from_numpy(view.copy()) for view in (self.store.lr(index), self.store.hr(index)))
        return {
            "lr": lr.permute(2, 0, 1)[None],
            "hr": hr.permute(2, 0, 1)[None],
            "name": self.store.names[index],
        }


class SRDataModule(LightningDataModule):
    """Random patches for training, whole images for validation and test.

    A training batch, once on the device, is `{"lr", "hr"}`, float32 in [0, 1], channels_last, flipped and
    rotated at random; `lr` is `(N, 3, h, h)`, `hr` `(N, 3, scale*h, scale*h)`. It is a pure function of the
    seed and the optimiser step. A validation or test batch is one image, `{"lr", "hr", "name"}` in uint8,
    since protocols begin with uint8; each image comes once on one rank, so turn Lightning's own sampler off
    (`use_distributed_sampler=False`), which would repeat some.

    Args:
        train_images: image files to train on.
        val_images: image files for validation.
        test_images: image files for the test; may be empty.
        scale: HR pixels per LR pixel.
        degradation: makes LR from HR.
        hr_patch: side of the training patch in HR pixels, a multiple of the scale; or None.
        lr_patch: the same in LR pixels; or None. Exactly one of the two is given.
        batch_size: samples per optimiser step, over all devices and all accumulated batches.
        accumulate: batches per optimiser step and device.
        num_workers: processes that cut training patches; 0 cuts them in the training process.
        seed: of patches, flips and rotations.
        cache_dir: where stores are kept.
        min_side: validation and test images with a shorter side, in HR pixels, are left out.
        progress: called with the number of images done and of all while a store is built.

    Attributes:
        train_store: the training images, None before `setup`; likewise `val_store`.
        test_store: the test images, None before `setup` and without `test_images`.

    Raises:
        ValueError: none or both of the patches are given, or `hr_patch` is no multiple of the scale.
    """

    def __init__(
        self,
        *,
        train_images: Sequence[Path],
        val_images: Sequence[Path],
        test_images: Sequence[Path],
        scale: int,
        degradation: Degradation,
        hr_patch: int | None,
        lr_patch: int | None,
        batch_size: int,
        accumulate: int = 1,
        num_workers: int,
        seed: int,
        cache_dir: Path,
        min_side: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__()
        self.train_images = train_images
        self.val_images = val_images
        self.test_images = test_images
        self.scale = scale
        self.degradation = degradation
        self.lr_patch = _lr_patch(hr_patch, lr_patch, scale)
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.num_workers = num_workers
        self.seed = seed
        self.cache_dir = cache_dir
        self.min_side = min_side
        self.progress = progress
        self.train_store: Store | None = None
        self.val_store: Store | None = None
        self.test_store: Store | None = None

    def prepare_data(self) -> None:
        """Build the stores that do not exist yet; Lightning calls this on one process of each machine."""
        for store in self._open_stores():
            for path, reason in store.skipped if store is not None else ():
                _log.warning("left out %s: %s", path, reason)

    def setup(self, stage: str) -> None:
        """Open the stores, whatever the stage."""
        self.train_store, self.val_store, self.test_store = self._open_stores()

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches without end, from the step that the trainer's module has reached.

        Raises:
            DataError: the batch size cannot be divided by devices and accumulation.
        """
        assert self.train_store is not None, "setup() comes before the loaders"
        rank, world_size, cuda, step = 0, 1, False, 0
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
            cuda = self.trainer.strategy.root_device.type == "cuda"
            module: Any = self.trainer.lightning_module
            step = module.step
        micro_batch, rest = divmod(self.batch_size, world_size * self.accumulate)
        if rest:
            raise DataError(
                f"expected data.batch_size to be a multiple of devices x accumulated batches = "
                f"{world_size} x {self.accumulate}, got {self.batch_size}."
            )
        return DataLoader(
            PatchDataset(self.train_store, lr_patch=self.lr_patch, seed=self.seed),
            batch_sampler=GlobalBatchSampler(
                batch_size=micro_batch,
                rank=rank,
                world_size=world_size,
                accumulate=self.accumulate,
                start_step=step,
            ),
            collate_fn=_hand_through,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_leave_signals_to_the_parent,
            pin_memory=cuda,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Tensor | str]]:
        """Validation images of this rank, one per batch.

        Raises:
            ValueError: there are fewer images than devices.
        """
        assert self.val_store is not None, "setup() comes before the loaders"
        return self._whole_images(self.val_store)

    def test_dataloader(self) -> DataLoader[dict[str, Tensor | str]]:
        """Test images of this rank, one per batch.

        Raises:
            ValueError: there are none, or fewer than devices.
        """
        if self.test_store is None:
            raise ValueError("no test images were given; give test_images and call setup() first.")
        return self._whole_images(self.test_store)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Make a training batch float and flip and rotate it, on the device; leave others as they are."""
        if "dihedral" not in batch:
            return batch
        codes = batch["dihedral"]
        # Turned and laid out while a pixel is one byte, not four.
        turned = {key: dihedral_batch(batch[key], codes) for key in ("lr", "hr")}
        return {key: from_uint8(image.contiguous(memory_format=torch.channels_last)) for key, image in turned.items()}

    def _open_stores(self) -> tuple[Store, Store, Store | None]:
        train = self._open_store(self.train_images, min_side=self.lr_patch * self.scale)
        val = self._open_store(self.val_images, min_side=self.min_side)
        if not self.test_images:
            return train, val, None
        return train, val, self._open_store(self.test_images, min_side=self.min_side)

    def _open_store(self, paths: Sequence[Path], *, min_side: int) -> Store:
        return Store.open_or_build(
            paths,
            cache_dir=self.cache_dir,
            scale=self.scale,
            degradation=self.degradation,
            min_side=min_side,
            progress=self.progress,
        )

    def _whole_images(self, store: Store) -> DataLoader[dict[str, Tensor | str]]:
        rank, world_size = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if len(store) < world_size:
            # Lightning skips the loop on a rank without images, and the others would wait for it for ever.
            raise DataError(
                f"expected at least one image per device, got {len(store)} images for {world_size} devices: "
                f"{', '.join(store.names)}; use fewer devices or more images."
            )
        return DataLoader(WholeImages(store), batch_size=None, sampler=range(rank, len(store), world_size))


def _lr_patch(hr_patch: int | None, lr_patch: int | None, scale: int) -> int:
    if (hr_patch is None) == (lr_patch is None):
        raise ValueError(f"expected exactly one of hr_patch and lr_patch, got {hr_patch} and {lr_patch}.")
    if lr_patch is not None:
        return lr_patch
    assert hr_patch is not None
    if hr_patch % scale:
        raise ValueError(f"expected hr_patch to be a multiple of scale {scale}, got {hr_patch}.")
    return hr_patch // scale


def _leave_signals_to_the_parent(worker: int) -> None:
    # Ctrl-C and schedulers signal every process of a run; a worker that died of it would fail the step which the run
    # still finishes and saves.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _hand_through(batch: Any) -> Any:
    return batch
