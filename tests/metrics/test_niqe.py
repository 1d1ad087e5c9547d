"""NIQE against its authors' number for one photograph, and against a plain numpy program."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import convolve
from scipy.special import gamma

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.metrics.niqe import PARAMETERS, Niqe, Pristine, niqe

SHAPES = np.arange(0.2, 10.001, 0.001)
MOMENTS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def official(hub: Path, shared: Path) -> Path:
    """The authors' parameters, where torch hub would have them."""
    return Path(shutil.copy(shared / "data" / "weights" / PARAMETERS.name, hub))


@pytest.fixture(scope="module")
def pristine() -> dict[str, np.ndarray]:
    """Parameters of no photographs: a window and some positive covariance."""
    random = np.random.default_rng(0)
    places = np.arange(7) - 3.0
    taps = np.exp(-(places**2) / (2 * (7 / 6) ** 2))
    basis = random.normal(size=(36, 36))
    return {
        "mu_pris_param": random.uniform(0, 2, (1, 36)),
        "cov_pris_param": basis @ basis.T / 36 + np.eye(36),
        "gaussian_window": np.outer(taps, taps) / np.outer(taps, taps).sum(),
    }


def photograph(rows: int, columns: int) -> np.ndarray:
    """Luma on whole levels, with blocks of several textures."""
    random = np.random.default_rng(1)
    noise = convolve(random.normal(size=(rows, columns)), np.ones((3, 3)) / 9)
    strength = np.repeat(np.repeat(random.uniform(5, 60, (rows // 48 + 1, columns // 48 + 1)), 48, 0), 48, 1)
    return np.clip(128 + strength[:rows, :columns] * noise, 16, 235).round()


def fit(values: np.ndarray) -> tuple[float, float, float]:
    left, right = np.sqrt(np.mean(values[values < 0] ** 2)), np.sqrt(np.mean(values[values > 0] ** 2))
    ratio = left / right
    wanted = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    wanted *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = SHAPES[np.argmin((MOMENTS - wanted) ** 2)]
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width


def block_features(block: np.ndarray) -> list[float]:
    shape, left, right = fit(block)
    found = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = fit(block * np.roll(block, shift, axis=(0, 1)))
        found += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return found


def halved(image: np.ndarray) -> np.ndarray:
    """Along the columns, with the taps of protocol.md and the border mirrored."""
    taps = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    padded = np.pad(image, ((3, 3), (0, 0)), mode="symmetric")
    return sum(tap * padded[k : k + image.shape[0] : 2] for k, tap in enumerate(taps))


def niqe_by_hand(image: np.ndarray, parameters: Any) -> float:
    rows, columns = image.shape[0] // 96, image.shape[1] // 96
    image, found = image[: rows * 96, : columns * 96], []
    for side in (96, 48):
        mean = convolve(image, parameters["gaussian_window"], mode="nearest")
        square = convolve(image**2, parameters["gaussian_window"], mode="nearest")
        normalised = (image - mean) / (np.sqrt(np.abs(square - mean**2)) + 1)
        found.append(
            [
                block_features(normalised[side * row : side * (row + 1), side * column : side * (column + 1)])
                for row in range(rows)
                for column in range(columns)
            ]
        )
        image = halved(halved(image).T).T
    features = np.concatenate(found, axis=1)
    difference = parameters["mu_pris_param"][0] - features.mean(axis=0)
    covariance = (parameters["cov_pris_param"] + np.cov(features, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(covariance) @ difference))


def tensors(parameters: dict[str, np.ndarray]) -> Pristine:
    return Pristine(
        torch.from_numpy(parameters["mu_pris_param"][0]),
        torch.from_numpy(parameters["cov_pris_param"]),
        torch.from_numpy(parameters["gaussian_window"]),
    )


@pytest.mark.parametrize("size", [(96, 192), (200, 300)])
def test_equals_a_plain_program(pristine: dict[str, np.ndarray], size: tuple[int, int]) -> None:
    image = photograph(*size)
    found = niqe(torch.from_numpy(image), pristine=tensors(pristine))
    assert found.item() == pytest.approx(niqe_by_hand(image, pristine), rel=1e-8)


def test_equals_a_plain_program_with_the_official_parameters(official: Path, shared: Path) -> None:
    image = np.array(Image.open(shared / "data" / "benchmarks" / "Set5" / "HR" / "butterfly.png").convert("RGB"))
    luma = rgb_to_y(torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255)
    by_hand = (image @ np.array([65.481, 128.553, 24.966]) / 255 + 16).round()
    # Where the photograph is flat, rounding decides on which side of 0 a value counts.
    assert Niqe()(luma) == pytest.approx(niqe_by_hand(by_hand, np.load(official)), rel=1e-5)


def test_baboon(official: Path, shared: Path) -> None:
    """MATLAB's own: 5.7296, without a border."""
    image = np.array(Image.open(shared / "data" / "benchmarks" / "Set14" / "HR" / "baboon.png").convert("RGB"))
    luma = rgb_to_y(torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255)
    assert Niqe()(luma) == pytest.approx(5.73, abs=0.01)
    assert Niqe(device=torch.device("mps"))(luma) == Niqe()(luma), "MPS has no float64: the CPU does it"
    # The file that `prepare` fetches is this one.
    assert hashlib.sha256(official.read_bytes()).hexdigest() == PARAMETERS.sha256


def test_without_the_file_it_says_where_to_put_it(hub: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"NIQE needs .*: put niqe_pris_params\.npz into {hub} \(https://"):
        Niqe()


@pytest.mark.parametrize("content", ["text", "other keys", "other shapes"])
def test_another_file_is_refused(hub: Path, pristine: dict[str, np.ndarray], content: str) -> None:
    path = hub / PARAMETERS.name
    if content == "text":
        path.write_text("404: not found")
    elif content == "other keys":
        np.savez(path, mu=pristine["mu_pris_param"])
    else:
        np.savez(path, **{**pristine, "cov_pris_param": np.eye(3)})
    with pytest.raises(ValueError, match=r"niqe_pris_params\.npz does not hold NIQE's parameters"):
        Niqe()


def test_flat_blocks_drop_out(pristine: dict[str, np.ndarray]) -> None:
    image = photograph(96, 288)
    parameters = tensors(pristine)
    flat = image.copy()
    flat[:, 192:] = 0
    # The flat block has no covariance with anything; its neighbour's edge does not reach into the others.
    found = niqe(torch.from_numpy(flat), pristine=parameters).item()
    assert np.isfinite(found)
    with pytest.raises(ValueError, match="two blocks with any detail"):
        niqe(torch.zeros(96, 192, dtype=torch.float64), pristine=parameters)


@pytest.mark.parametrize("shape", [(95, 500), (191, 191)])
def test_images_without_two_blocks_are_refused(pristine: dict[str, np.ndarray], shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"two blocks of 96x96 pixels inside the border, got {shape[0]}x{shape[1]}"):
        niqe(torch.rand(shape, dtype=torch.float64), pristine=tensors(pristine))


def test_it_takes_the_luma_of_one_image(hub: Path, pristine: dict[str, np.ndarray]) -> None:
    np.savez(hub / PARAMETERS.name, **pristine)
    with pytest.raises(ValueError, match=r"the luma of one image, got shape \(1, 3, 200, 200\)"):
        Niqe()(torch.rand(1, 3, 200, 200))
    image = torch.from_numpy(photograph(100, 200))
    # Values are put on whole levels, halves up.
    between = ((image + 0.3) / 255)[None, None]
    assert Niqe()(between) == niqe(image, pristine=tensors(pristine)).item()
