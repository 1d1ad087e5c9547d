"""Random numbers that depend on a seed and a sample's number alone, whatever was drawn before and beside it.

What a run draws for sample k must not depend on the batch, the worker, the rank or the point where it was resumed. A
generator with a state cannot give that; a counter-based one can (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011).
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def splitmix64(state: int | NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Random numbers of the SplitMix64 stream from `state` at any positions, without those before.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; position 0 is
    the first number that the published generator gives.
    """
    start = np.uint64(state & _MASK) if isinstance(state, int) else state
    z = start + (positions + np.uint64(1)) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Draws:
    """A stream of random numbers for each of some samples; every call takes the next number of each stream.

    Args:
        samples: numbers of the samples in the global stream of training, at least 0.
        seed: any integer.
        purpose: what the numbers are for; streams of different purposes have nothing to do with each other.

    Example:
        >>> alone = Draws([7], seed=0, purpose="blur").uniform()
        >>> bool(alone[0] == Draws([3, 7], seed=0, purpose="blur").uniform()[1])
        True
    """

    def __init__(self, samples: Sequence[int] | NDArray[np.int64], *, seed: int, purpose: str) -> None:
        self.samples = np.asarray(samples, np.int64)
        self.seed = seed
        self.purpose = purpose
        # A mixed seed starts the streams: those of neighbouring seeds would be shifts of each other.
        start = splitmix64(seed ^ zlib.crc32(purpose.encode()) << 32, np.zeros(1, np.uint64))
        self._streams = splitmix64(start, self.samples.astype(np.uint64))
        self._column = 0

    def __len__(self) -> int:
        return len(self.samples)

    def bits(self) -> NDArray[np.uint64]:
        """64 random bits for each sample, `(N,)`."""
        column = np.full(len(self), self._column, np.uint64)
        self._column += 1
        return splitmix64(self._streams, column)

    def uniform(self, low: ArrayLike = 0.0, high: ArrayLike = 1.0) -> NDArray[np.float64]:
        """Uniform in [low, high), `(N,)`; the bounds are numbers or one number per sample."""
        share = (self.bits() >> np.uint64(11)).astype(np.float64) * 2.0**-53
        bottom, top = np.asarray(low, np.float64), np.asarray(high, np.float64)
        return bottom + share * (top - bottom)

    def below(self, bound: int) -> NDArray[np.int64]:
        """Whole numbers 0 ... bound - 1, `(N,)`, uneven by less than bound / 2^32."""
        return (((self.bits() >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)

    def chance(self, probability: float) -> NDArray[np.bool_]:
        """True with this probability, `(N,)`."""
        return self.uniform() < probability

    def choice(self, weights: Sequence[float]) -> NDArray[np.int64]:
        """Indices into `weights`, each as likely as its weight, `(N,)`."""
        edges = np.cumsum(np.asarray(weights, np.float64))
        found: NDArray[np.int64] = np.searchsorted(edges, self.uniform() * edges[-1], side="right").astype(np.int64)
        return found.clip(max=len(edges) - 1)

    def grouped(self, size: int) -> "Draws":
        """Streams that `size` consecutive samples share: samples 0 ... size - 1 draw alike, then the next ones."""
        return Draws(self.samples // size, seed=self.seed, purpose=f"{self.purpose} by {size}")

    def generator(self, n: int, device: torch.device | str = "cpu") -> torch.Generator:
        """A generator for what a sample needs by the pixel, such as noise.

        It is seeded by the n-th sample's next number, without taking it: the samples of a batch ask one after the
        other. Before another noise of the same samples, take a number or use another purpose.
        """
        column = np.full(1, self._column, np.uint64)
        key = int(splitmix64(self._streams[n : n + 1], column)[0])
        return torch.Generator(device).manual_seed(key >> 1)
