"""Images decoded once: HR and LR of a whole training set as two memory-mapped files.

Cutting a 192x192 patch from a PNG of DIV2K takes some 80 ms of decoding, from the memory map 16 microseconds.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.data.image import read_rgb
from sr_lightning.data.scan import DataError

_VERSION = 1
_UNFINISHED = ".unfinished-"
# A build writes after every image, so that one without a write for this long was killed.
_ABANDONED_AFTER_SECONDS = 3600.0


class Degradation(Protocol):
    """How LR is made from HR, under a name that is another one whenever the result is another one."""

    @property
    def name(self) -> str:
        """Kind and parameters in one line."""

    def __call__(self, hr: Tensor, /) -> Tensor:
        """Map uint8 `(N, C, scale*H, scale*W)` to uint8 `(N, C, H, W)`."""


class _Pair(NamedTuple):
    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]


class Store:
    """HR images, cropped to a multiple of the scale, and their LR, as read-only uint8 arrays.

    On disk a folder named by its key with three files: `hr.bin` and `lr.bin` hold the images back to back,
    each `(H, W, 3)`; `index.json` holds names and sizes. The key covers the scale, the degradation, and
    path, size and modification time of each image: when a file changes, another store is built. Old ones
    may be deleted.

    A store is pickled as its path, so that the workers of a loader map the same pages instead of copying
    them.

    Attributes:
        names: path of each image below the folder that all have in common, with its suffix; unique.
        skipped: path and reason of each image that was left out, unreadable or smaller than `min_side`.
        scale: HR pixels per LR pixel.
    """

    def __init__(self, folder: Path, *, min_side: int) -> None:
        """Open a finished store; `open_or_build` is the way to one.

        Args:
            folder: a store's folder.
            min_side: images with a shorter side than this, in HR pixels, are passed over. They stay on
            disk, so
                that another patch size needs no other store.

        Raises:
            DataError: no image is left.
        """
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.folder = folder
        self.min_side = min_side
        self.scale: int = index["scale"]
        self.skipped: list[tuple[Path, str]] = [(Path(path), reason) for path, reason in index["skipped"]]
        self.names: list[str] = []
        self._views: list[_Pair] = []
        # Views on plain arrays: slicing np.memmap itself is several times slower.
        lr_pixels, hr_pixels = (np.asarray(np.memmap(folder / f, np.uint8, "r")) for f in ("lr.bin", "hr.bin"))
        start = 0
        for entry in index["images"]:
            height, width = entry["lr_size"]
            stop = start + height * width * 3
            area = self.scale**2
            lr = lr_pixels[start:stop].reshape(height, width, 3)
            hr = hr_pixels[start * area : stop * area].reshape(height * self.scale, width * self.scale, 3)
            start = stop
            if min(hr.shape[:2]) < min_side:
                self.skipped.append((Path(entry["path"]), _too_small(hr, min_side)))
            else:
                self.names.append(entry["name"])
                self._views.append(_Pair(lr, hr))
        if not self.names:
            raise _nothing_left(self.skipped)

    @classmethod
    def open_or_build(
        cls,
        paths: Sequence[Path],
        *,
        cache_dir: Path,
        scale: int,
        degradation: Degradation,
        min_side: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Store":
        """Open the store of these images, building it where there is none yet.

        It is built in a folder of its own and renamed when it is whole: a build that was killed is never
        mistaken for a store, and of two builders at once the first to finish wins and both use its result.

        Args:
            paths: images; their order is the order of the store.
            cache_dir: where stores are kept; made if missing.
            scale: HR pixels per LR pixel.
            degradation: makes LR from HR.
            min_side: see `__init__`.
            progress: called with the number of images done and of all, while building.

        Raises:
            DataError: no image is given or none can be used.
            ValueError: the degradation is not one of this scale.
        """
        if not paths:
            raise DataError("a store needs at least one image, got none.")
        paths = [path.absolute() for path in paths]
        folder = cache_dir / _key(paths, scale=scale, degradation=degradation)
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(cache_dir)
        if not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)  # it is there if somebody deleted or cut a file in it
            unfinished = cache_dir / f"{_UNFINISHED}{folder.name}-{uuid.uuid4().hex}"
            unfinished.mkdir()
            try:
                _build(unfinished, paths, scale=scale, degradation=degradation, progress=progress)
                unfinished.replace(folder)
            except OSError:
                # No folder can be renamed onto a full one: if it is whole, another builder was faster.
                if not _is_whole(folder):
                    raise
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        return cls(folder, min_side=min_side)

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[Callable[[Path], "Store"], tuple[Path]]:
        return partial(Store, min_side=self.min_side), (self.folder,)

    def lr(self, index: int) -> NDArray[np.uint8]:
        """LR image `(H, W, 3)`, a read-only view on the file."""
        return self._views[index].lr

    def hr(self, index: int) -> NDArray[np.uint8]:
        """HR image `(scale*H, scale*W, 3)`, a read-only view on the file."""
        return self._views[index].hr

    def lr_size(self, index: int) -> tuple[int, int]:
        """Height and width of an LR image."""
        height, width, _ = self.lr(index).shape
        return height, width


def _nothing_left(skipped: Sequence[tuple[str | Path, str]]) -> DataError:
    reasons = "; ".join(f"{path}: {reason}" for path, reason in skipped[:3])
    return DataError(f"none of the {len(skipped)} images can be used ({reasons}).")


def _too_small(hr: NDArray[np.uint8], min_side: int) -> str:
    height, width, _ = hr.shape
    return f"{width}x{height} pixels is too small, expected at least {min_side}x{min_side}"


def _key(paths: Sequence[Path], *, scale: int, degradation: Degradation) -> str:
    digest = hashlib.sha256(json.dumps([_VERSION, scale, degradation.name]).encode())
    for path in paths:
        status = path.stat()
        digest.update(json.dumps([os.fspath(path), status.st_size, status.st_mtime_ns]).encode())
    return digest.hexdigest()


def _is_whole(folder: Path) -> bool:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        lr_bytes = sum(3 * height * width for height, width in (entry["lr_size"] for entry in index["images"]))
        sizes = (folder / "lr.bin").stat().st_size, (folder / "hr.bin").stat().st_size
    except (OSError, ValueError):
        return False
    return sizes == (lr_bytes, lr_bytes * index["scale"] ** 2)


def _remove_abandoned(cache_dir: Path) -> None:
    for folder in cache_dir.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):  # its builder may be renaming it this moment
            last_write = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
            if time.time() - last_write > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _build(
    folder: Path,
    paths: Sequence[Path],
    *,
    scale: int,
    degradation: Degradation,
    progress: Callable[[int, int], None] | None,
) -> None:
    images, skipped = [], []
    common = os.path.commonpath([path.parent for path in paths])
    with (folder / "lr.bin").open("wb") as lr_file, (folder / "hr.bin").open("wb") as hr_file:
        pairs = _make_pairs(paths, scale=scale, degradation=degradation)
        for done, (path, pair) in enumerate(zip(paths, pairs, strict=True), start=1):
            if isinstance(pair, DataError):
                skipped.append((os.fspath(path), str(pair)))
            else:
                lr_file.write(pair.lr.data)
                hr_file.write(pair.hr.data)
                name = path.relative_to(common).as_posix()
                images.append({"name": name, "path": os.fspath(path), "lr_size": pair.lr.shape[:2]})
            if progress is not None:
                progress(done, len(paths))
    if not images:
        raise _nothing_left(skipped)
    index = {"scale": scale, "degradation": degradation.name, "images": images, "skipped": skipped}
    (folder / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _make_pair(path: Path, *, scale: int, degradation: Degradation) -> _Pair | DataError:
    try:
        image = read_rgb(path)
    except DataError as error:
        return error
    lr_height, lr_width = image.shape[0] // scale, image.shape[1] // scale
    if min(lr_height, lr_width) == 0:
        return DataError(_too_small(image, scale))
    hr = np.ascontiguousarray(image[: lr_height * scale, : lr_width * scale])
    lr = degradation(torch.from_numpy(hr).permute(2, 0, 1)[None].contiguous())
    if lr.shape != (1, 3, lr_height, lr_width) or lr.dtype != torch.uint8:
        raise ValueError(
            f"expected degradation {degradation.name} to give uint8 of shape {(1, 3, lr_height, lr_width)} "
            f"for scale {scale}, got {lr.dtype} of {tuple(lr.shape)}; give it the same scale."
        )
    return _Pair(lr[0].permute(1, 2, 0).contiguous().numpy(), hr)


def _make_pairs(paths: Sequence[Path], *, scale: int, degradation: Degradation) -> Iterator[_Pair | DataError]:
    """Decode in parallel and yield in order, holding a few images at a time."""
    workers = min(os.cpu_count() or 1, 16)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Pair | DataError]] = deque()
        for path in paths:
            waiting.append(pool.submit(_make_pair, path, scale=scale, degradation=degradation))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
