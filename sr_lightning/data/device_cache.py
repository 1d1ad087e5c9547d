"""A whole training set in the accelerator's memory, where patches are cut: nothing but a plan crosses the bus."""

import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.data.image import Pixels
from sr_lightning.data.patches import Cuttable, PatchDataset, PatchPlan, cut_patches
from sr_lightning.data.scan import DataError
from sr_lightning.data.store import Images

# 16 bits lie there as int16: torch moves uint16 about, but cannot pick from it on every device.
_HELD = {np.uint8: torch.uint8, np.uint16: torch.int16}


class DeviceCache:
    """The images of a `PatchDataset` on a device.

    Args:
        dataset: whose stores are copied, HR and, where it takes stored LR, LR of all its scales.
        device: where to.

    Raises:
        DataError: they do not fit into the memory that is free.
    """

    def __init__(self, dataset: PatchDataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        scales = dataset.settings.scales if dataset.settings.margins is None else ()
        values = sum(_values(store, scale) for store in dataset.stores for scale in (1, *scales))
        needed, free = values * np.dtype(dataset.dtype).itemsize, _free_bytes(device)
        if needed > free:
            raise DataError(
                f"data.device_cache: the images take {needed:,} bytes, but {device} has {free:,} free; "
                "train with data.device_cache=false."
            )
        self._images: list[Cuttable] = [
            _OnDevice(store, cuttable, dtype=dataset.dtype, scales=scales, device=device)
            for store, cuttable in zip(dataset.stores, dataset.cuttable, strict=True)
        ]

    def cut(self, plan: PatchPlan, scale: int) -> dict[str, Tensor]:
        """Return the `hr` and `lr` that `PatchDataset` cuts by this plan, on the device."""
        shapes = self.dataset.shapes(plan, scale)
        held = _HELD[self.dataset.dtype]
        batch = {key: torch.empty(shape, dtype=held, device=self.device) for key, shape in shapes.items()}
        margin = self.dataset.margin(scale)
        cut_patches(self._images, plan, scale=scale, lr=batch.get("lr"), hr=batch["hr"], margin=margin)
        dtype = torch.uint16 if held == torch.int16 else held
        return {key: images.view(dtype).permute(0, 3, 1, 2) for key, images in batch.items()}


class _OnDevice:
    """One store: its images back to back in one tensor for HR and one for LR of each scale."""

    def __init__(
        self,
        store: Images,
        cuttable: Cuttable,
        *,
        dtype: type[np.uint8] | type[np.uint16],
        scales: Sequence[int],
        device: torch.device,
    ) -> None:
        self.sizes = store.sizes
        self._channels = store.channels
        self._pixels: dict[int, Tensor] = {}
        self._starts: dict[int, NDArray[np.int64]] = {}
        for scale in (1, *scales):
            sizes = store.sizes // scale
            values = sizes.prod(axis=1) * store.channels
            self._starts[scale] = np.cumsum(values) - values
            self._pixels[scale] = torch.empty(int(values.sum()), dtype=_HELD[dtype], device=device)
            for index, (height, width) in enumerate(sizes.tolist()):
                image: Pixels = np.empty((height, width, store.channels), dtype)
                if scale == 1:
                    cuttable.cut_hr(index, 0, 0, image)
                else:
                    cuttable.cut_lr(index, scale, 0, 0, image)
                start = self._starts[scale].item(index)
                self._pixels[scale][start : start + image.size] = torch.from_numpy(image).reshape(-1).view(_HELD[dtype])

    def cut_hr(self, index: int, top: int, left: int, out: Tensor) -> None:
        """See `Cuttable`."""
        self.cut_lr(index, 1, top, left, out)

    def cut_lr(self, index: int, scale: int, top: int, left: int, out: Tensor) -> None:
        """See `Cuttable`."""
        width, channels = self.sizes.item(index, 1) // scale, self._channels
        first = self._starts[scale].item(index) + (top * width + left) * channels
        out.copy_(self._pixels[scale].as_strided(tuple(out.shape), (width * channels, channels, 1), first))


def _values(store: Images, scale: int) -> int:
    return int((store.sizes // scale).prod(axis=1).sum()) * store.channels


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
