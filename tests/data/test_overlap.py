from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from sr_lightning.data import overlap
from sr_lightning.data.fingerprint import WORDS, fingerprint
from sr_lightning.data.overlap import Overlap, describe_overlaps, find_overlaps
from sr_lightning.data.sample import sample_images
from sr_lightning.data.scan import list_images

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


@pytest.fixture(scope="module")
def photographs() -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Some photographs of at least 300 pixels a side."""
    images = {}
    for path in sample_images()["train"]:
        image = Image.open(path).convert("RGB")
        if min(image.size) >= 300:
            images[path.stem] = np.asarray(image.resize((max(300, image.width // 2), max(300, image.height // 2))))
    assert len(images) >= 4
    return images


@pytest.fixture
def evaluated(tmp_path: Path, photographs: dict[str, Any]) -> list[tuple[str, list[Path]]]:
    """Two sets: the first three photographs, and the second of these again."""
    sets = []
    for name, stems in (("First", list(photographs)[:3]), ("Second", list(photographs)[1:2])):
        (tmp_path / name).mkdir()
        for stem in stems:
            Image.fromarray(photographs[stem]).save(tmp_path / name / f"{stem}.png")
        sets.append((name, list_images(tmp_path / name)))
    return sets


def hashes_of(*images: np.ndarray[Any, np.dtype[np.uint8]]) -> Hashes:
    return np.stack([fingerprint(image) for image in images])


def found(*arguments: Any, **options: Any) -> list[tuple[str, str, str]]:
    return [(each.train, each.evaluated_set, each.evaluated_image) for each in find_overlaps(*arguments, **options)]


def test_whole_centre_mirrored_and_turned_copies_are_found(
    tmp_path: Path, photographs: dict[str, Any], evaluated: list[tuple[str, list[Path]]]
) -> None:
    first, second, third, other = list(photographs)[:4]
    image = photographs[third]
    top, left = (image.shape[0] - 256) // 2, (image.shape[1] - 256) // 2
    centre = image[top : top + 256, left : left + 256]
    images = {
        "small.png": np.asarray(Image.fromarray(photographs[first]).resize((90, 80))),
        "other.png": photographs[other],
        "sub/mirrored.jpg": photographs[second][:, ::-1],
        "centre.png": centre,
        "turned centre.png": np.rot90(centre),
        "elsewhere.png": image[:200, :200],
    }
    assert found(hashes_of(*images.values()), list(images), evaluated, cache_dir=tmp_path / "cache") == [
        ("small.png", "First", first),
        ("sub/mirrored.jpg", "First", second),
        ("sub/mirrored.jpg", "Second", second),
        ("centre.png", "First", third),
        ("turned centre.png", "First", third),
    ]


def test_distance_is_that_of_the_closest_view(
    tmp_path: Path, photographs: dict[str, Any], evaluated: list[tuple[str, list[Path]]]
) -> None:
    name, image = next(iter(photographs.items()))
    hashes = hashes_of(image)
    hashes[0, 0] ^= np.uint64(0b111)
    assert find_overlaps(hashes, ["a"], evaluated, cache_dir=tmp_path) == [Overlap("a", "First", name, 3)]


def test_the_second_time_nothing_is_read_or_compared(
    tmp_path: Path,
    photographs: dict[str, Any],
    evaluated: list[tuple[str, list[Path]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashes, names = hashes_of(*photographs.values()), list(photographs)
    before = found(hashes, names, evaluated, cache_dir=tmp_path / "cache")
    assert len(before) == 4
    with monkeypatch.context() as patch:
        patch.setattr(overlap, "read_image", None)
        assert found(hashes[2:], names[2:], evaluated, cache_dir=tmp_path / "cache") == before[-1:]
        patch.setattr(overlap, "nearest_pairs", None)
        assert found(hashes, names, evaluated, cache_dir=tmp_path / "cache") == before
    # A file that changes is read again; half a file of the cache as well.
    path = evaluated[0][1][0]
    Image.fromarray(photographs[names[3]]).save(path)
    assert (names[3], "First", path.stem) in found(hashes, names, evaluated, cache_dir=tmp_path / "cache")
    for kept in (tmp_path / "cache").iterdir():
        kept.write_text(kept.read_text()[:-1])
    assert (names[3], "First", path.stem) in found(hashes, names, evaluated, cache_dir=tmp_path / "cache")


def test_small_and_unreadable_evaluation_images(tmp_path: Path, photographs: dict[str, Any]) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    name, image = next(iter(photographs.items()))
    small = Image.fromarray(image).resize((255, 300))
    small.save(tmp_path / "b.png")
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    assert found(hashes_of(image), [name], [("mine", files)], cache_dir=tmp_path / "c") == [(name, "mine", "b")]
    assert found(hashes_of(image), [name], [("mine", files[:1])], cache_dir=tmp_path / "c") == []
    nothing = np.zeros((0, WORDS), np.uint64)
    assert found(nothing, [], [("mine", files)], cache_dir=tmp_path / "c") == []


def test_description_says_what_to_type() -> None:
    text = describe_overlaps([Overlap("train/302003.jpg", "Set5", "woman", 17)])
    assert text == (
        "Training image 302003 is Set5's woman: scores on images that were trained on say nothing. "
        "Leave out data.exclude=[302003] of training or eval_exclude=[Set5/woman] of the evaluation, "
        "or train all the same with data.allow_overlap=true, which results.json records."
    )


def test_description_counts_the_others_and_quotes_what_hydra_would_misread() -> None:
    overlaps = [Overlap("a (1).png", "Set5", "head", 0), Overlap("a (1).png", "Set14", "face", 2)]
    text = describe_overlaps([*overlaps, Overlap("0801.png", "Set14", "1e5", 2)])
    assert text.startswith("Training image a (1) is Set5's head (and 2 of Set14): ")
    assert """data.exclude='["a (1)", "0801"]' of""" in text
    assert "eval_exclude=[Set5/head,Set14/face,Set14/1e5]" in text
    parsed = OverridesParser.create().parse_override('data.exclude=["a (1)", "0801"]').value()
    assert [str(name) for name in parsed] == ["a (1)", "0801"]


def test_description_of_many_lists_none() -> None:
    text = describe_overlaps([Overlap(f"{number}.jpg", "BSD100", str(number), 0) for number in range(100)])
    assert text.startswith("Training image 0 is BSD100's 0 (and 99 of BSD100): ")
    assert "Leave them out of training (data.exclude) or their sets out of the evaluation (eval), or train" in text


def test_real_sets(shared: Path, tmp_path: Path) -> None:
    data = shared / "data"
    sets = [(name, list_images(data / "benchmarks" / name / "HR")) for name in ("Set5", "Set14", "BSD100")]

    def check(folder: Path) -> list[tuple[str, str, str]]:
        paths = list_images(folder)
        hashes = hashes_of(*(np.asarray(Image.open(path)) for path in paths))
        return found(hashes, [path.stem for path in paths], sets, cache_dir=tmp_path / "cache")

    assert check(data / "train/BSDS300/images/train") == [("302003", "Set5", "woman")]
    test = check(data / "train/BSDS300/images/test")
    assert test == [(path.stem, "BSD100", path.stem) for path in sets[2][1]]
    assert check(data / "train/T91") == []
    assert check(data / "train/DIV2K_valid_center256") == []


def test_real_copies_cut_as_basicsr_does(shared: Path, tmp_path: Path) -> None:
    whole = list_images(shared / "data/benchmarks/BSD100/HR")[::3]
    for path in whole:
        image = Image.open(path)
        image.crop((0, 0, image.width // 12 * 12, image.height // 12 * 12)).save(tmp_path / f"{path.stem}.bmp")
    hashes = hashes_of(*(np.asarray(Image.open(path)) for path in whole))
    names = [path.stem for path in whole]
    cut = [("BSD100", list_images(tmp_path))]
    assert found(hashes, names, cut, cache_dir=tmp_path) == [(name, "BSD100", name) for name in names]
