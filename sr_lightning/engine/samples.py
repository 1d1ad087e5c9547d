"""The fixed crops of a run's scored images, for the page, the figures and the trackers to show."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_lightning.engine.evaluate import Scored
from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.geometry import modcrop
from sr_lightning.functional.quantize import from_uint8, to_8_bits, to_uint8
from sr_lightning.functional.resize import imresize
from sr_lightning.metrics.protocol import score
from sr_lightning.report.samples import FOLDER, Facts, Pixels, write_samples

# Crops begin and end at multiples of so many HR pixels: whole LR pixels at scale 2, 3, 4 and 8.
GRID = 24
# The scale at which a place is judged, whatever the run's own.
JUDGED_AT = 4
# The longest side of the whole image in figures.
WHOLE_SIDE = 480

Box = tuple[int, int, int, int]


class Samples:
    """Cuts the same places out of what `evaluate_set` scores, and keeps them until they are written.

    Args:
        per_set: how many images of a set, from its first on; 0 keeps none.
        side: of the crops, in HR pixels.
        scale: HR pixels per LR pixel.
    """

    def __init__(self, *, per_set: int, side: int, scale: int) -> None:
        self.per_set = per_set
        self.side = side
        self.scale = scale
        self._kept: list[tuple[Facts, dict[str, Pixels]]] = []

    def keep(self, scored: Scored) -> None:
        """Cut the crop of an image, where it is one of the first of its set and a picture of 1 or 3 channels."""
        if scored.index >= self.per_set or scored.pair.hr.shape[1] not in (1, 3):
            return
        height, width = scored.pair.hr.shape[-2:]
        box = choose_box(scored.hr[..., :height, :width], side=self.side, scale=self.scale)
        left, top, width, height = box
        large = (..., slice(top, top + height), slice(left, left + width))
        small = (
            ...,
            slice(top // self.scale, (top + height) // self.scale),
            slice(left // self.scale, (left + width) // self.scale),
        )
        crops = {"bicubic": scored.bicubic[large], "sr": scored.sr[large], "hr": scored.pair.hr[large]}
        rules = replace(scored.protocol, border=0)
        psnr, ssim = score(crops["sr"], crops["hr"], protocol=rules, scale=self.scale)
        bicubic = score(crops["bicubic"], crops["hr"], protocol=rules, scale=self.scale)
        facts = Facts(
            set=scored.set,
            image=scored.image,
            box=box,
            size=(scored.hr.shape[-1], scored.hr.shape[-2]),
            psnr=_finite(psnr),
            ssim=ssim,
            bicubic_psnr=_finite(bicubic.psnr),
            bicubic_ssim=bicubic.ssim,
        )
        pictures = {key: _picture(crop) for key, crop in ({"lr": scored.pair.lr[small]} | crops).items()}
        self._kept.append((facts, pictures | {"whole": _whole(scored.hr)}))

    def write(self, run_dir: Path) -> None:
        """Write what was kept below a run's folder, in the place of what an earlier part of the run left there."""
        if self._kept or (run_dir / FOLDER).is_dir():
            write_samples(run_dir, self._kept, side=self.side)


def choose_box(hr: Tensor, *, side: int, scale: int) -> Box:
    """Return the place of an image's crop: where bicubic interpolation at x4 loses most.

    It depends on the image alone, so that runs of any network, seed and scale (2, 3, 4 and 8) show the same.

    Args:
        hr: (1, C, H, W) uint8 or uint16, RGB or grey, that LR has pixels of; no side below `scale` or 4.
        side: of the crop in HR pixels.
        scale: of the run.

    Returns:
        Left, top, width and height, on a grid of 24 pixels (where the scale does not divide them, of the next number
        that both do); along a side shorter than that, as much of the image as the scale divides.
    """
    grid = math.lcm(GRID, scale)
    # Every scale has the pixels of all whole parts of the grid: LR of other scales may end before the image does.
    height, width = (length // grid * grid or length // scale * scale for length in hr.shape[-2:])
    longest = max(grid, side // grid * grid)
    crop = min(longest, height), min(longest, width)
    means = torch.nn.functional.avg_pool2d(_bicubic_loss(hr[..., :height, :width]), crop, grid)[0, 0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    return column * grid, row * grid, crop[1], crop[0]


def _bicubic_loss(hr: Tensor) -> Tensor:
    """Return the squared error (1, 1, H, W) of the luma of an image scaled down and up again, 0 at a remainder."""
    image = from_uint8(to_8_bits(hr))
    luma = rgb_to_y(image) if image.shape[1] == 3 else image
    loss = torch.zeros_like(luma)
    part = modcrop(luma, JUDGED_AT)
    again = imresize(imresize(part, Fraction(1, JUDGED_AT)), JUDGED_AT)
    loss[..., : part.shape[-2], : part.shape[-1]] = (part - again) ** 2
    return loss


def _finite(psnr: float) -> float | None:
    return psnr if math.isfinite(psnr) else None


def _picture(image: Tensor) -> Pixels:
    """Return (H, W) or (H, W, 3) of (1, C, H, W)."""
    return to_uint8(image)[0].permute(1, 2, 0).numpy().squeeze(-1 if image.shape[1] == 1 else ())


def _whole(hr: Tensor) -> Pixels:
    picture = Image.fromarray(_picture(from_uint8(to_8_bits(hr))))
    picture.thumbnail((WHOLE_SIDE, WHOLE_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
