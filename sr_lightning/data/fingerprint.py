"""Perceptual hashes: the same photograph is found again in another format, size, brightness or orientation.

A hash holds the signs of the 16 x 16 lowest frequencies of an image's cosine transform, in units of the image's own
sides. Resizing leaves them as they are, JPEG, noise and gamma turn few of them, brightness and contrast none, mirroring
and turning some in a known way. Cutting off an edge shifts every wave: 3 % of a side are bridged, 10 % are not.
(After Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, which compares 64
coefficients with their median; their signs need no median, and 256 tell photographs apart better.)
"""

import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_SIDE = 16
WORDS = _SIDE * _SIDE // 64
# Bits of 256 by which two hashes of one photograph differ at most. Measured: BSD100 against BSDS300/test 1, Set5's
# woman against 302003 17, JPEG of quality 10 at most 31, a rim of 2.5 % cut off 76 at most (99 % of images: 68).
# Different photographs and centre squares, in all orientations: 127 +- 8 and never below 87 among 725,696 pairs; 64 is
# almost eight standard deviations away.
SAME = 64
# In grey levels of 256; the flattest photograph met, the sky of DIV2K 0845's centre, has 2.8.
_FLAT = 1.0
# Sides are decimated to 256 ... 511 samples. The fastest wave has 8 periods, so that what aliasing adds averages out.
_SAMPLES = 256
# Distances are counted tile by tile, in a few MB.
_TILE = 512


def fingerprint(image: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint64]:
    """Hash an image; 0.3 ms for one of 2040x1356.

    Args:
        image: `(H, W)` or `(H, W, C)`; three channels are taken as RGB, of any other number the mean.

    Returns:
        Array `(WORDS,)`; all zero for a flat image, one whose grey levels spread by less than one of 256.
    """
    luma = _luma(image)
    if luma.std() < _FLAT:
        return np.zeros(WORDS, np.uint64)
    # The first coefficient is the mean, always positive: no image but a flat one has the hash zero.
    coefficients = _cosines(luma.shape[0]) @ luma @ _cosines(luma.shape[1]).T
    return np.packbits(coefficients > 0).view(np.uint64)


def is_flat(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Say which of the hashes `(..., WORDS)` are those of flat images, `(...)`."""
    return np.asarray(~hashes.any(axis=-1))


def orientations(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the hashes that an image has in its 8 orientations, mirrored and turned.

    Args:
        hashes: `(N, WORDS)`.

    Returns:
        Array `(N, 8, WORDS)`; the first is the hash itself.
    """
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8), axis=1).reshape(-1, _SIDE, _SIDE)
    odd = (np.arange(_SIDE) % 2).astype(np.uint8)
    # A mirrored wave of odd number changes its sign; turning by 90 degrees swaps the axes too.
    flips = (np.zeros_like(odd), odd, odd[:, None], odd ^ odd[:, None])
    turned = [axes ^ flip for axes in (bits, bits.transpose(0, 2, 1)) for flip in flips]
    packed = np.packbits(np.stack(turned, axis=1).reshape(-1, 8, _SIDE * _SIDE), axis=2).view(np.uint64)
    packed[is_flat(hashes)] = 0
    return packed


def distance(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> int:
    """Count the bits by which two hashes `(WORDS,)` differ, 0 to 256; up to `SAME` it is one photograph."""
    return int(np.unpackbits((first ^ second).view(np.uint8)).sum())


def nearest_pairs(
    train: NDArray[np.uint64], evaluated: NDArray[np.uint64], *, limit: int = SAME
) -> list[tuple[int, int, int]]:
    """Find all pairs of equal images in two sets; 85,000 times 400 takes a fifth of a second.

    Flat images are equal to nothing.

    Args:
        train: `(N, WORDS)`.
        evaluated: `(M, WORDS)`.
        limit: the largest distance of a pair.

    Returns:
        (index in `train`, index in `evaluated`, distance), sorted.
    """
    first, second = np.flatnonzero(~is_flat(train)), np.flatnonzero(~is_flat(evaluated))
    pairs: list[tuple[int, int, int]] = []
    for top, left, distances in _tiles(train[first], evaluated[second]):
        rows, columns = np.nonzero(distances <= limit)
        pairs += zip(
            first[top + rows].tolist(),
            second[left + columns].tolist(),
            distances[rows, columns].astype(int).tolist(),
            strict=True,
        )
    return sorted(pairs)


def repeated(hashes: NDArray[np.uint64], *, limit: int = SAME) -> list[tuple[int, int, int]]:
    """Find the images of a set that repeat an earlier one; 85,000 images take twenty seconds on one core.

    Args:
        hashes: `(N, WORDS)`; flat ones repeat nothing.
        limit: the largest distance of a pair.

    Returns:
        (index of the most similar earlier image, index, distance), sorted by index: at most one for each image.
    """
    used = np.flatnonzero(~is_flat(hashes))
    nearest = np.full(len(used), 64 * WORDS + 1, np.int64)
    source = np.zeros(len(used), np.int64)
    for top, left, distances in _tiles(hashes[used], hashes[used], earlier=True):
        if distances.min() > limit:
            continue
        rows, columns = np.ogrid[top : top + distances.shape[0], left : left + distances.shape[1]]
        candidates = np.where(rows < columns, distances, 64 * WORDS + 1)
        best = candidates.argmin(axis=0)
        found = candidates[best, np.arange(len(best))]
        part = slice(left, left + len(best))
        closer = found < nearest[part]
        nearest[part][closer] = found[closer]
        source[part][closer] = top + best[closer]
    later = np.flatnonzero(nearest <= limit)
    return list(zip(used[source[later]].tolist(), used[later].tolist(), nearest[later].tolist(), strict=True))


def _luma(image: NDArray[np.uint8 | np.uint16]) -> NDArray[np.float32]:
    """Decimate to at most 511 samples a side, as grey levels from 0 to 255."""
    step_y, step_x = (max(1, side // _SAMPLES) for side in image.shape[:2])
    pixels = image[step_y // 2 :: step_y, step_x // 2 :: step_x].astype(np.float32)
    if image.dtype == np.uint16:
        pixels /= 257
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    # Weights of the grey that Pillow makes, so that a grey copy has the hash of the coloured original.
    weights = [0.299, 0.587, 0.114] if channels == 3 else [1 / channels] * channels
    return pixels @ np.array(weights, np.float32)


@functools.lru_cache(maxsize=2 * _SAMPLES)
def _cosines(length: int) -> NDArray[np.float32]:
    """Return the first 16 waves of the cosine transform over so many samples, `(16, length)`."""
    places = (np.arange(length) + 0.5) / length
    waves: NDArray[np.float32] = np.cos(np.pi * np.outer(np.arange(_SIDE), places)).astype(np.float32)
    return waves


def _tiles(
    first: NDArray[np.uint64], second: NDArray[np.uint64], *, earlier: bool = False
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Yield (first row, first column, distances) of the matrix of distances, tile after tile.

    With `earlier`, tiles that lie wholly below the diagonal are passed over.
    """
    for top in range(0, len(first), _TILE):
        rows = _signs(first[top : top + _TILE])
        for left in range(top if earlier else 0, len(second), _TILE):
            # Equal bits minus unequal ones; as fast as counting bits, which numpy can do from 2.0 on only.
            agreement = rows @ _signs(second[left : left + _TILE]).T
            yield top, left, np.float32(0.5) * (np.float32(64 * WORDS) - agreement)


def _signs(hashes: NDArray[np.uint64]) -> NDArray[np.float32]:
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8), axis=1)
    return bits.astype(np.float32) * 2 - 1
