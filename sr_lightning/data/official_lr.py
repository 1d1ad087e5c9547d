"""Comparing the LR images that a set's authors published with those that are trained on."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sr_lightning.data.image import read_image
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.data.store import Images


@dataclass(frozen=True)
class Comparison:
    """How far published LR images agree with our own.

    Attributes:
        images: how many were compared.
        equal: how many of them are equal bit for bit.
        differing: share of the values that differ, over all images, in [0, 1].
        largest: the largest difference between two values.
        other_size: how many have another size or cannot be read; they are among `images` and not in the two before.
    """

    images: int
    equal: int
    differing: float
    largest: int
    other_size: int

    def __str__(self) -> str:
        if self.equal == self.images:
            return f"all {self.images} are bit-equal to ours"
        text = (
            f"{self.equal} of {self.images} are bit-equal to ours; {self.differing:.2%} of the values differ, by up to "
            f"{self.largest}"
        )
        return text + (f"; {self.other_size} have another size or cannot be read" if self.other_size else "")


def compare_lr(store: Images, folder: Path, *, scale: int) -> Comparison | None:
    """Compare a store's LR with files of the same names, `0001x4.png` or `0001.png`.

    Args:
        store: has LR of the scale.
        folder: the published LR images of the scale.
        scale: HR pixels per LR pixel.

    Returns:
        None where no name of the folder is one of the store's.
    """
    files = {re.sub(rf"x{scale}$", "", path.stem, flags=re.IGNORECASE): path for path in list_images(folder)}
    stems = [PurePosixPath(name).stem for name in store.names]
    pairs = [(index, files[stem]) for index, stem in enumerate(stems) if stem in files]
    if not pairs:
        return None

    def differences(pair: tuple[int, Path]) -> tuple[int, int, int] | None:
        """Return how many values differ, of how many, and by how much at most."""
        index, path = pair
        own = store.lr(index, scale)
        try:
            published = read_image(path, channels=store.channels, dtype=store.dtype)
        except DataError:
            return None
        if published.shape != own.shape:
            return None
        difference = np.abs(published.astype(np.int32) - own)
        return int(np.count_nonzero(difference)), difference.size, int(difference.max())

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(differences, pairs))
    return _summary(found)


def _summary(found: Sequence[tuple[int, int, int] | None]) -> Comparison:
    compared = [each for each in found if each is not None]
    values = sum(size for _, size, _ in compared)
    return Comparison(
        images=len(found),
        equal=sum(count == 0 for count, _, _ in compared),
        differing=sum(count for count, _, _ in compared) / max(values, 1),
        largest=max((largest for _, _, largest in compared), default=0),
        other_size=len(found) - len(compared),
    )
