"""Where the pixels of a stored image lie: in rows, or in vertical bands, one after another.

Of a patch in bands one or two runs of the file are touched, of `BAND` pixels a row, not rows of the whole image's
width: a quarter of the bytes where they have to come from the disk, and with the system told beforehand patches come
four times as fast. From memory rows are the faster, by a third (`benchmarks/layout.py`, `benchmarks/loader.py`). So
images lie in rows where all of them fit into memory easily, else in bands.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BAND = 256
# A band as wide as this holds whole rows of any image.
ROWS = 1 << 30
# Share of the free memory that images may take to count as fitting easily: other programs want some of it too.
_EASILY = 0.5


def choose_band(needed: int, *, available: int | None) -> int:
    """Return the width of the bands, in pixels, that suits images of so many bytes; `ROWS` for whole rows.

    Args:
        needed: bytes of all images.
        available: bytes of free memory, None where that is not known.
    """
    return ROWS if available is not None and needed <= _EASILY * available else BAND


def split(image: NDArray[Any], band: int) -> Iterator[NDArray[Any]]:
    """The bands of an image `(H, W, C)`: contiguous arrays `(H, band, C)`, the last one perhaps narrower."""
    for left in range(0, image.shape[1], band):
        yield np.ascontiguousarray(image[:, left : left + band])


class Bands:
    """The images of one file, mapped read-only and cut out of their bands.

    Args:
        path: the file.
        dtype: of its values.
        starts: `(N,)` int64, number of each image's first value.
        sizes: `(N, 2)` int64, height and width of each image.
        channels: channels of each image.
        band: width of the bands in pixels.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        *,
        starts: NDArray[np.int64],
        sizes: NDArray[np.int64],
        channels: int,
        band: int,
    ) -> None:
        self._map = map_file(path)
        # A plain array: slicing `np.memmap` takes several times as long.
        self._pixels = np.frombuffer(self._map, dtype)
        self._starts = starts
        self._sizes = sizes
        self._channels = channels
        self._band = band

    def cut(self, index: int, top: int, left: int, out: NDArray[Any]) -> None:
        """Fill `out (h, w, C)` with the image's pixels from row `top` and column `left` on.

        Raises:
            IndexError: the patch does not lie inside the image.
        """
        rows, columns, channels = out.shape
        runs = self._runs(index, top, left, rows, columns)
        if len(runs) == 1:  # as nearly always in rows, and every microsecond counts
            ((start, band_width, inside, _),) = runs
            lines = self._pixels[start : start + rows * band_width * channels].reshape(rows, band_width, channels)
            out[:] = lines[:, inside : inside + columns]
            return
        done = 0
        for start, band_width, inside, take in runs:
            lines = self._pixels[start : start + rows * band_width * channels].reshape(rows, band_width, channels)
            out[:, done : done + take] = lines[:, inside : inside + take]
            done += take

    def ask_for(self, index: int, top: int, left: int, rows: int, columns: int) -> None:
        """Have the system read a patch into memory, without waiting for it: 5 microseconds if it is there already."""
        for start, band_width, _, _ in self._runs(index, top, left, rows, columns):
            first = start * self._pixels.itemsize
            length = rows * band_width * self._channels * self._pixels.itemsize
            page = first - first % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, page, first - page + length)

    def whole(self, index: int) -> NDArray[Any]:
        """A whole image `(H, W, C)`, a copy."""
        out = np.empty((*self._sizes[index], self._channels), self._pixels.dtype)
        self.cut(index, 0, 0, out)
        return out

    def _runs(self, index: int, top: int, left: int, rows: int, columns: int) -> list[tuple[int, int, int, int]]:
        """For each band that a patch touches: number of its first value, width, first column and number of columns."""
        # `item` gives plain ints, several times faster to calculate with than numpy's.
        height, width = self._sizes.item(index, 0), self._sizes.item(index, 1)
        check_inside(top, left, (rows, columns), (height, width))
        image, channels = self._starts.item(index), self._channels
        if self._band >= width:
            return [(image + top * width * channels, width, left, columns)]
        runs, done = [], 0
        while done < columns:
            inside = (left + done) % self._band
            band = left + done - inside
            band_width = min(self._band, width - band)
            take = min(band_width - inside, columns - done)
            runs.append((image + (band * height + top * band_width) * channels, band_width, inside, take))
            done += take
        return runs


def check_inside(top: int, left: int, patch: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Raise IndexError unless a patch of this shape at row `top`, column `left` lies inside an image of that shape."""
    if top < 0 or left < 0 or top + patch[0] > image[0] or left + patch[1] > image[1]:
        raise IndexError(
            f"{patch[0]}x{patch[1]} pixels from row {top}, column {left} on are not inside {image[0]}x{image[1]}."
        )


def map_file(path: Path) -> mmap.mmap:
    """Map a file into memory, read-only."""
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        # Nothing cannot be mapped: LR of images without an LR pixel.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if length else mmap.mmap(-1, mmap.PAGESIZE)
