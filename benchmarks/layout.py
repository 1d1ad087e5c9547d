"""How pixels should lie in a store's file: rows, vertical bands or tiles, warm and cold.

    python benchmarks/layout.py [images=120] [folder=FOLDER] [seconds=2] [batches=6] [output=FILE.json]

Pairs of 192x192 HR and 48x48 LR are cut at random from images of DIV2K's size, single process, one thread, one
file pair for each layout (1.06 GB with 120 images, removed afterwards):

- rows: a row of the image after the other, as in an array `(H, W, C)`;
- bands of 64 ... 512: vertical bands of so many pixels, each like rows (`sr_lightning/data/bands.py`);
- tiles: squares of 64x64 pixels, row by row.

Warm: pairs per second with all pages in memory. Cold: pairs per second of batches of 64, the page cache dropped and
the file mapped anew before each batch; with the kernel's read-ahead as it is (`normal`), without (`random`), and
with the pages of a whole batch asked for beforehand (`willneed`). On a disk that caches by itself, as those of
virtual machines do, cold is not as cold as it could be.
"""

import json
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH, CHANNELS, SCALE = 1356, 2040, 3, 4
HR_PATCH, LR_PATCH, BATCH = 192, 48, 64
ADVICE = {"normal": mmap.MADV_NORMAL, "random": mmap.MADV_RANDOM, "willneed": mmap.MADV_RANDOM}

Bytes = NDArray[np.uint8]


class Run(NamedTuple):
    """Bytes of a file that lie together and belong to a patch."""

    start: int
    length: int


class Layout(Protocol):
    """Where the pixels of an image lie."""

    def split(self, image: Bytes) -> Iterator[Bytes]:
        """Parts of an image in the order in which they are written."""

    def runs(self, start: int, size: tuple[int, int], top: int, left: int, side: int) -> Iterator[Run]:
        """What has to be read for a patch of an image that begins at byte `start`."""

    def cut(self, pixels: Bytes, start: int, size: tuple[int, int], top: int, left: int, out: Bytes) -> None:
        """Fill `out (side, side, C)`."""


class Bands:
    """Vertical bands; one as wide as any image is a layout of rows."""

    def __init__(self, width: int) -> None:
        self.width = width

    def split(self, image: Bytes) -> Iterator[Bytes]:
        for left in range(0, image.shape[1], self.width):
            yield image[:, left : left + self.width]

    def _each(
        self, start: int, size: tuple[int, int], top: int, left: int, side: int
    ) -> Iterator[tuple[int, int, int, int]]:
        """First byte, width of the band, first column in it and number of columns, for each band that is touched."""
        height, width = size
        done = 0
        while done < side:
            inside = (left + done) % self.width
            band = left + done - inside
            band_width = min(self.width, width - band)
            take = min(band_width - inside, side - done)
            yield start + (band * height + top * band_width) * CHANNELS, band_width, inside, take
            done += take

    def runs(self, start: int, size: tuple[int, int], top: int, left: int, side: int) -> Iterator[Run]:
        for first, band_width, _, _ in self._each(start, size, top, left, side):
            yield Run(first, side * band_width * CHANNELS)

    def cut(self, pixels: Bytes, start: int, size: tuple[int, int], top: int, left: int, out: Bytes) -> None:
        side, done = len(out), 0
        for first, band_width, inside, take in self._each(start, size, top, left, side):
            lines = pixels[first : first + side * band_width * CHANNELS].reshape(side, band_width, CHANNELS)
            out[:, done : done + take] = lines[:, inside : inside + take]
            done += take


class Tiles:
    """Squares, row by row; those at the right and lower border are filled up with zeros."""

    def __init__(self, side: int) -> None:
        self.side = side

    def split(self, image: Bytes) -> Iterator[Bytes]:
        height, width, _ = image.shape
        padded = np.pad(image, ((0, -height % self.side), (0, -width % self.side), (0, 0)))
        for top in range(0, height, self.side):
            for left in range(0, width, self.side):
                yield padded[top : top + self.side, left : left + self.side]

    def runs(self, start: int, size: tuple[int, int], top: int, left: int, side: int) -> Iterator[Run]:
        tile, columns = self.side * self.side * CHANNELS, -(-size[1] // self.side)
        first, last = left // self.side, (left + side - 1) // self.side
        for row in range(top // self.side, (top + side - 1) // self.side + 1):
            yield Run(start + (row * columns + first) * tile, (last - first + 1) * tile)

    def cut(self, pixels: Bytes, start: int, size: tuple[int, int], top: int, left: int, out: Bytes) -> None:
        side, edge = len(out), self.side
        tile, columns = edge * edge * CHANNELS, -(-size[1] // edge)
        for row in range(top // edge, (top + side - 1) // edge + 1):
            y = max(top, row * edge)
            height = min(top + side, (row + 1) * edge) - y
            for column in range(left // edge, (left + side - 1) // edge + 1):
                x = max(left, column * edge)
                width = min(left + side, (column + 1) * edge) - x
                first = start + (row * columns + column) * tile
                square = pixels[first : first + tile].reshape(edge, edge, CHANNELS)
                inside = square[y - row * edge : y - row * edge + height, x - column * edge : x - column * edge + width]
                out[y - top : y - top + height, x - left : x - left + width] = inside


LAYOUTS: dict[str, Layout] = {
    "rows": Bands(1 << 30),
    "bands of 512": Bands(512),
    "bands of 256": Bands(256),
    "bands of 128": Bands(128),
    "bands of 64": Bands(64),
    "tiles of 64": Tiles(64),
}


class Images:
    """Images of one size in one mapped file."""

    def __init__(self, path: Path, layout: Layout, size: tuple[int, int]) -> None:
        self.path = path
        self.layout = layout
        self.size = size
        self.length = sum(part.nbytes for part in layout.split(np.empty((*size, CHANNELS), np.uint8)))

    def write(self, images: int) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (*self.size, CHANNELS), np.uint8)
        content = b"".join(part.tobytes() for part in self.layout.split(noise))
        with self.path.open("wb") as file:
            for _ in range(images):
                file.write(content)
            os.fsync(file.fileno())

    def map(self, advice: str) -> None:
        """Map the file, anew if it was."""
        with self.path.open("rb") as file:
            self.file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.file.madvise(ADVICE[advice])
        self.pixels = np.frombuffer(self.file, np.uint8)

    def forget(self) -> None:
        """Drop the file's pages from memory: no mapping may hold them meanwhile."""
        del self.pixels
        self.file.close()
        with self.path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def cut(self, image: int, top: int, left: int, out: Bytes) -> None:
        self.layout.cut(self.pixels, image * self.length, self.size, top, left, out)

    def ask_for(self, image: int, top: int, left: int, side: int) -> int:
        """Have the kernel read what a patch needs, without waiting; returns its bytes."""
        total = 0
        for run in self.layout.runs(image * self.length, self.size, top, left, side):
            start = run.start // mmap.PAGESIZE * mmap.PAGESIZE
            length = min(run.start + run.length, len(self.pixels)) - start
            self.file.madvise(mmap.MADV_WILLNEED, start, length)
            total += length
        return total


class Pairs:
    """HR and LR files of one layout, and random places in them."""

    def __init__(self, folder: Path, layout: Layout, images: int) -> None:
        self.hr = Images(folder / "hr.bin", layout, (HEIGHT, WIDTH))
        self.lr = Images(folder / "lr.bin", layout, (HEIGHT // SCALE, WIDTH // SCALE))
        self.images = images
        self.draws = np.random.default_rng(1)
        self.hr_batch = np.empty((BATCH, HR_PATCH, HR_PATCH, CHANNELS), np.uint8)
        self.lr_batch = np.empty((BATCH, LR_PATCH, LR_PATCH, CHANNELS), np.uint8)

    def places(self) -> list[tuple[int, int, int]]:
        """Image, top and left in LR pixels of each pair of a batch."""
        bounds = (self.images, HEIGHT // SCALE - LR_PATCH + 1, WIDTH // SCALE - LR_PATCH + 1)
        columns = [self.draws.integers(0, bound, BATCH).tolist() for bound in bounds]
        return list(zip(*columns, strict=True))

    def ask_for(self, places: Sequence[tuple[int, int, int]]) -> int:
        return sum(
            self.hr.ask_for(image, top * SCALE, left * SCALE, HR_PATCH) + self.lr.ask_for(image, top, left, LR_PATCH)
            for image, top, left in places
        )

    def cut(self, places: Sequence[tuple[int, int, int]]) -> None:
        for n, (image, top, left) in enumerate(places):
            self.hr.cut(image, top * SCALE, left * SCALE, self.hr_batch[n])
            self.lr.cut(image, top, left, self.lr_batch[n])

    def each(self, method: Callable[[Images], None]) -> None:
        method(self.hr)
        method(self.lr)

    def warm(self, seconds: float) -> float:
        """Pairs per second with all pages in memory: the best of three runs."""
        self.each(lambda images: images.map("normal"))
        self.hr.pixels[:: mmap.PAGESIZE].max()
        self.lr.pixels[:: mmap.PAGESIZE].max()
        rates = []
        for _ in range(3):
            batches = [self.places() for _ in range(20)]
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds / 3:
                self.cut(batches[count % len(batches)])
                count += 1
            rates.append(count * BATCH / (time.perf_counter() - start))
        self.each(Images.forget)
        return max(rates)

    def cold(self, batches: int, advice: str) -> float:
        """Pairs per second of batches that find nothing in memory."""
        total = 0.0
        for _ in range(batches):
            self.each(lambda images: images.map(advice))
            self.each(Images.forget)
            self.each(lambda images: images.map(advice))
            places = self.places()
            start = time.perf_counter()
            if advice == "willneed":
                self.ask_for(places)
            self.cut(places)
            total += time.perf_counter() - start
            self.each(Images.forget)
        return batches * BATCH / total


def check(layout: Layout) -> None:
    """Every layout gives back what was written."""
    image = np.random.default_rng(2).integers(0, 256, (300, 333, CHANNELS), np.uint8)
    pixels = np.frombuffer(b"".join(part.tobytes() for part in layout.split(image)), np.uint8)
    out = np.empty((HR_PATCH, HR_PATCH, CHANNELS), np.uint8)
    for top, left in ((0, 0), (108, 141), (31, 64), (64, 101)):
        layout.cut(pixels, 0, (300, 333), top, left, out)
        np.testing.assert_array_equal(out, image[top : top + HR_PATCH, left : left + HR_PATCH])


def main() -> None:
    options: dict[str, Any] = dict(argument.split("=", 1) for argument in sys.argv[1:])
    images, seconds, batches = (
        int(options.get("images", 120)),
        float(options.get("seconds", 2)),
        int(options.get("batches", 6)),
    )
    results: dict[str, dict[str, float]] = {}
    print(f"{'pairs per second':>16} {'warm':>9} " + " ".join(f"{advice:>9}" for advice in ADVICE) + "   KB a pair")
    for name, layout in LAYOUTS.items():
        check(layout)
        with tempfile.TemporaryDirectory(dir=options.get("folder")) as folder:
            pairs = Pairs(Path(folder), layout, images)
            pairs.each(lambda each: each.write(images))
            row = {"warm": pairs.warm(seconds)}
            row |= {advice: pairs.cold(batches, advice) for advice in ADVICE}
            pairs.each(lambda each: each.map("random"))
            row["kilobytes"] = sum(pairs.ask_for(pairs.places()) for _ in range(4)) / (4 * BATCH) / 1e3
            pairs.each(Images.forget)
        results[name] = row
        print(f"{name:>16} " + " ".join(f"{value:9.0f}" for value in row.values()), flush=True)
    if "output" in options:
        Path(options["output"]).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
