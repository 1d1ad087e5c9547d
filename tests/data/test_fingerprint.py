import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.fingerprint import (
    SAME,
    WORDS,
    distance,
    fingerprint,
    is_flat,
    nearest_pairs,
    orientations,
    repeated,
)

Pixels = np.ndarray[Any, np.dtype[Any]]


def photograph(seed: int, height: int = 200, width: int = 300) -> Pixels:
    """Noise of all scales, the coarse ones strong, as in photographs."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for octave in (3, 6, 12, 24, 48):
        noise = generator.normal(0, 120 / octave, (octave, octave, 3))
        for channel in range(3):
            layer = Image.fromarray(noise[..., channel].astype(np.float32))
            image[..., channel] += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def jpeg(image: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(image: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def noisy(image: Pixels, spread: int) -> Pixels:
    change = np.random.default_rng(0).integers(-spread, spread + 1, image.shape)
    return np.clip(image.astype(int) + change, 0, 255).astype(np.uint8)


def any_hashes(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.random.default_rng(seed).integers(1, 2**64 - 1, (count, WORDS), np.uint64)


# Twice what was measured, so that a change of the hash is seen.
@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda image: jpeg(image, 90), 4),
        (lambda image: jpeg(image, 10), 40),
        (lambda image: noisy(image, 1), 4),
        (lambda image: noisy(image, 20), 20),
        (lambda image: resized(image, 150, 100), 6),
        (lambda image: resized(image, 1200, 800), 10),
        (lambda image: resized(image, 256, 256), 6),
        (lambda image: (image * 0.5 + 40).astype(np.uint8), 8),
        (lambda image: (255 * (image / 255) ** 0.7).astype(np.uint8), 30),
        (lambda image: np.asarray(Image.fromarray(image).convert("L")), 6),
        (lambda image: image.astype(np.uint16) * 257, 0),
        (lambda image: image[2:-3, 4:-3], SAME),
    ],
)
def test_a_changed_copy_is_the_same_photograph(change: Callable[[Pixels], Pixels], most: int) -> None:
    for seed in range(4):
        image = photograph(seed)
        assert distance(fingerprint(image), fingerprint(change(image))) <= most


def test_other_photographs_are_others_in_all_orientations() -> None:
    hashes = np.stack([fingerprint(photograph(seed, 100, 120)) for seed in range(60)])
    pairs = nearest_pairs(hashes, orientations(hashes).reshape(-1, WORDS), limit=SAME + 16)
    assert [(index, view) for index, view, _ in pairs] == [(index, 8 * index) for index in range(60)]


def test_orientations_are_hashes_of_the_turned_image() -> None:
    image = photograph(1, 203, 300)
    views = orientations(fingerprint(image)[None])[0]
    assert (views[0] == fingerprint(image)).all()
    turned = [np.rot90(view, quarter) for view in (image, image[:, ::-1]) for quarter in range(4)]
    nearest = [min(range(8), key=lambda view: distance(views[view], fingerprint(each))) for each in turned]
    assert sorted(nearest) == list(range(8))
    assert max(distance(views[view], fingerprint(each)) for view, each in zip(nearest, turned, strict=True)) <= 12


def test_flat_images_are_equal_to_nothing() -> None:
    flat = [
        np.full((40, 50, 3), 200, np.uint8),
        noisy(np.full((40, 50, 3), 9, np.uint8), 1),
        np.zeros((1, 1), np.uint8),
    ]
    hashes = np.stack([fingerprint(image) for image in [*flat, photograph(0), np.full((9, 9), 300, np.uint16)]])
    assert is_flat(hashes).tolist() == [True, True, True, False, True]
    assert is_flat(orientations(hashes)).all(axis=1).tolist() == [True, True, True, False, True]
    assert nearest_pairs(hashes, hashes) == [(3, 3, 0)]
    assert repeated(hashes) == []


def test_any_number_of_channels() -> None:
    image = photograph(2)
    grey = image[..., 1]
    assert (fingerprint(grey[..., None]) == fingerprint(grey)).all()
    assert (fingerprint(np.repeat(grey[..., None], 5, axis=2)) == fingerprint(grey)).all()
    assert distance(fingerprint(image[..., [2, 1, 0]]), fingerprint(image)) > 0


@pytest.mark.parametrize("shape", [(1, 2), (3, 1, 3), (5, 7, 3), (16, 15, 1), (511, 512, 3), (1024, 20, 3)])
def test_any_size(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert fingerprint(image).shape == (WORDS,)
    assert fingerprint(image).dtype == np.uint64
    assert not is_flat(fingerprint(image))


def test_distance_counts_bits() -> None:
    first, second = any_hashes(2, seed=0)
    assert distance(first, second) == sum(int(a ^ b).bit_count() for a, b in zip(first, second, strict=True))
    assert distance(first, ~first) == 64 * WORDS


def test_nearest_pairs_are_those_of_a_plain_loop() -> None:
    train, evaluated = any_hashes(1100, seed=1), any_hashes(530, seed=2)
    train[1099], train[3] = evaluated[529] ^ np.uint64(0b1011), evaluated[512]
    evaluated[7] = evaluated[512] ^ np.uint64(1)
    limit = 98
    counts = np.unpackbits((train[:, None] ^ evaluated[None]).view(np.uint8), axis=2).sum(axis=2)
    expected = [(int(i), int(j), int(counts[i, j])) for i, j in np.argwhere(counts <= limit)]
    assert len(expected) > 3
    assert nearest_pairs(train, evaluated, limit=limit) == expected
    assert nearest_pairs(train, evaluated) == [(3, 7, WORDS), (3, 512, 0), (1099, 529, 3 * WORDS)]


def test_nearest_pairs_of_nothing() -> None:
    assert nearest_pairs(any_hashes(0, seed=0), any_hashes(3, seed=0)) == []
    assert nearest_pairs(any_hashes(3, seed=0), any_hashes(0, seed=0)) == []


def test_repeated_names_the_most_similar_earlier_image_once() -> None:
    hashes = any_hashes(1300, seed=3)
    hashes[600] = hashes[5]
    hashes[1299] = hashes[5] ^ np.uint64(1)  # as near to 600; the first is taken
    hashes[1298] = hashes[1200] ^ np.uint64(3)
    hashes[1250] = hashes[1200] ^ np.uint64(1)  # nearer to 1298 than 1200 is
    assert repeated(hashes) == [(5, 600, 0), (1200, 1250, WORDS), (1250, 1298, WORDS), (5, 1299, WORDS)]
    assert len(repeated(np.repeat(hashes[:1], 700, axis=0))) == 699


def read_folder(folder: Path) -> tuple[list[str], np.ndarray[Any, np.dtype[np.uint64]]]:
    paths = sorted(folder.glob("*.[jp][pn]g"))
    return [path.stem for path in paths], np.stack([fingerprint(np.asarray(Image.open(path))) for path in paths])


def test_real_duplicates_and_no_others(shared: Path) -> None:
    data = shared / "data"
    train_names, train = read_folder(data / "train/BSDS300/images/train")
    t91_names, t91 = read_folder(data / "train/T91")
    for name, found in (("Set5", [("302003", "woman", 17)]), ("Set14", []), ("BSD100", [])):
        names, evaluated = read_folder(data / "benchmarks" / name / "HR")
        assert [(train_names[i], names[j], d) for i, j, d in nearest_pairs(train, evaluated)] == found
        # No other pair comes near the limit.
        assert len(nearest_pairs(train, evaluated, limit=SAME + 20)) == len(found)
        assert nearest_pairs(t91, evaluated, limit=SAME + 20) == []
    assert [(t91_names[i], t91_names[j], d) for i, j, d in repeated(t91)] == [("t36", "t65", 0)]
    assert repeated(train) == []
