"""One picture per validation: the same crops as LR, bicubic, SR and HR, side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sr_lightning.functional.quantize import to_uint8
from sr_lightning.functional.resize import imresize
from sr_lightning.metrics.psnr import psnr
from sr_lightning.modules.base import super_resolution

MARGIN, HEADER, CAPTION = 12, 34, 24
BACKGROUND, INK, FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)
# Smallest side of a cell in pixels: crops are enlarged by a whole number, so that pixels stay square.
CELL = 256


class Panels(Callback):
    """Writes `panels/step_000100.png` and hands it to the loggers.

    Args:
        folder: where the pictures go.
        images: how many validation images are shown.
        crop: side of the crop in LR pixels; it is taken where bicubic loses most.
    """

    def __init__(self, *, folder: Path, images: int, crop: int) -> None:
        self.folder = folder
        self.images = images
        self.crop = crop
        self._rows: list[tuple[str, dict[str, Tensor]]] = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the crops of the first images."""
        if trainer.is_global_zero and len(self._rows) < self.images:
            scale = super_resolution(pl_module).scale
            self._rows.append((Path(batch["name"]).stem, detail_crops(outputs, scale=scale, side=self.crop)))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw them."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        module = super_resolution(pl_module)
        picture = draw_panel(rows, title=f"{module.description['name']}  x{module.scale}  step {module.step}")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step_{module.step:06d}.png"
        picture.save(path)
        for logger in module.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image(key="val/panel", images=[str(path)], step=module.step)


def detail_crops(images: Mapping[str, Tensor], *, scale: int, side: int) -> dict[str, Tensor]:
    """Cut the same place out of `lr`, bicubic, `sr` and `hr`, each (1, C, h, w) in [0, 1] on the CPU.

    The place is the one where bicubic loses most, so that it shows texture and fine edges rather than sky; it does
    not depend on the network, so that all steps and all runs show the same.
    """
    lr, sr, hr = (images[key].detach().float().clamp(0, 1).cpu() for key in ("lr", "sr", "hr"))
    bicubic = imresize(lr, scale).clamp(0, 1)
    height, width = lr.shape[-2:]
    side = min(side, height, width)
    size = side * scale
    stride = max(1, side // 4) * scale
    loss = torch.nn.functional.avg_pool2d(((hr - bicubic) ** 2).mean(1, keepdim=True), size, stride)
    index = int(loss.flatten().argmax())
    row, column = divmod(index, loss.shape[-1])
    top, left = row * stride // scale, column * stride // scale
    place = (..., slice(top, top + side), slice(left, left + side))
    large = (
        ...,
        slice(top * scale, (top + side) * scale),
        slice(left * scale, (left + side) * scale),
    )
    return {"LR": lr[place], "bicubic": bicubic[large], "SR": sr[large], "HR": hr[large]}


def draw_panel(rows: list[tuple[str, dict[str, Tensor]]], *, title: str) -> Image.Image:
    """Lay named crops out as a table: one row per image, one column per version, PSNR of the crop below each.

    Of more than three channels the first three are shown as red, green and blue, of two the first as grey.
    """
    sizes = [crops["HR"].shape[-1] for _, crops in rows]
    cell = max(size * max(1, -(-CELL // size)) for size in sizes)
    columns = ("LR", "bicubic", "SR", "HR")
    width = MARGIN + len(columns) * (cell + MARGIN)
    height = HEADER + 2 * MARGIN + len(rows) * (cell + CAPTION + MARGIN)
    picture = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(18), ImageFont.load_default(15)
    draw.text((MARGIN, MARGIN), title, fill=INK, font=large)
    compared = _compared(rows[0][1]["HR"].shape[1])
    draw.text((width - MARGIN, MARGIN + 3), f"PSNR of the crop, {compared}", fill=FAINT, font=small, anchor="ra")
    for row, (name, crops) in enumerate(rows):
        top = HEADER + MARGIN + row * (cell + CAPTION + MARGIN)
        for column, label in enumerate(columns):
            left = MARGIN + column * (cell + MARGIN)
            picture.paste(_enlarged(crops[label], cell), (left, top))
            draw.text((left, top + cell + 4), label, fill=INK, font=small)
            note = name if label == "LR" else _crop_psnr(crops[label], crops["HR"])
            draw.text((left + cell, top + cell + 4), note, fill=FAINT, font=small, anchor="ra")
    return picture


def _compared(channels: int) -> str:
    return {1: "luma", 3: "RGB"}.get(channels, f"all {channels} channels")


def _crop_psnr(image: Tensor, hr: Tensor) -> str:
    return "" if image is hr else f"{float(psnr(image, hr)):.2f} dB"


def _enlarged(image: Tensor, cell: int) -> Image.Image:
    pixels = to_uint8(image)[0].permute(1, 2, 0).numpy()
    pixels = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((cell, cell), Image.Resampling.NEAREST)
