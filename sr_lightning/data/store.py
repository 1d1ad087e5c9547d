"""Images decoded once: HR and LR of a whole set in memory-mapped files that workers, ranks and runs share.

Cutting a 192x192 patch from a PNG of DIV2K takes some 80 ms of decoding, from the memory map microseconds.
"""

import json
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data import packing
from sr_lightning.data.bands import Bands, map_file
from sr_lightning.data.image import Pixels
from sr_lightning.data.lr_rules import Downscale, lr_rules
from sr_lightning.data.packing import Progress, nothing_left
from sr_lightning.data.sources import Sources, lengths

# Batches that are asked for after one that had to wait for the disk.
_COLD_BATCHES = 16

Place = tuple[int, int, int]


class Images(Protocol):
    """What patches are cut from: a `Store`, or `file_images.FileImages` where disks are small."""

    names: Sequence[str]
    channels: int
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]
    min_side: int
    scales: tuple[int, ...]
    sizes: NDArray[np.int64]

    @property
    def skipped(self) -> list[tuple[Path, str]]:
        """Path and reason of each image that was left out."""

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Perceptual hash of each image, `(N, fingerprint.WORDS)`."""

    def __len__(self) -> int: ...

    def ask_for(self, places: Sequence[Place], *, side: int, scale: int) -> None:
        """Have the system read the patches of a batch, if it can; see `Store.ask_for`."""

    def hr(self, index: int) -> Pixels:
        """A whole HR image `(H, W, C)`."""

    def lr(self, index: int, scale: int) -> Pixels:
        """A whole LR image `(H // scale, W // scale, C)`."""

    def cut_hr(self, index: int, top: int, left: int, out: Pixels) -> None:
        """Fill `out (h, w, C)` with HR from row `top` and column `left` on."""

    def cut_lr(self, index: int, scale: int, top: int, left: int, out: Pixels) -> None:
        """Fill `out (h, w, C)` with LR from row `top` and column `left` on."""


class Store:
    """HR images, uncropped, and their LR for some scales, cut out of memory-mapped files.

    On disk a folder named by its key. The key covers path, size and modification time of each source, the
    number of channels and `resize`: when one changes, another store is built; old ones may be deleted.

    - `hr.bin`: pixels, image after image, each in rows or in vertical bands (see `bands.py`).
    - `index.npy`, `names.bin`, `hashes.npy`: place, size, name and perceptual hash of each image.
    - `info.json`: what people want to know, and what was left out.
    - `lr_x4_<key>.bin` and `.json`: LR of one scale and rule, or of LR files. A further scale is made from
      `hr.bin`; nothing is decoded again.

    Opening reads no file as a whole and makes no Python object per image. A store is pickled as its path, so
    that the workers of a loader map the same pages instead of copying them.

    Attributes:
        names: path of each image below the folder that all have in common, with its suffix; unique.
        channels: channels of each image.
        dtype: uint8, or uint16 if a source has 16 bits; the values of 8-bit sources are then times 257.
        sizes: `(N, 2)`, height and width of each HR image.
        scales: those for which there is LR.
        min_side: images with a shorter side than this are passed over.
        folder: where the files are.
    """

    def __init__(self, folder: Path, *, lr: Mapping[int, str], min_side: int) -> None:
        """Open a finished store; `open_or_build` is the way to one.

        Args:
            folder: a store's folder.
            lr: file name of the LR of each scale, without its suffix.
            min_side: images with a shorter side than this, in HR pixels, are passed over. They stay on disk,
                so that another patch size needs no other store.

        Raises:
            DataError: no image is left.
        """
        self._info: dict[str, Any] = json.loads((folder / packing.INFO).read_text(encoding="utf-8"))
        self._lr = dict(lr)
        self.folder = folder
        self.min_side = min_side
        self.scales = tuple(sorted(self._lr))
        self.channels: int = self._info["channels"]
        self.dtype: np.dtype[np.uint8] | np.dtype[np.uint16] = np.dtype(self._info["dtype"])
        self._index = np.load(folder / packing.INDEX, mmap_mode="r")
        sizes = packing.sizes_of(self._index)
        # One LR pixel has to be left as well.
        self._smallest = max(min_side, *self.scales, 1)
        self._selected = np.flatnonzero(sizes.min(axis=1) >= self._smallest)
        self.sizes = sizes[self._selected]
        self.names: Sequence[str] = _Names(folder / packing.NAMES, self._index["name_end"], self._selected)
        if not len(self):
            raise nothing_left(self.skipped)
        self._waited = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        self._cold_batches = _COLD_BATCHES
        self._hr_bands = self._bands("hr", starts=self._index["start"], sizes=sizes)
        self._lr_bands = {}
        for scale, name in self._lr.items():
            values = lengths(sizes // scale, self.channels)
            self._lr_bands[scale] = self._bands(name, starts=np.cumsum(values) - values, sizes=sizes // scale)

    def _bands(self, name: str, *, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Bands:
        path, chosen = self.folder / f"{name}.bin", self._selected
        return Bands(
            path,
            self.dtype,
            starts=starts[chosen],
            sizes=sizes[chosen],
            channels=self.channels,
            band=self._info["band"],
        )

    @classmethod
    def open_or_build(
        cls,
        paths: Sequence[Path],
        *,
        cache_dir: Path,
        scales: Sequence[int],
        degradation: Downscale | Mapping[int, Downscale] | None,
        min_side: int,
        channels: int = 3,
        resize: int | None = None,
        lr_paths: Mapping[int, Sequence[Path]] | None = None,
        max_skipped: float = 0.05,
        progress: Progress | None = None,
    ) -> "Store":
        """Open the store of these images, building what is not there yet.

        A build that was killed goes on where it stood. Of several processes that want the same store one
        builds and the others wait for it, reporting its progress.

        Args:
            paths: images; their order is the order of the store.
            cache_dir: where stores are kept; made if missing.
            scales: for which LR is wanted; none for HR alone.
            degradation: makes LR from HR: the one of the only scale, or one for each of several. None if LR
                is read from files.
            min_side: see `__init__`.
            channels: of each image. 3: RGB, grey replicated; 1: grey, or Y of colour; any other number: files
                with just that many bands (multi-band TIFF, `.npy` of shape `(H, W, N)`).
            resize: side in pixels of a square to which each whole HR image is resized (Pillow's bicubic); None
                leaves images as they are.
            lr_paths: LR files of each scale, in the order of `paths`; LR of these scales is read, not made.
            max_skipped: share of images that may be left out, unreadable or too small, in [0, 1].
            progress: called with the number of steps done and of all, while building. A step is an image's
                HR, or its LR of one scale.

        Raises:
            DataError: no image is given or none can be used, too many had to be left out, LR files are not
                those of the HR files, or the disk is too small.
            ValueError: the degradation is not one of this scale.
        """
        sources = Sources(paths, channels=channels, resize=resize)
        rules = lr_rules(scales, degradation, lr_paths=lr_paths, sources=sources)
        folder = packing.build(sources, rules, cache_dir=cache_dir, max_skipped=max_skipped, progress=progress)
        store = cls(folder, lr={rule.scale: rule.name for rule in rules}, min_side=min_side)
        packing.check_skipped(store.skipped, of=len(paths), max_skipped=max_skipped)
        return store

    def __len__(self) -> int:
        return len(self._selected)

    def __reduce__(self) -> tuple[Callable[[Path], "Store"], tuple[Path]]:
        return partial(Store, lr=self._lr, min_side=self.min_side), (self.folder,)

    @property
    def skipped(self) -> list[tuple[Path, str]]:
        """Path and reason of each image that was left out, unreadable or too small."""
        skipped = [(Path(path), reason) for path, reason in self._info["skipped"]]
        small = np.flatnonzero(np.minimum(self._index["height"], self._index["width"]) < self._smallest)
        names = _Names(self.folder / packing.NAMES, self._index["name_end"], small)
        root = Path(self._info["root"])
        for name, entry in zip(names, self._index[small], strict=True):
            skipped.append((root / name, packing.too_small(entry["height"], entry["width"], self._smallest)))
        return skipped

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Perceptual hash of each image, `(N, fingerprint.WORDS)`."""
        hashes: NDArray[np.uint64] = np.load(self.folder / packing.HASHES, mmap_mode="r")[self._selected]
        return hashes

    def ask_for(self, places: Sequence[Place], *, side: int, scale: int) -> None:
        """Have the system read the patches of a batch into memory, all at once and without waiting for them.

        Where they are not there yet, cutting the batch then takes a twentieth of the time; where they are, asking
        would cost half as much as cutting. Therefore the first batches are asked for, and in the last of these the
        first patch is left out, to see whether this process has to wait for the disk. While it has, it goes on so.

        Args:
            places: image, top and left in HR pixels of each patch.
            side: of the patches in HR pixels.
            scale: of the LR patches that will be cut too, if there is LR of this scale.

        Raises:
            IndexError: a patch does not lie inside its image.
        """
        waited = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        if waited > self._waited:
            self._cold_batches = _COLD_BATCHES
        self._waited = waited
        if not self._cold_batches:
            return
        self._cold_batches -= 1
        lr = self._lr_bands.get(scale)
        for image, top, left in places if self._cold_batches else places[1:]:
            self._hr_bands.ask_for(image, top, left, side, side)
            if lr is not None:
                lr.ask_for(image, top // scale, left // scale, side // scale, side // scale)

    def hr(self, index: int) -> Pixels:
        """A whole HR image `(H, W, C)`, a copy."""
        return self._hr_bands.whole(index)

    def lr(self, index: int, scale: int) -> Pixels:
        """A whole LR image `(H // scale, W // scale, C)`, a copy."""
        return self._lr_bands[scale].whole(index)

    def cut_hr(self, index: int, top: int, left: int, out: Pixels) -> None:
        """Fill `out (h, w, C)` with HR from row `top` and column `left` on.

        Raises:
            IndexError: the patch does not lie inside the image.
        """
        self._hr_bands.cut(index, top, left, out)

    def cut_lr(self, index: int, scale: int, top: int, left: int, out: Pixels) -> None:
        """Fill `out (h, w, C)` with LR from row `top` and column `left` on.

        Raises:
            IndexError: the patch does not lie inside the image.
        """
        self._lr_bands[scale].cut(index, top, left, out)


class _Names(Sequence[str]):
    """Names in one file, each decoded when it is asked for."""

    def __init__(self, path: Path, ends: NDArray[np.int64], selected: NDArray[np.int64]) -> None:
        self._blob = map_file(path)
        self._ends = ends
        self._selected = selected

    def __len__(self) -> int:
        return len(self._selected)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        image = self._selected[index]
        start = self._ends[image - 1] if image else 0
        return os.fsdecode(self._blob[start : self._ends[image]])
