import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_lightning.refusal import Refusal
from sr_lightning.report.samples import Facts, Pixels, damaged_picture, read_samples, write_samples

FACTS = Facts(
    set="Set5", image="baby", box=(24, 48, 72, 48), size=(512, 500),
    psnr=28.5, ssim=0.75, bicubic_psnr=None, bicubic_ssim=1.0,
)  # fmt: skip


def pictures(*, channels: tuple[int, ...] = (3,), seed: int = 0) -> dict[str, Pixels]:
    random = np.random.default_rng(seed)
    sizes = {"lr": (12, 18), "bicubic": (48, 72), "sr": (48, 72), "hr": (48, 72), "whole": (100, 102)}
    return {key: random.integers(0, 256, (*size, *channels), np.uint8) for key, size in sizes.items()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shown = pictures()
    write_samples(tmp_path, [(FACTS, shown)], side=144)
    (sample,) = read_samples(tmp_path)
    for name in ("set", "image", "box", "size", "psnr", "ssim", "bicubic_psnr", "bicubic_ssim"):
        assert getattr(sample, name) == getattr(FACTS, name)
    assert sample.files.keys() == shown.keys()
    for key, path in sample.files.items():
        assert path.is_absolute()
        with Image.open(path) as image:
            pixels = np.asarray(image)
        if key == "whole":
            assert (image.format, pixels.shape) == ("JPEG", shown[key].shape)
        else:
            assert image.format == "PNG"
            np.testing.assert_array_equal(pixels, shown[key])


def test_the_files_of_a_run_are_as_others_read_them(tmp_path: Path) -> None:
    write_samples(tmp_path, [(FACTS, pictures(channels=()))], side=144)
    names = {key: f"Set5_baby_{key}.png" for key in ("lr", "bicubic", "sr", "hr")} | {"whole": "Set5_baby_whole.jpg"}
    assert json.loads((tmp_path / "samples" / "samples.json").read_text()) == {
        "side": 144,
        "samples": [
            {
                "set": "Set5", "image": "baby", "box": [24, 48, 72, 48], "size": [512, 500],
                "psnr": 28.5, "ssim": 0.75, "bicubic": {"psnr": None, "ssim": 1.0}, "files": names,
            }
        ],
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {*names.values(), "samples.json"}


def test_earlier_ones_are_replaced_as_a_whole(tmp_path: Path) -> None:
    write_samples(tmp_path, [(FACTS, pictures())], side=144)
    other = Facts(**{**vars(FACTS), "image": "bird"})
    write_samples(tmp_path, [(other, pictures(seed=1))], side=144)
    assert [sample.image for sample in read_samples(tmp_path)] == ["bird"]
    assert not list((tmp_path / "samples").glob("*baby*"))
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]


@pytest.mark.parametrize("moment", ["while drawing", "before either rename", "between the renames"])
def test_a_kill_leaves_all_or_none_and_the_next_attempt_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write_samples(tmp_path, [(FACTS, pictures())], side=144)
    with monkeypatch.context() as patch:
        if moment == "while drawing":
            patch.setattr(Image.Image, "save", killed_after(2, Image.Image.save))
        else:
            # The index is renamed into its place first.
            patch.setattr(os, "replace", killed_after(1 if moment == "before either rename" else 2, os.replace))
        with pytest.raises(KeyboardInterrupt):
            write_samples(tmp_path, [(FACTS, pictures(seed=1))], side=144)
    found = read_samples(tmp_path)
    assert len(found) == (0 if moment == "between the renames" else 1)
    assert all(path.is_file() for sample in found for path in sample.files.values())
    write_samples(tmp_path, [(FACTS, pictures(seed=1))], side=144)
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]
    assert len(read_samples(tmp_path)) == 1


def killed_after(count: int, function: Any) -> Any:
    remaining = [count]

    def call(*arguments: Any, **named: Any) -> Any:
        if not remaining[0]:
            raise KeyboardInterrupt
        remaining[0] -= 1
        return function(*arguments, **named)

    return call


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"side": 144, "samples": [{"set": "Set5", ', "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError('samples')"),
        ('{"samples": [{"set": "Set5", "image": "baby"}]}', "KeyError('box')"),
        ('{"samples": ["Set5"]}', "TypeError"),
    ],
)
def test_a_list_of_another_kind_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    write_samples(tmp_path, [(FACTS, pictures())], side=144)
    index = tmp_path / "samples" / "samples.json"
    index.write_text(text)
    with pytest.raises(Refusal, match=f"expected the list of a run's crops, got {index}") as refused:
        read_samples(tmp_path)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change", [{"box": [1, 2]}, {"psnr": "high"}, {"files": {"lr": "a.png"}}, {"bicubic": None}])
def test_a_crop_without_what_is_shown_of_it_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    write_samples(tmp_path, [(FACTS, pictures())], side=144)
    index = tmp_path / "samples" / "samples.json"
    content = json.loads(index.read_text())
    content["samples"][0] |= change
    index.write_text(json.dumps(content))
    with pytest.raises(Refusal, match="which is none"):
        read_samples(tmp_path)


def test_the_first_damaged_picture(tmp_path: Path) -> None:
    write_samples(tmp_path, [(FACTS, pictures())], side=144)
    (sample,) = read_samples(tmp_path)
    sound: set[str] = set()
    assert damaged_picture(sample, sound=sound) is None
    assert len(sound) == 5
    hr = sample.files["hr"]
    hr.write_bytes(hr.read_bytes()[:-100])
    assert damaged_picture(sample, sound=sound) == hr
    sample.files["sr"].unlink()
    assert damaged_picture(sample, sound=sound) == sample.files["sr"]


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    assert read_samples(tmp_path) == []
