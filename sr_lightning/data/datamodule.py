"""Stores, samplers and loaders behind the one object that a Lightning trainer asks for batches."""

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sr_lightning.data.augment import Augment
from sr_lightning.data.device_cache import DeviceCache
from sr_lightning.data.image import Pixels
from sr_lightning.data.opening import StoreMode, open_images
from sr_lightning.data.patches import Crop, GlobalBatchSampler, PatchDataset, PatchSettings
from sr_lightning.data.scan import DataError
from sr_lightning.data.store import Images
from sr_lightning.degradations.base import Degradation
from sr_lightning.functional.geometry import dihedral_batch, shave
from sr_lightning.functional.quantize import from_uint8, to_8_bits, to_uint8

# Told which images are being packed, how many steps are done, and of how many.
PackingProgress = Callable[[str, int, int], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSet:
    """Images to train on.

    Attributes:
        name: for messages.
        files: HR images.
        weight: how often it is chosen beside other sets, in units of images; None: as often as it has images.
        lr_files: the user's own LR of each file at the run's scale; None where a degradation makes LR.
    """

    name: str
    files: Sequence[Path]
    weight: float | None = None
    lr_files: Sequence[Path] | None = None


class WholeImages(Dataset[dict[str, Any]]):
    """The images of a store, each a batch of one.

    An item is `hr` uint8 `(1, C, H, W)`, cropped to a multiple of the scale, `lr` where it is stored, `name` and
    `index`. 16-bit images are rounded to 8 bits here: the protocols of this field begin with 8.
    """

    def __init__(self, store: Images, *, scale: int) -> None:
        self.store = store
        self.scale = scale

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict[str, Any]:
        height, width = (self.store.sizes[index] // self.scale * self.scale).tolist()
        hr = np.empty((height, width, self.store.channels), self.store.dtype)
        self.store.cut_hr(index, 0, 0, hr)
        item = {"hr": _as_batch(hr), "name": self.store.names[index], "index": index}
        if self.scale in self.store.scales:
            item["lr"] = _as_batch(self.store.lr(index, self.scale))
        return item


class SRDataModule(LightningDataModule):
    """Patches for training, whole images for validation and test.

    A training batch, once on the device, is `{"lr", "hr"}`, float32 in [0, 1], channels_last, augmented; `lr` is
    `(N, C, h, h)`, `hr` `(N, C, scale*h, scale*h)`. With it come `real`, the photograph itself, where the degradation
    has another target for the network, and `scale` in runs of several scales. It is a pure function of the seed and
    the optimiser step. A validation or test batch is one image, `{"lr", "hr", "name"}` in uint8, since protocols begin
    with uint8; its degradation is drawn by the seed and the image's number. Each image comes once on one rank, so turn
    Lightning's own sampler off (`use_distributed_sampler=False`), which would repeat some.

    Args:
        train: sets of images to train on.
        val_files: image files for validation.
        val_lr_files: the user's own LR of each of them; None: the degradation's.
        test_files: image files for the test; may be empty.
        scale: HR pixels per LR pixel; of a run of several scales, that of validation and test.
        scales: scales to train, each optimiser step at one that is drawn from the seed; None: `scale` alone.
        degradation: makes LR from HR; for several scales, one for each.
        augment: what is done to training pairs at random.
        crop: see `patches.plan_patches`; with `whole`, each image is a sample.
        hr_patch: side of the training patch in HR pixels at `scale`, a multiple of it; or None.
        lr_patch: the same in LR pixels, at any scale; or None. Exactly one of the two is given.
        batch_size: samples per optimiser step, over all devices and all accumulated batches.
        accumulate: batches per optimiser step and device.
        num_workers: processes that cut training patches; 0 cuts them in the training process.
        seed: of all that is drawn for samples.
        cache_dir: where stores are kept.
        store: `disk` keeps decoded images in `cache_dir`, `ram` in memory, for the processes of this machine, `off`
            decodes an image for each of its patches.
        device_cache: hold the decoded training images on the device and cut patches there.
        channels: of all images.
        max_skipped: share of unreadable or too small images that is tolerated.
        min_side: validation and test images with a shorter side, in HR pixels, are left out.
        progress: told while images are packed.

    Attributes:
        train_stores: the training images, empty before `setup`.
        train_weights: how often each store is chosen, in units of images; likewise.
        val_store: the validation images, None before `setup`.
        test_store: the test images, None before `setup` and without `test_files`.
        lr_patch: side of the LR patch.
        hr_patch: side of the HR patch at `scale`.

    Raises:
        ValueError: settings that contradict each other.
    """

    def __init__(
        self,
        *,
        train: Sequence[TrainingSet],
        val_files: Sequence[Path],
        val_lr_files: Sequence[Path] | None = None,
        test_files: Sequence[Path] = (),
        scale: int,
        scales: Sequence[int] | None = None,
        degradation: Degradation | Mapping[int, Degradation],
        augment: Augment,
        crop: Crop,
        hr_patch: int | None,
        lr_patch: int | None,
        batch_size: int,
        accumulate: int = 1,
        num_workers: int,
        seed: int,
        cache_dir: Path,
        store: StoreMode = "disk",
        device_cache: bool = False,
        channels: int = 3,
        max_skipped: float = 0.05,
        min_side: int = 1,
        progress: PackingProgress | None = None,
    ) -> None:
        super().__init__()
        for name, value, choices in (("crop", crop, get_args(Crop)), ("store", store, get_args(StoreMode))):
            if value not in choices:
                raise ValueError(f"expected {name} to be one of {', '.join(choices)}, got {value!r}.")
        self.train = train
        self.val_files = val_files
        self.val_lr_files = val_lr_files
        self.test_files = test_files
        self.scale = scale
        self.scales = tuple(scales) if scales else (scale,)
        self.degradations = _for_each_scale(degradation, scale, self.scales)
        self.augment = augment
        self.crop: Crop = crop
        self.lr_patch = _lr_patch(hr_patch, lr_patch, scale)
        self.hr_patch = self.lr_patch * scale
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.num_workers = num_workers
        self.seed = seed
        self.cache_dir = cache_dir
        self.store: StoreMode = store
        self.device_cache = device_cache
        self.channels = channels
        self.max_skipped = max_skipped
        self.min_side = min_side
        self.progress = progress
        self.lr_is_stored = _lr_is_stored(train, self.degradations[scale], scales=self.scales)
        if crop == "resize" and (len(self.scales) > 1 or any(each.lr_files for each in train)):
            raise ValueError("crop=resize makes images of one size: it allows neither several scales nor own LR files.")
        self.train_stores: list[Images] = []
        self.train_weights: list[float] = []
        self.val_store: Images | None = None
        self.test_store: Images | None = None
        self._patches: PatchDataset | None = None
        self._cache: DeviceCache | None = None

    def prepare_data(self) -> None:
        """Build the stores that do not exist yet; Lightning calls this on one process of each machine."""
        if self._patches is None:
            self.setup("fit")
            stores = [*self.train_stores, self.val_store, self.test_store]
            for path, reason in (each for store in stores if store is not None for each in store.skipped):
                _log.warning("left out %s: %s", path, reason)

    def setup(self, stage: str) -> None:
        """Open the stores, whatever the stage, unless they are open."""
        if self._patches is not None:
            return
        self.train_stores = [self._open_training_set(each) for each in self.train]
        self.val_store = self._open_whole("validation images", self.val_files, lr_files=self.val_lr_files)
        self.test_store = self._open_whole("test images", self.test_files) if self.test_files else None
        margins = None if self.lr_is_stored else {scale: self.degradations[scale].margin for scale in self.scales}
        self._patches = PatchDataset(
            self.train_stores,
            [each.weight for each in self.train],
            settings=PatchSettings(
                lr_patch=self.lr_patch,
                scales=self.scales,
                batch_size=self.batch_size,
                crop=self.crop,
                codes=self.augment.codes,
                margins=margins,
            ),
            seed=self.seed,
            plan_only=self.device_cache,
        )
        self.train_weights = self._patches.weights

    @property
    def hr_pixels(self) -> float:
        """HR pixels of a training sample, on average; after `setup`."""
        if self.crop != "whole":
            return float(np.mean([(self.lr_patch * scale) ** 2 for scale in self.scales]))
        means = [
            np.mean([(store.sizes // scale * scale).prod(axis=1).mean() for scale in self.scales])
            for store in self.train_stores
        ]
        return float(np.average(means, weights=self.train_weights))

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches without end, from the step that the trainer's module has reached.

        Raises:
            DataError: the batch size cannot be divided by devices and accumulation, or leaves an odd number of samples
                where pairs of them are mixed, or more than one where images have different sizes.
        """
        assert self._patches is not None, "setup() comes before the loaders"
        rank, world_size, cuda, step = 0, 1, False, 0
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
            cuda = self.trainer.strategy.root_device.type == "cuda"
            module: Any = self.trainer.lightning_module
            step = module.step
        # A plan is made faster than a worker could hand it over.
        workers = 0 if self.device_cache else self.num_workers
        return DataLoader(
            self._patches,
            batch_sampler=GlobalBatchSampler(
                batch_size=self.micro_batch(world_size),
                rank=rank,
                world_size=world_size,
                accumulate=self.accumulate,
                start_step=step,
            ),
            collate_fn=_hand_through,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_signals_to_the_parent,
            pin_memory=cuda,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Validation images of this rank, one per batch.

        Raises:
            DataError: there are fewer images than devices.
        """
        assert self.val_store is not None, "setup() comes before the loaders"
        return self._whole_images(self.val_store)

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Test images of this rank, one per batch.

        Raises:
            DataError: there are none, or fewer than devices.
        """
        if self.test_store is None:
            raise DataError("no test images were given; give test_files and call setup() first.")
        return self._whole_images(self.test_store)

    def val_pair(self, index: int) -> tuple[Tensor, Tensor]:
        """Return `lr` and `hr` of a validation image as validation sees it: uint8 `(1, C, H, W)`, on the CPU."""
        assert self.val_store is not None, "setup() comes before the images"
        item = self._whole(WholeImages(self.val_store, scale=self.scale)[index])
        return item["lr"], item["hr"]

    def transfer_batch_to_device(
        self, batch: dict[str, Any], device: torch.device, dataloader_idx: int
    ) -> dict[str, Any]:
        """Move the tensors of a batch; Lightning would look at each sample's number too, half a millisecond a step."""
        ahead = device.type == "cuda"  # from pinned memory, while the device still computes
        return {
            key: value.to(device, non_blocking=ahead) if isinstance(value, Tensor) else value
            for key, value in batch.items()
        }

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Make on the device what `SRDataModule` promises of a batch."""
        return self._training_batch(batch) if "dihedral" in batch else self._whole(batch)

    def _training_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        samples, scale, codes = batch["samples"], batch["scale"], batch["dihedral"]
        if "plan" in batch:
            batch = self._device_cache(codes.device).cut(batch["plan"], scale)
        # Turned and laid out while a pixel is one byte, not four.
        images = {key: _to_float(_turned(batch[key], codes)) for key in ("lr", "hr") if key in batch}
        if not self.lr_is_stored:
            images = self._degraded(images["hr"], samples=samples, scale=scale)
        images = self.augment(images, samples=samples, seed=self.seed)
        laid_out = {key: image.contiguous(memory_format=torch.channels_last) for key, image in images.items()}
        return laid_out | ({"scale": scale} if len(self.scales) > 1 else {})

    def _degraded(self, hr: Tensor, *, samples: Sequence[int], scale: int) -> dict[str, Tensor]:
        """Return `lr`, `hr` and perhaps `real` of HR that has its surroundings around it."""
        degradation = self.degradations[scale]
        margin = degradation.margin
        lr = shave(degradation(hr, samples=samples, seed=self.seed), margin // scale)
        target = degradation.target(hr)
        if target is hr:
            return {"lr": lr, "hr": shave(hr, margin)}
        # Sharpened before the surroundings go: a patch then gets what the whole image would at this place.
        return {"lr": lr, "hr": shave(target, margin), "real": shave(hr, margin)}

    def _whole(self, batch: dict[str, Any]) -> dict[str, Any]:
        lr, hr = batch.get("lr"), batch["hr"]
        if lr is None:
            degradation = self.degradations[self.scale]
            lr = to_uint8(degradation(from_uint8(hr), samples=[batch["index"]], seed=self.seed))
        return {"lr": lr, "hr": hr, "name": batch["name"]}

    def _device_cache(self, device: torch.device) -> DeviceCache:
        assert self._patches is not None, "setup() comes before the batches"
        if self._cache is None or self._cache.device != device:
            self._cache = None  # two might not fit beside each other
            self._cache = DeviceCache(self._patches, device)
        return self._cache

    def micro_batch(self, world_size: int) -> int:
        """Return the samples of a batch of one process, after `setup`.

        Raises:
            DataError: as `train_dataloader`.
        """
        assert self._patches is not None, "setup() comes before batches"
        micro_batch, rest = divmod(self.batch_size, world_size * self.accumulate)
        if rest:
            raise DataError(
                f"expected data.batch_size to be a multiple of devices x accumulated batches = "
                f"{world_size} x {self.accumulate}, got {self.batch_size}."
            )
        if self.augment.mixes and micro_batch % 2:
            raise DataError(
                "mixup and cutmix take samples in pairs: expected an even number for each device and accumulated "
                f"batch, got {micro_batch} of data.batch_size={self.batch_size}."
            )
        if self.crop == "whole" and micro_batch > 1:
            self._patches.check_one_size()
        return micro_batch

    def _open_training_set(self, each: TrainingSet) -> Images:
        # Whole and resized images have no patch to be larger than.
        min_side = self.lr_patch * max(self.scales) if self.crop in ("random", "centre") else 1
        resize = self.hr_patch if self.crop == "resize" else None
        return self._open(
            f"training images {each.name}",
            each.files,
            lr_files=each.lr_files,
            scales=self.scales if self.lr_is_stored else (),
            min_side=min_side,
            resize=resize,
        )

    def _open_whole(self, what: str, files: Sequence[Path], *, lr_files: Sequence[Path] | None = None) -> Images:
        stored = self.degradations[self.scale].stored or lr_files is not None
        scales = (self.scale,) if stored else ()
        return self._open(what, files, lr_files=lr_files, scales=scales, min_side=max(self.min_side, self.scale))

    def _open(
        self,
        what: str,
        files: Sequence[Path],
        *,
        lr_files: Sequence[Path] | None,
        scales: Sequence[int],
        min_side: int,
        resize: int | None = None,
    ) -> Images:
        made: Any = {scale: self.degradations[scale] for scale in scales} if lr_files is None else None
        return open_images(
            files,
            store=self.store,
            cache_dir=self.cache_dir,
            scales=scales,
            degradation=made,
            min_side=min_side,
            channels=self.channels,
            resize=resize,
            lr_paths=None if lr_files is None else {self.scale: lr_files},
            max_skipped=self.max_skipped,
            progress=None if self.progress is None else partial(self.progress, what),
        )

    def _whole_images(self, store: Images) -> DataLoader[dict[str, Any]]:
        rank, world_size = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if len(store) < world_size:
            # Lightning skips the loop on a rank without images, and the others would wait for it for ever.
            raise DataError(
                f"expected at least one image per device, got {len(store)} images for {world_size} devices: "
                f"{', '.join(store.names)}; use fewer devices or more images."
            )
        images = WholeImages(store, scale=self.scale)
        return DataLoader(images, batch_size=None, sampler=range(rank, len(store), world_size))


def _lr_patch(hr_patch: int | None, lr_patch: int | None, scale: int) -> int:
    if (hr_patch is None) == (lr_patch is None):
        raise ValueError(f"expected exactly one of hr_patch and lr_patch, got {hr_patch} and {lr_patch}.")
    if lr_patch is not None:
        return lr_patch
    assert hr_patch is not None
    if hr_patch % scale:
        raise ValueError(f"expected hr_patch to be a multiple of scale {scale}, got {hr_patch}.")
    return hr_patch // scale


def _for_each_scale(
    degradation: Degradation | Mapping[int, Degradation], scale: int, scales: Sequence[int]
) -> dict[int, Degradation]:
    each = dict(degradation) if isinstance(degradation, Mapping) else {degradation.scale: degradation}
    for wanted in {scale, *scales}:
        if wanted not in each or each[wanted].scale != wanted:
            got = ", ".join(f"{number}: {one.name} of scale {one.scale}" for number, one in each.items())
            raise ValueError(f"expected a degradation of scale {wanted} under this number, got {{{got}}}.")
    return each


def _lr_is_stored(train: Sequence[TrainingSet], degradation: Degradation, *, scales: Sequence[int]) -> bool:
    own = [each.name for each in train if each.lr_files is not None]
    if own and len(scales) > 1:
        raise ValueError(f"own LR files are of one scale, got {own} with scales {list(scales)}.")
    if own and not degradation.stored and len(own) < len(train):
        raise ValueError(
            f"own LR files cannot stand beside LR that {degradation.name} makes during training: expected them for "
            f"all of the sets {[each.name for each in train]} or for none, got them for {own}."
        )
    return degradation.stored or bool(own)


def _as_batch(image: Pixels) -> Tensor:
    """Return an image `(H, W, C)` as uint8 `(1, C, H, W)`; of 16 bits the nearest of 8."""
    return to_8_bits(torch.from_numpy(image)).permute(2, 0, 1)[None]


def _turned(images: Tensor, codes: Tensor) -> Tensor:
    """`dihedral_batch`, of oblong images too, whose codes swap nothing; of 16 bits as well."""
    pixels = images.view(torch.int16) if images.dtype == torch.uint16 else images  # of uint16 torch knows little
    if images.shape[-1] == images.shape[-2]:
        pixels = dihedral_batch(pixels, codes)
    else:
        codes = codes.reshape(-1, 1, 1, 1)
        pixels = torch.where(codes & 1 > 0, pixels.flip(-1), pixels)
        pixels = torch.where(codes & 2 > 0, pixels.flip(-2), pixels)
    return pixels.contiguous(memory_format=torch.channels_last).view(images.dtype)


def _to_float(images: Tensor) -> Tensor:
    return images.to(torch.float32) / 65535 if images.dtype == torch.uint16 else from_uint8(images)


def _leave_signals_to_the_parent(worker: int) -> None:
    # Ctrl-C and schedulers signal every process of a run; a worker that died of it would fail the step which the run
    # still finishes and saves.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _hand_through(batch: Any) -> Any:
    return batch
