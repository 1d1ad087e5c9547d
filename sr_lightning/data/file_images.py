"""Images decoded whenever a patch is cut from them, for disks that hold no store beside the files."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data import packing
from sr_lightning.data.bands import check_inside
from sr_lightning.data.filling import map_in_order
from sr_lightning.data.fingerprint import fingerprint
from sr_lightning.data.image import Pixels
from sr_lightning.data.lr_rules import Downscale, MadeLr, lr_rules
from sr_lightning.data.scan import DataError
from sr_lightning.data.sources import Sources, plan
from sr_lightning.data.store import Place

# Images that a process keeps: LR and HR of a patch, or patches of one small image, come from one decoding.
_KEPT = 4
# LR pixels that MATLAB's bicubic looks beyond a patch: its kernel reaches two, measured from a pixel's centre.
_REACH = 2


class FileImages:
    """What a `Store` holds, bit for bit, made anew from the files for each patch; thousands of times slower.

    The arguments are those of `Store.open_or_build`; the attributes those of `Store`.

    Raises:
        DataError: no image is given or none can be used, or too many had to be left out.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        scales: Sequence[int],
        degradation: Downscale | Mapping[int, Downscale] | None,
        min_side: int,
        channels: int = 3,
        resize: int | None = None,
        lr_paths: Mapping[int, Sequence[Path]] | None = None,
        max_skipped: float = 0.05,
    ) -> None:
        sources = Sources(paths, channels=channels, resize=resize)
        planned = plan(sources)
        smallest = max(min_side, *scales, 1)
        self.skipped: list[tuple[Path, str]] = []
        kept = []
        for number, header in enumerate(planned.headers):
            height, width = planned.sizes[number]
            if isinstance(header, str):
                self.skipped.append((Path(sources.absolute[number]), header))
            elif min(height, width) < smallest:
                reason = packing.too_small(height, width, smallest)
                self.skipped.append((Path(sources.absolute[number]), reason))
            else:
                kept.append(number)
        packing.check_skipped(self.skipped, of=len(paths), max_skipped=max_skipped)
        self.channels = channels
        self.dtype = planned.dtype
        self.min_side = min_side
        self.scales = tuple(sorted(set(scales)))
        self.sizes = planned.sizes[kept]
        self.names: Sequence[str] = [os.path.relpath(sources.absolute[number], sources.root) for number in kept]
        self._numbers = kept
        self._decode = packing.Decode(sources, planned)
        rules = lr_rules(scales, degradation, lr_paths=lr_paths, sources=sources)
        self._rules = {rule.scale: rule for rule in rules}
        self._recent: OrderedDict[int, Pixels] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recent": OrderedDict()}

    def __len__(self) -> int:
        return len(self._numbers)

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """Perceptual hash of each image, `(N, fingerprint.WORDS)`; the first use decodes all images."""
        return np.stack(map_in_order(self._hash, range(len(self)), at_once=8))

    def _hash(self, index: int) -> NDArray[np.uint64]:
        return fingerprint(self._image(index))

    def ask_for(self, places: Sequence[Place], *, side: int, scale: int) -> None:
        """Nothing: the files have to be decoded anyway."""

    def hr(self, index: int) -> Pixels:
        """A whole HR image `(H, W, C)`, a copy."""
        return self._image(index).copy()

    def lr(self, index: int, scale: int) -> Pixels:
        """A whole LR image `(H // scale, W // scale, C)`."""
        return self._rules[scale].make(self._image(index), self._numbers[index])

    def cut_hr(self, index: int, top: int, left: int, out: Pixels) -> None:
        """Fill `out (h, w, C)` with HR from row `top` and column `left` on.

        Raises:
            IndexError: the patch does not lie inside the image.
        """
        image = self._image(index)
        check_inside(top, left, out.shape, image.shape)
        out[:] = image[top : top + out.shape[0], left : left + out.shape[1]]

    def cut_lr(self, index: int, scale: int, top: int, left: int, out: Pixels) -> None:
        """Fill `out (h, w, C)` with LR from row `top` and column `left` on.

        Raises:
            IndexError: the patch does not lie inside the image.
        """
        image, rule = self._image(index), self._rules[scale]
        height, width = image.shape[0] // scale, image.shape[1] // scale
        check_inside(top, left, out.shape, (height, width))
        first_row, first_column = 0, 0
        if isinstance(rule, MadeLr):
            # Only the patch and what its LR depends on; at the image's own border that is less.
            first_row, first_column = max(0, top - _REACH), max(0, left - _REACH)
            last_row, last_column = min(height, top + out.shape[0] + _REACH), min(width, left + out.shape[1] + _REACH)
            image = image[first_row * scale : last_row * scale, first_column * scale : last_column * scale]
        lr = rule.make(image, self._numbers[index])
        top, left = top - first_row, left - first_column
        out[:] = lr[top : top + out.shape[0], left : left + out.shape[1]]

    def _image(self, index: int) -> Pixels:
        """The HR image, which may have been decoded before."""
        image = self._recent.get(index)
        if image is None:
            entry, image = self._decode(self._numbers[index])
            if image is None:
                raise DataError(entry["skipped"])
            if image.shape[:2] != tuple(self.sizes[index]):
                raise DataError(
                    f"{self._decode.path(self._numbers[index])} is turned by an orientation behind its pixels; "
                    "turn the pixels, or use data.store=disk."
                )
            self._recent[index] = image
            if len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return image
