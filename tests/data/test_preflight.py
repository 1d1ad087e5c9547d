import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data import preflight as module
from sr_lightning.data.fingerprint import SAME, WORDS, fingerprint
from sr_lightning.data.overlap import Overlap
from sr_lightning.data.preflight import (
    Facts,
    Memory,
    Preflight,
    Row,
    Speed,
    gather_facts,
    preflight,
)
from sr_lightning.data.sets import Count
from sr_lightning.report.duration import duration

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
GIB = 2**30


@dataclass
class Images:
    """What a store says of itself."""

    names: list[str]
    sizes: np.ndarray[Any, np.dtype[np.int64]]
    hashes: Hashes
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    channels: int = 3
    dtype: Any = np.uint8
    min_side: int = 48
    scales: tuple[int, ...] = ()


@pytest.fixture
def images() -> Images:
    hashes = np.random.default_rng(0).integers(1, 2**64 - 1, (5, WORDS), np.uint64)
    hashes[3] = hashes[1] ^ np.uint64(1)
    hashes[4] = 0
    sizes = np.array([[100, 200], [300, 50], [64, 64], [300, 50], [80, 90]])
    return Images(["a.png", "b.png", "c.png", "d.png", "e.png"], sizes, hashes)


@pytest.fixture
def facts() -> Facts:
    """Two clean images of 100x80."""
    hashes = np.array([[1] * WORDS, [2**64 - 1] * WORDS], np.uint64)
    return gather_facts(Images(["a", "b"], np.array([[80, 100], [100, 80]]), hashes), folder=None)


def check(train: Facts | dict[str, Facts], val: Facts, **changes: Any) -> dict[str, Row]:
    arguments: dict[str, Any] = {
        "hr_patch": 64,
        "degradations": ("bicubic x4", "bicubic x4"),
        "overlaps": [],
        "evaluated": 19,
        "allow_overlap": False,
        "samples": 16_000,
        "speed": None,
        "memory": [],
    }
    train = train if isinstance(train, dict) else {"t91": train}
    return {row.name: row for row in preflight(train, val, **(arguments | changes)).rows}


def test_facts(images: Images, tmp_path: Path) -> None:
    (tmp_path / "info.json").write_text(json.dumps({"modes": {"RGB": 4, "L": 1}}))
    images.skipped = [(Path("x.png"), "no image")]
    facts = gather_facts(images, folder=tmp_path)
    assert facts.images == 5
    assert facts.short_sides.tolist() == [50, 50, 64, 80, 100]
    assert facts.long_sides.tolist() == [64, 90, 200, 300, 300]
    assert (facts.channels, facts.bits, facts.modes) == (3, 8, {"RGB": 4, "L": 1})
    assert facts.skipped == images.skipped
    assert facts.repeated == [("d.png", "b.png")]
    assert facts.flat == ["e.png"]
    assert facts.bytes == 3 * (20_000 + 15_000 + 64 * 64 + 15_000 + 7200)


def test_bytes_count_depth_channels_and_stored_lr(images: Images) -> None:
    wide = replace(images, dtype=np.uint16, channels=2, scales=(2, 4))
    facts = gather_facts(wide, folder=None)
    assert facts.bits == 16
    assert facts.bytes == pytest.approx(gather_facts(images, folder=None).bytes / 3 * 4 * (1 + 1 / 4 + 1 / 16), abs=1)


def test_images_are_compared_once_for_each_choice_of_them(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "info.json").write_text(json.dumps({"modes": {}}))
    first = gather_facts(images, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "repeated", None)
        again = gather_facts(images, folder=tmp_path)
        assert (again.repeated, again.flat) == (first.repeated, first.flat)
        with pytest.raises(TypeError):  # other images of the same store, so another comparison
            gather_facts(replace(images, min_side=60), folder=tmp_path)
    (tmp_path / f"repeated_48_{SAME}.json").write_text("{")
    assert gather_facts(images, folder=tmp_path).repeated == first.repeated


def test_a_clean_run_has_only_good_rows(facts: Facts) -> None:
    facts = replace(facts, modes={"RGB": 2})
    rows = check(
        facts, facts, memory=[Memory("memory", GIB, 8 * GIB, required=False)], speed=Speed(20_000, 1e6, 100, 0, 2)
    )
    assert {row.verdict for row in rows.values()} == {"ok"}
    assert not any(row.advice for row in rows.values())
    assert {name: row.value for name, row in rows.items()} == {
        "training images": "2, 100x80",
        "validation images": "2, 100x80",
        "depth and channels": "8 bits, 3 channels",
        "degradation": "bicubic x4",
        "overlap": "none of 19 evaluated images is trained on",
        "memory": "images take 1.0 GiB, 8.0 GiB are free",
        "loader": "20,000 samples/s, the device takes 100; costs 0.5% of the time",
        "flips and degradation": "1,000,000 samples/s, training 100; takes 0.0% of the device's time",
        "time to go": "3 min, validation not counted",
    }


def test_incomplete_sets_are_noted(facts: Facts) -> None:
    counts = [
        Count("bsds300", 150, expected=200, fetched=True),
        Count("mine", 3, expected=4),
        Count("t91", 91, expected=91, fetched=True),
        Count("folder", 5),
    ]
    rows = check(facts, facts, counts=counts, prepare="python prepare.py data=bsds300")
    noted = {name: row for name, row in rows.items() if name.startswith("incomplete")}
    assert noted == {
        "incomplete bsds300": (
            "incomplete bsds300",
            "150 of 200 images",
            "note",
            "What is there is used as it is; `python prepare.py data=bsds300` completes it.",
        ),
        "incomplete mine": (
            "incomplete mine",
            "3 of 4 images",
            "note",
            "What is there is used as it is; put the others there too.",
        ),
    }


def test_what_is_odd_about_images_is_noted(images: Images, facts: Facts) -> None:
    images.skipped = [(Path("folder/x.png"), "no image"), (Path("y.png"), "too small")]
    odd = replace(gather_facts(images, folder=None), modes={"L": 1, "RGB": 4})
    rows = check({"t91": facts, "mine": odd}, facts, hr_patch=48)
    assert rows["training images of t91"].value == "2, 100x80"
    assert rows["training images of mine"].value == "5, sides from 50 to 300 px, median 200x64; files: 4 RGB, 1 L"
    assert rows["left out of mine"] == ("left out of mine", "2", "note", "x.png: no image and 1 more")
    advice = "d.png shows what b.png shows; seen the more often in training."
    assert rows["repeated of mine"] == ("repeated of mine", "1", "note", advice)
    advice = "e.png: nothing can be learnt from one colour; data.exclude leaves it out."
    assert rows["flat of mine"] == ("flat of mine", "1 (20.0%)", "note", advice)
    assert not any(name.endswith("of t91") and row.verdict != "ok" for name, row in rows.items())


@pytest.mark.parametrize(("patch", "below"), [(50, 0), (51, 2), (65, 3), (None, 0)])
def test_images_below_the_patch_stop(images: Images, facts: Facts, patch: int | None, below: int) -> None:
    result = preflight(
        {"t91": gather_facts(images, folder=None)},
        facts,
        hr_patch=patch,
        degradations=("a", "a"),
        overlaps=[],
        evaluated=0,
        allow_overlap=False,
        samples=1,
        speed=None,
        memory=[],
    )
    expected = f"smaller than a patch: {below} below {patch} px. Use a smaller patch (data.hr_patch) or other images: "
    assert result.problems == ([f"{expected}the smallest side is 50."] if below else [])


def test_overlap_stops_unless_allowed(facts: Facts) -> None:
    overlaps = [Overlap("302003.jpg", "Set5", "woman", 17), Overlap("copy.jpg", "Set5", "woman", 20)]
    row = check(facts, facts, overlaps=overlaps)["overlap"]
    assert row[:3] == ("overlap", "1 of 19 evaluated images are trained on", "stop")
    assert row.advice.startswith("Training image 302003 is Set5's woman")
    assert check(facts, facts, overlaps=overlaps, allow_overlap=True)["overlap"].verdict == "note"


def test_another_degradation_of_validation_is_noted(facts: Facts) -> None:
    row = check(facts, facts, degradations=("resize pil x4", "bicubic x4"))["degradation"]
    assert row[1:3] == ("training resize pil x4, validation bicubic x4", "note")


def test_depth_and_channels(facts: Facts) -> None:
    deep, grey = replace(facts, bits=16), replace(facts, channels=1)
    row = check(deep, facts)["depth and channels"]
    assert row[1:3] == ("t91: 16 bits, 3 channels; validation: 8 bits, 3 channels", "note")
    row = check({"a": facts, "b": grey}, facts)["depth and channels"]
    assert row.verdict == "stop"
    assert row.value == "a: 8 bits, 3 channels; b: 8 bits, 1 channels; validation: 8 bits, 3 channels"
    assert check(grey, grey)["depth and channels"].value == "8 bits, 1 channel"


@pytest.mark.parametrize(
    ("place", "required", "verdict"),
    [("memory", False, "note"), ("memory", True, "stop"), ("accelerator", True, "stop")],
)
def test_images_that_do_not_fit(facts: Facts, place: str, required: bool, verdict: str) -> None:
    row = check(facts, facts, memory=[Memory(place, 9 * GIB, 8 * GIB, required=required)])[place]
    assert row[1:3] == ("images take 9.0 GiB, 8.0 GiB are free", verdict)
    assert row.advice.startswith("The images do not fit" if required else "Patches will be read from disk")


@pytest.mark.parametrize(
    ("speed", "cost", "advice"),
    [
        # In the training process: one after the other.
        (Speed(400, 1e15, 100, num_workers=0, cores=4), 0.2, "Raise data.num_workers from 0 to 1."),
        (Speed(100, 1e15, 100, num_workers=0, cores=4), 0.5, "Raise data.num_workers from 0 to 2."),
        # Beside it: the slower of the two counts.
        (Speed(50, 1e15, 100, num_workers=2, cores=8), 0.5, "Raise data.num_workers from 2 to 6."),
        (Speed(99, 1e15, 100, num_workers=2, cores=8), 0.01, ""),
        (Speed(400, 1e15, 100, num_workers=2, cores=8), 0.0, ""),
        (
            Speed(50, 1e15, 100, num_workers=2, cores=4),
            0.5,
            "6 workers would be needed, on 4 cores: data.device_cache=true needs none.",
        ),
    ],
)
def test_loader_against_step(facts: Facts, speed: Speed, cost: float, advice: str) -> None:
    rows = check(facts, facts, speed=speed)
    assert speed.cost == pytest.approx(cost)
    assert speed.together == pytest.approx(100 * (1 - cost))
    assert rows["loader"].advice == advice
    assert rows["loader"].verdict == ("note" if advice else "ok")
    assert rows["time to go"].value == f"{duration(16_000 / speed.together)}, validation not counted"


@pytest.mark.parametrize(("num_workers", "together"), [(0, 40.0), (2, 50.0)])
def test_a_slow_degradation_is_not_the_loaders_fault(facts: Facts, num_workers: int, together: float) -> None:
    speed = Speed(200, 100, 100, num_workers=num_workers, cores=4)
    assert speed.together == pytest.approx(together)
    rows = check(facts, facts, speed=speed)
    assert rows["flips and degradation"].verdict == "note"
    assert rows["flips and degradation"].advice.startswith(
        "bicubic x4 and what augment= adds are computed on the device"
    )
    assert rows["flips and degradation"].value.endswith("takes 50.0% of the device's time")
    assert ("num_workers" in rows["loader"].advice) == (num_workers == 0)


def test_no_rows_no_problems() -> None:
    assert Preflight(()).problems == []


def test_t91_repeats_one_image(shared: Path) -> None:
    paths = sorted((shared / "data/train/T91").glob("*.png"))
    pixels = [np.asarray(Image.open(path)) for path in paths]
    sizes = np.array([image.shape[:2] for image in pixels])
    t91 = Images([path.name for path in paths], sizes, np.stack([fingerprint(image) for image in pixels]))
    facts = gather_facts(t91, folder=None)
    row = check(facts, facts, hr_patch=None)["repeated"]
    assert row[1:] == ("1", "note", "t65.png shows what t36.png shows; seen the more often in training.")
