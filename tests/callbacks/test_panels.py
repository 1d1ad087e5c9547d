from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from sr_lightning.callbacks.panels import detail_crops, draw_panel
from sr_lightning.functional.resize import imresize

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def images() -> dict[str, Tensor]:
    """Flat but for a corner of noise at (32, 48), x2; `sr` is all black."""
    torch.manual_seed(0)
    hr = torch.full((1, 3, 64, 96), 0.5)
    hr[..., 32:48, 48:64] = torch.rand(1, 3, 16, 16)
    return {"lr": hr[..., ::2, ::2].contiguous(), "sr": torch.zeros_like(hr), "hr": hr}


def test_crops_show_where_bicubic_loses_most_and_the_same_place_of_all(images: dict[str, Tensor]) -> None:
    crops = detail_crops(images, scale=2, side=8)
    assert {name: crop.shape for name, crop in crops.items()} == {
        "LR": (1, 3, 8, 8), "bicubic": (1, 3, 16, 16), "SR": (1, 3, 16, 16), "HR": (1, 3, 16, 16),
    }  # fmt: skip
    assert torch.equal(crops["HR"], images["hr"][..., 32:48, 48:64])
    assert torch.equal(crops["LR"], images["lr"][..., 16:24, 24:32])
    assert torch.equal(crops["bicubic"], imresize(images["lr"], 2).clamp(0, 1)[..., 32:48, 48:64])
    # Whatever the network makes of it, the place stays.
    assert torch.equal(detail_crops(images | {"sr": torch.rand(1, 3, 64, 96)}, scale=2, side=8)["HR"], crops["HR"])


def test_a_crop_larger_than_the_image_is_the_image(images: dict[str, Tensor]) -> None:
    assert detail_crops(images, scale=2, side=100)["LR"].shape == (1, 3, 32, 32)


def test_a_panel_is_a_table_of_whole_number_enlargements(images: dict[str, Tensor]) -> None:
    crops = detail_crops(images, scale=2, side=8)
    panel = draw_panel([("one", crops), ("two", crops)], title="net x2 step 7")
    # Four cells of 256 pixels and five margins of 12; a heading, and a caption under each of two rows.
    assert panel.size == (4 * 256 + 5 * 12, 34 + 2 * 12 + 2 * (256 + 24 + 12))
    pixels = np.asarray(panel)
    top, left = 34 + 12, 12 + 3 * (256 + 12)
    hr = (crops["HR"][0].permute(1, 2, 0).numpy() * 255).round().astype(int)
    # Each of the 16x16 pixels is a square of 16x16.
    for row, column in ((0, 0), (7, 3), (15, 15)):
        square = pixels[top + 16 * row : top + 16 * (row + 1), left + 16 * column : left + 16 * (column + 1)]
        assert np.abs(square.astype(int) - hr[row, column]).max() <= 1


@pytest.mark.parametrize(("bands", "shown"), [(5, [0, 1, 2]), (2, [0, 0, 0])])
def test_of_several_bands_the_first_are_drawn(images: dict[str, Tensor], bands: int, shown: list[int]) -> None:
    def spread(image: Tensor) -> Tensor:
        return torch.cat([image / (band + 1) for band in range(2)], dim=1)[:, :bands]

    crops = detail_crops({name: spread(image) for name, image in images.items()}, scale=2, side=8)
    panel = np.asarray(draw_panel([("a", crops)], title=""))
    left = 12 + 3 * (256 + 12)
    hr = (crops["HR"][0, shown].permute(1, 2, 0).numpy() * 255).round().astype(int)
    assert np.abs(panel[46:302:16, left : left + 256 : 16].astype(int) - hr).max() <= 1


def test_luma_is_drawn_grey(images: dict[str, Tensor]) -> None:
    crops = detail_crops({name: image[:, :1] for name, image in images.items()}, scale=2, side=8)
    pixels = np.asarray(draw_panel([("y", crops)], title=""))[50:290, 20:260]
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize(("channels", "said"), [(1, "luma"), (3, "RGB"), (4, "all 4 channels")])
def test_it_says_what_is_compared(
    images: dict[str, Tensor], channels: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    draw = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda self, at, text, **how: (texts.append(text), draw(self, at, text, **how))[1]
    )
    crops = {name: image[:, :1].expand(-1, channels, -1, -1) for name, image in images.items()}
    draw_panel([("a", detail_crops(crops, scale=2, side=8))], title="")
    assert f"PSNR of the crop, {said}" in texts


def test_a_run_draws_one_panel_per_validation(run_tiny: Run, tmp_path: Path) -> None:
    run_tiny("edsr_baseline", tmp_path / "run", "callbacks.panels.images=2", "callbacks.panels.crop=12")
    files = sorted((tmp_path / "run" / "panels").iterdir())
    assert [file.name for file in files] == ["step_000002.png", "step_000004.png"]
    first, second = (np.asarray(Image.open(file)).astype(int) for file in files)
    assert first.shape == second.shape == (34 + 2 * 12 + 2 * (264 + 24 + 12), 4 * 264 + 5 * 12, 3)
    # LR, bicubic and HR are the same at each step; SR is not.
    cell = [12 + index * (264 + 12) for index in range(4)]
    changes = [np.abs(first - second)[46:310, left : left + 264].max() for left in cell]
    assert changes[0] == changes[1] == changes[3] == 0 < changes[2]
