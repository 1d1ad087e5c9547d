"""Which training images are evaluated as well."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.fingerprint import SAME, WORDS, fingerprint, nearest_pairs, orientations
from sr_lightning.data.image import read_header, read_image
from sr_lightning.data.scan import DataError
from sr_lightning.report.files import write_atomically

# Goes into the keys of what is kept: to be raised when hashes or the ways of comparing change.
_VERSION = 1
# DIV2K's validation images are handed on as the squares of 256 pixels in their centres.
_CENTRE = 256
# Images of the run's own data set that are evaluated: to be left out they need no name, but other folders.
OWN_SETS = ("validation", "test", "sample")
# More names than this on a command line are more than anybody types.
_MOST_NAMES = 8


@dataclass(frozen=True)
class Overlap:
    """A training image that is evaluated as well.

    Attributes:
        train: name of the training image, as in its store.
        evaluated_set: name of the evaluation set.
        evaluated_image: name of its image, without suffix.
        distance: bits of 256 by which the hashes differ; 64 at most.
    """

    train: str
    evaluated_set: str
    evaluated_image: str
    distance: int


def find_overlaps(
    hashes: NDArray[np.uint64],
    names: Sequence[str],
    evaluated: Sequence[tuple[str, Sequence[Path]]],
    *,
    cache_dir: Path,
    channels: int = 3,
) -> list[Overlap]:
    """Find the training images that are evaluated images: whole or their centre square, mirrored or turned as well.

    Evaluation images are read once; their hashes and the result are kept, so that the next call takes
    milliseconds. A file that cannot be read is passed over: evaluation itself will say so.

    Args:
        hashes: of the training images, `(N, WORDS)`, as `Store.hashes`.
        names: of the training images.
        evaluated: name and HR files of each evaluation set.
        cache_dir: where hashes and results are kept; made if missing.
        channels: of all images.

    Returns:
        Overlaps in the order of the training images; of a training image and an evaluated one there is one.
    """
    overlaps: list[tuple[int, Overlap]] = []
    for set_name, files in evaluated:
        views, owners = _evaluated_hashes(files, cache_dir, channels)
        for index, owner, distance in _pairs(hashes, views, owners, cache_dir):
            overlaps.append((index, Overlap(names[index], set_name, files[owner].stem, distance)))
    return [overlap for _, overlap in sorted(overlaps, key=lambda entry: entry[0])]


def describe_overlaps(overlaps: Sequence[Overlap]) -> str:
    """Say in one line which training images are evaluated and what can be done about it.

    Args:
        overlaps: at least one.
    """
    first = overlaps[0]
    pair = f"Training image {_stem(first)} is {first.evaluated_set}'s {first.evaluated_image}"
    counts = Counter(overlap.evaluated_set for overlap in overlaps[1:])
    more = ", ".join(f"{count} of {name}" for name, count in counts.items())
    also = f" (and {more})" if more else ""
    if len(overlaps) > _MOST_NAMES:
        ways = "Leave them out of training (data.exclude) or their sets out of the evaluation (eval)"
    else:
        ways = f"Leave out data.exclude={_listed([_stem(overlap) for overlap in overlaps])} of training"
        own = any(overlap.evaluated_set in OWN_SETS for overlap in overlaps)
        evaluated = [f"{each.evaluated_set}/{each.evaluated_image}" for each in overlaps]
        ways += (
            " or take other images to evaluate" if own else f" or eval_exclude={_listed(evaluated)} of the evaluation"
        )
    return (
        f"{pair}{also}: scores on images that were trained on say nothing. {ways}, or train all the same with "
        f"data.allow_overlap=true, which results.json records."
    )


def _stem(overlap: Overlap) -> str:
    return PurePath(overlap.train).stem


def _listed(names: Sequence[str]) -> str:
    """Write a list as Hydra reads it from a command line."""
    unique = list(dict.fromkeys(names))
    if all(re.fullmatch(r"[A-Za-z][\w./-]*|\d+", name) for name in unique):
        return f"[{','.join(unique)}]"
    return f"'{json.dumps(unique, ensure_ascii=False)}'"


def _evaluated_hashes(
    files: Sequence[Path], cache_dir: Path, channels: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes `(M, WORDS)` of the views of each file, and the number of the file that each belongs to, `(M,)`."""
    kept = cache_dir / f"evaluated_{_digest([channels, *map(_state, files)])}.json"
    views = _read(kept)
    if views is None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            views = [
                [each.tobytes().hex() for each in image]
                for image in pool.map(partial(_views, channels=channels), files)
            ]
        write_atomically(kept, json.dumps(views))
    owners = np.repeat(np.arange(len(files)), [len(image) for image in views])
    packed = bytes.fromhex("".join(each for image in views for each in image))
    return np.frombuffer(packed, np.uint64).reshape(-1, WORDS), owners


def _views(path: Path, *, channels: int) -> list[NDArray[np.uint64]]:
    try:
        bits = read_header(path, channels=channels).bits
        image = read_image(path, channels=channels, dtype=np.dtype(np.uint16 if bits == 16 else np.uint8))
    except DataError:
        return []
    top, left = ((side - _CENTRE) // 2 for side in image.shape[:2])
    if min(top, left) < 0:
        return [fingerprint(image)]
    return [fingerprint(image), fingerprint(image[top : top + _CENTRE, left : left + _CENTRE])]


def _pairs(
    hashes: NDArray[np.uint64], views: NDArray[np.uint64], owners: NDArray[np.int64], cache_dir: Path
) -> list[tuple[int, int, int]]:
    """(training image, evaluated image, distance) of the closest view of each pair."""
    key = hashlib.sha256(hashes.tobytes() + views.tobytes() + owners.tobytes()).hexdigest()
    kept = cache_dir / f"overlaps_{_digest([SAME, key])}.json"
    found = _read(kept)
    if found is None:
        closest: dict[tuple[int, int], int] = {}
        for index, view, distance in nearest_pairs(hashes, orientations(views).reshape(-1, WORDS)):
            pair = index, int(owners[view // 8])
            closest[pair] = min(distance, closest.get(pair, distance))
        found = [[*pair, distance] for pair, distance in closest.items()]
        write_atomically(kept, json.dumps(found))
    return [(index, owner, distance) for index, owner, distance in found]


def _state(path: Path) -> list[Any]:
    status = path.stat()
    return [os.fspath(path.absolute()), status.st_size, status.st_mtime_ns]


def _digest(content: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps([_VERSION, content]).encode()).hexdigest()[:32]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
