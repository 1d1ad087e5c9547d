"""Whole runs on images that are no 8-bit pictures: more bands, and 16 bits per channel."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from kornia_rs import io
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.images import reported_sets
from sr_lightning.refusal import Refusal

Run = Callable[..., dict[str, Any]]
Pixels = NDArray[np.uint8 | np.uint16]

NOISE = ("degradation=noise_down", "degradation.sigma=10")
SIZES = {"train": [(72, 64), (66, 70), (64, 64)], "val": [(48, 40), (43, 51)]}


def blocks(height: int, width: int, bands: int, *, seed: int, dtype: type[np.uint8 | np.uint16]) -> Pixels:
    """Squares of random brightness in each band, and a little noise, over the whole range of the type."""
    random = np.random.default_rng(seed)
    squares = random.uniform(0.1, 0.9, (height // 6 + 1, width // 6 + 1, bands)).repeat(6, 0).repeat(6, 1)
    image = squares[:height, :width] + random.normal(0, 0.02, (height, width, bands))
    return (image.clip(0, 1) * np.iinfo(dtype).max).round().astype(dtype)


def save(path: Path, image: Pixels) -> None:
    """Write `(H, W, bands)` in the format of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".tif":
        photometric: Any = "rgb" if image.shape[2] == 3 else "minisblack"
        tifffile.imwrite(path, image, photometric=photometric, planarconfig="contig" if image.shape[2] > 1 else None)
    elif image.dtype == np.uint8:
        Image.fromarray(image.squeeze()).save(path)
    else:
        io.write_image_png_u16(str(path), image, "rgb" if image.shape[2] == 3 else "mono")


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., list[str]]:
    """Write images of a kind, named by what follows the dot, and return the arguments that name them."""

    def write(bands: int, *suffixes: str, dtype: type[np.uint8 | np.uint16]) -> list[str]:
        for part, sizes in SIZES.items():
            for index, size in enumerate(sizes):
                name = f"{index}.{suffixes[index % len(suffixes)]}"
                save(tmp_path / part / name, blocks(*size, bands, seed=len(part) + index, dtype=dtype))
        return [f"data.{part}_dir={tmp_path / part}" for part in SIZES]

    return write


def check(folder: Path, results: dict[str, Any]) -> None:
    """The final table is what validation found for the best weights, and pictures were drawn."""
    assert results["status"] == "finished", results["error"]
    assert results["validation"]["images"] == len(SIZES["val"])
    with (folder / "metrics.csv").open() as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file) if row["val/psnr"]}
    best = rows[results["best_step"]]
    assert results["validation"]["psnr"] == pytest.approx(float(best["val/psnr"]), abs=1e-4)
    assert results["validation"]["ssim"] == pytest.approx(float(best["val/ssim"]), abs=1e-5)
    assert json.loads((folder / "results.json").read_text()) == results
    assert sorted(path.name for path in (folder / "panels").iterdir()) == ["step_000002.png", "step_000004.png"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("degradation", [(), NOISE], ids=["bicubic", "noise_down"])
def test_five_bands(run_tiny: Run, folders: Any, tmp_path: Path, dtype: Any, degradation: tuple[str, ...]) -> None:
    arguments = folders(5, "npy", "tif", dtype=dtype)
    save(tmp_path / "test" / "a.npy", blocks(40, 44, 5, seed=9, dtype=dtype))
    results = run_tiny(
        "edsr_baseline", tmp_path / "run", *arguments, *degradation, "model.channels=5", "protocol=rgb",
        f"data.test_dir={tmp_path / 'test'}",
    )  # fmt: skip
    check(tmp_path / "run", results)
    assert results["metrics"].keys() == {"test"}
    assert results["metrics"]["test"]["psnr"] > 0
    assert results["protocol"]["name"] == "rgb"


@pytest.mark.parametrize("degradation", [(), NOISE], ids=["bicubic", "noise_down"])
@pytest.mark.parametrize(("bands", "protocol"), [(3, "rgb_to_y"), (1, "rgb")], ids=["rgb", "grey"])
def test_16_bits(
    run_tiny: Run, folders: Any, tmp_path: Path, bands: int, protocol: str, degradation: tuple[str, ...]
) -> None:
    arguments = folders(bands, "png", "tif", dtype=np.uint16)
    results = run_tiny("edsr_baseline", tmp_path / "run", *arguments, *degradation, f"protocol={protocol}")
    check(tmp_path / "run", results)


@pytest.mark.parametrize(
    "overrides", [("degradation.border=replicate",), ("model.channels=1", "protocol=y_chain")], ids=["rule", "y_chain"]
)
def test_16_bits_among_8(run_tiny: Run, folders: Any, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """A store holds one type, so that LR of 8-bit images beside 16-bit ones is made in 16 bits."""
    arguments = folders(3, "png", dtype=np.uint16)
    save(tmp_path / "val" / "1.png", blocks(*SIZES["val"][1], 3, seed=4, dtype=np.uint8))
    results = run_tiny("edsr_baseline", tmp_path / "run", *arguments, *overrides)
    check(tmp_path / "run", results)


def test_lr_of_ones_own_of_five_bands(run_tiny: Run, folders: Any, tmp_path: Path) -> None:
    arguments = folders(5, "npy", dtype=np.uint8)
    for part, key in (("train", "lr_dir"), ("val", "val_lr_dir")):
        for index, (height, width) in enumerate(SIZES[part]):
            lr = blocks(height // 2, width // 2, 5, seed=index, dtype=np.uint8)
            save(tmp_path / f"{part}_lr" / f"{index}x2.npy", lr)
        arguments.append(f"data.{key}={tmp_path / f'{part}_lr'}")
    check(tmp_path / "run", run_tiny("srresnet", tmp_path / "run", *arguments, "model.channels=5", "protocol=rgb"))


@pytest.mark.parametrize("bands", [3, 5])
def test_validation_images_that_are_trained_on_are_refused(
    run_tiny: Run, folders: Any, tmp_path: Path, bands: int
) -> None:
    arguments = [*folders(bands, "tif", dtype=np.uint16), f"data.val_dir={tmp_path / 'train'}"]
    with pytest.raises(Refusal, match="3 of 3 evaluated images are trained on"):
        run_tiny("srresnet", tmp_path / "run", *arguments, f"model.channels={bands}", "protocol=rgb")


def test_a_discriminator_for_five_bands(run_tiny: Run, folders: Any, tmp_path: Path) -> None:
    arguments = folders(5, "npy", dtype=np.uint16)
    results = run_tiny("srgan", tmp_path / "run", *arguments, "model.channels=5", "protocol=rgb")
    check(tmp_path / "run", results)


def test_images_of_other_bands_are_refused_before_the_training(run_tiny: Run, folders: Any, tmp_path: Path) -> None:
    arguments = folders(4, "npy", "tif", dtype=np.uint8)
    with pytest.raises(Refusal, match=r"none of the 3 images can be used \(.*0\.npy: expected 5 bands, got 4;"):
        run_tiny("srresnet", tmp_path / "run", *arguments, "model.channels=5", "protocol=rgb")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_benchmarks_are_not_reported_for_other_bands(
    tiny_arguments: Callable[..., list[str]], folders: Any, tmp_path: Path
) -> None:
    save(tmp_path / "Set5" / "HR" / "a.png", blocks(24, 24, 3, seed=1, dtype=np.uint8))
    arguments = [*folders(5, "tif", dtype=np.uint8), "protocol=rgb", f"data.root={tmp_path}"]

    def config(*overrides: str) -> dict[str, Any]:
        return Composer("train").compose(tiny_arguments("srresnet", *arguments, *overrides)).tree

    assert [each.name for each in reported_sets(config())] == ["Set5"]
    assert reported_sets(config("model.channels=5")) == []
