"""The same places of the scored images, cut out of each run: `samples/` in a run's folder.

    samples/samples.json
    samples/<Set>_<image>_{lr,bicubic,sr,hr}.png   the crop; LR as small as it is
    samples/<Set>_<image>_whole.jpg                the whole HR image, for the figures in which papers mark the crop

Runs of any network, scale and seed show the same crop of an image, so that they can be laid side by side.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_json

Pixels: TypeAlias = NDArray[np.uint8]

FOLDER, INDEX = "samples", "samples.json"
# The whole image's place in `files`: the only picture that is no PNG.
WHOLE = "whole"
WHOLE_QUALITY = 90
# What a crop cannot be shown without.
_PICTURES = ("lr", "bicubic", "sr", "hr")


@dataclass(frozen=True)
class Facts:
    """What is known of a crop, besides its pixels.

    Attributes:
        set: the name of the image's set.
        image: the image's name.
        box: left, top, width and height of the crop in pixels of the HR image.
        size: width and height of the HR image.
        psnr: of the crop in dB, under the run's protocol but with no border cut; None where SR equals HR.
        ssim: of the crop.
        bicubic_psnr: of bicubic's crop.
        bicubic_ssim: of bicubic's crop.
    """

    set: str
    image: str
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    psnr: float | None
    ssim: float
    bicubic_psnr: float | None
    bicubic_ssim: float


@dataclass(frozen=True)
class Sample(Facts):
    """A crop that a run has left in its folder.

    Attributes:
        files: absolute paths of its pictures by `lr`, `bicubic`, `sr`, `hr` and `whole`.
    """

    files: Mapping[str, Path]


def write_samples(run_dir: Path, samples: Sequence[tuple[Facts, Mapping[str, Pixels]]], *, side: int) -> None:
    """Write the crops of a run in the place of earlier ones: a kill at any moment leaves all of them or none.

    Args:
        run_dir: the run's folder.
        samples: each crop with its pictures (H, W) or (H, W, 3) by `lr`, `bicubic`, `sr`, `hr` and `whole`.
        side: the side of the crops that was asked for, in HR pixels.
    """
    # Of an earlier attempt that was killed.
    for left in run_dir.glob(f".{FOLDER}.*"):
        shutil.rmtree(left)
    partial, former = (run_dir / f".{FOLDER}.{name}" for name in ("part", "former"))
    partial.mkdir(parents=True)
    entries = []
    for facts, pictures in samples:
        files = {key: _file_name(facts, key) for key in pictures}
        for key, pixels in pictures.items():
            Image.fromarray(np.ascontiguousarray(pixels)).save(partial / files[key], quality=WHOLE_QUALITY)
        entries.append(_entry(facts, files))
    write_json(partial / INDEX, {"side": side, "samples": entries})
    # A folder that is not empty cannot be replaced in one step.
    if (run_dir / FOLDER).exists():
        os.replace(run_dir / FOLDER, former)  # noqa: PTH105 - the name says that it is atomic
    os.replace(partial, run_dir / FOLDER)  # noqa: PTH105
    shutil.rmtree(former, ignore_errors=True)


def read_samples(run_dir: Path) -> list[Sample]:
    """Return the crops that a run has left, in the order of its sets and images; none where there are none.

    Raises:
        Refusal: their list cannot be read, or is none of ours.
    """
    folder = run_dir.absolute() / FOLDER
    if not (folder / INDEX).is_file():
        return []
    try:
        entries = json.loads((folder / INDEX).read_text())["samples"]
        return [_sample(entry, folder) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        index = run_dir / FOLDER / INDEX
        raise Refusal(f"expected the list of a run's crops, got {index}, which is none ({error!r}).") from error


def damaged_picture(sample: Sample, *, sound: set[str]) -> Path | None:
    """Return the first of a crop's pictures that is not there or cannot be decoded; None where all can.

    Args:
        sample: the crop.
        sound: digests of contents that were decoded, to which others are added: crops of many runs share pictures.
    """
    for path in sample.files.values():
        try:
            content = path.read_bytes()
            digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            if digest not in sound:
                with Image.open(io.BytesIO(content)) as picture:
                    picture.load()
                sound.add(digest)
        except Exception:  # Pillow's plugins raise many types for damaged files
            return path
    return None


def _sample(entry: Mapping[str, Any], folder: Path) -> Sample:
    left, top, width, height = map(int, entry["box"])
    full_width, full_height = map(int, entry["size"])
    files = {str(key): folder / name for key, name in entry["files"].items()}
    missing = [key for key in _PICTURES if key not in files]
    if missing:
        raise KeyError(missing[0])
    return Sample(
        set=str(entry["set"]),
        image=str(entry["image"]),
        box=(left, top, width, height),
        size=(full_width, full_height),
        psnr=_decibel(entry["psnr"]),
        ssim=float(entry["ssim"]),
        bicubic_psnr=_decibel(entry["bicubic"]["psnr"]),
        bicubic_ssim=float(entry["bicubic"]["ssim"]),
        files=files,
    )


def _decibel(psnr: float | None) -> float | None:
    return None if psnr is None else float(psnr)


def _file_name(facts: Facts, key: str) -> str:
    return f"{facts.set}_{facts.image}_{key}.{'jpg' if key == WHOLE else 'png'}"


def _entry(facts: Facts, files: Mapping[str, str]) -> dict[str, object]:
    content = asdict(facts)
    bicubic = {metric: content.pop(f"bicubic_{metric}") for metric in ("psnr", "ssim")}
    return {**content, "bicubic": bicubic, "files": files}
