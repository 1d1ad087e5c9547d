"""Augmentations of training batches: on the device, for a whole batch at once, a pure function of (seed, sample).

The flips and rotations are chosen here and done by the data module while a pixel is still one byte. The mixing ones
follow Yoo, Ahn, Sohn, "Rethinking Data Augmentation for Image Super-resolution", CVPR 2020, and its code's settings,
drawn for each sample instead of once for a batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.functional.draws import Draws

# Codes of `functional.geometry.dihedral` that (flip, rotate) allow; a rotation by 90 degrees is a flip and a swap of
# rows and columns.
_CODES = {
    (True, True): (0, 1, 2, 3, 4, 5, 6, 7),
    (True, False): (0, 1, 2, 3),
    (False, True): (0, 3, 5, 6),
    (False, False): (0,),
}
_MIXUP_BETA = 1.2  # both parameters of the beta distribution of mixup's share
_BOX_MEAN, _BOX_DEVIATION = 0.7, 0.01  # side of cutmix's and cutblur's box, as a share of the patch's

Batch = dict[str, Tensor]


class Augment:
    """What is done at random to the pairs of a batch, each chance by itself.

    Args:
        flip: mirror left-right and top-bottom, each for half of the samples.
        rotate: turn by 0, 90, 180 or 270 degrees; with `flip`, all eight symmetries are equally likely.
        mixup: chance of a blend with another sample, in shares of Beta(1.2, 1.2).
        cutmix: chance of a box of another sample, 0.7 of the patch's side.
        cutblur: chance of a box of LR at HR's sharpness, or of all but the box. The paper's networks take LR enlarged
            to HR's size and can be shown HR itself. For networks that enlarge inside, LR keeps its size here, and the
            sharp pixels are HR's at the middle of each LR pixel, not filtered before they are sampled (for even
            scales the mean of the middle four, since no pixel is the middle and any single one would shift).
        channel_shuffle: chance of another order of the channels; images of one channel stay.
        colour_jitter: chance of other brightness, contrast, and for three channels saturation and hue.
        jitter_strength: largest change of brightness (added), contrast and saturation (factor less 1), and of hue as
            a share of the colour circle; in [0, 0.5].

    Raises:
        ValueError: a chance outside [0, 1] or a strength outside [0, 0.5].
    """

    def __init__(
        self,
        *,
        flip: bool = True,
        rotate: bool = True,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        cutblur: float = 0.0,
        channel_shuffle: float = 0.0,
        colour_jitter: float = 0.0,
        jitter_strength: float = 0.1,
    ) -> None:
        self.flip = flip
        self.rotate = rotate
        self.mixup = _within("mixup", mixup, 1.0)
        self.cutmix = _within("cutmix", cutmix, 1.0)
        self.cutblur = _within("cutblur", cutblur, 1.0)
        self.channel_shuffle = _within("channel_shuffle", channel_shuffle, 1.0)
        self.colour_jitter = _within("colour_jitter", colour_jitter, 1.0)
        self.jitter_strength = _within("jitter_strength", jitter_strength, 0.5)

    @property
    def codes(self) -> tuple[int, ...]:
        """Codes of `functional.geometry.dihedral` to choose from, each as likely as the others."""
        return _CODES[self.flip, self.rotate]

    @property
    def mixes(self) -> bool:
        """Whether samples get pixels of others: sample k those of sample k XOR 1, so that batches must be even."""
        return self.mixup > 0 or self.cutmix > 0

    def __call__(self, batch: Mapping[str, Tensor], *, samples: Sequence[int], seed: int) -> Batch:
        """Return the batch with all that is drawn for it, but the flips and rotations.

        Args:
            batch: `lr` `(N, C, H, W)`, `hr` `(N, C, scale*H, scale*W)`, float in [0, 1]; others, such as `real`, are
                images of HR's size that get the same as `hr`. Not changed.
            samples: number of each sample in the global stream.
            seed: of all draws.

        Raises:
            ValueError: samples are to be mixed and number 2i and 2i + 1 are not neighbours in the batch.
        """
        images = dict(batch)
        steps: list[tuple[str, float, Callable[[Batch, Batch, Draws], Batch]]] = [
            ("colour jitter", self.colour_jitter, self._jitter),
            ("channel shuffle", self.channel_shuffle, _shuffle),
            ("mixup", self.mixup, _mixup),
            ("cutmix", self.cutmix, _cutmix),
            ("cutblur", self.cutblur, _cutblur),
        ]
        for name, chance, step in steps:
            if not chance:
                continue
            rows = np.flatnonzero(Draws(samples, seed=seed, purpose=f"{name}?").chance(chance))
            if not len(rows):
                continue
            numbers = np.asarray(samples, np.int64)
            # Only who is drawn is worked on; the partner of each in the same state.
            chosen = _take(images, rows)
            partner = _take(images, _partners(numbers)[rows]) if step in (_mixup, _cutmix) else {}
            changed = step(chosen, partner, Draws(numbers[rows], seed=seed, purpose=name))
            for key, image in changed.items():
                images[key] = images[key].index_copy(0, _on(rows, image), image)
        return images

    def _jitter(self, images: Batch, _: Batch, draws: Draws) -> Batch:
        # Takes half a second to import, for what is off by default.
        from kornia import enhance

        strength = self.jitter_strength
        brightness, contrast = draws.uniform(-strength, strength), draws.uniform(1 - strength, 1 + strength)
        saturation, hue = draws.uniform(1 - strength, 1 + strength), draws.uniform(-strength, strength) * 2 * math.pi
        changed = {}
        for key, image in images.items():
            image = enhance.adjust_brightness(image, _on(brightness, image))
            image = enhance.adjust_contrast(image, _on(contrast, image))
            if image.shape[1] == 3:
                image = enhance.adjust_saturation(image, _on(saturation, image))
                image = enhance.adjust_hue(image, _on(hue, image)).clamp(0, 1)
            changed[key] = image
        return changed


def _shuffle(images: Batch, _: Batch, draws: Draws) -> Batch:
    channels = images["lr"].shape[1]
    order = np.stack([draws.uniform() for _ in range(channels)], axis=1).argsort(axis=1)
    rows = np.arange(len(order))[:, None]
    return {key: image[_on(rows, image), _on(order, image)] for key, image in images.items()}


def _mixup(images: Batch, partner: Batch, draws: Draws) -> Batch:
    share = _beta(draws.uniform())[:, None, None, None]
    return {key: _on(share, image) * image + _on(1 - share, image) * partner[key] for key, image in images.items()}


def _cutmix(images: Batch, partner: Batch, draws: Draws) -> Batch:
    box = _box(images["lr"], draws)
    changed = {}
    for key, image in images.items():
        scale = image.shape[-1] // images["lr"].shape[-1]
        inside = box.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
        changed[key] = torch.where(inside, partner[key], image)
    return changed


def _cutblur(images: Batch, _: Batch, draws: Draws) -> Batch:
    lr = images["lr"]
    box = _box(lr, draws)
    # The paper's cases, equally likely: the box is sharp, or all around it is.
    sharp = box ^ _on(draws.chance(0.5)[:, None, None, None], box)
    return {"lr": torch.where(sharp, _sampled(images.get("real", images["hr"]), lr.shape[-1]), lr)}


def _box(lr: Tensor, draws: Draws) -> Tensor:
    """Where a box of each sample is: bool `(N, 1, H, W)`."""
    height, width = lr.shape[-2:]
    normal = torch.special.ndtri(torch.from_numpy(draws.uniform(1e-12, 1 - 1e-12))).numpy()
    share = (_BOX_MEAN + _BOX_DEVIATION * normal).clip(0, 1)
    inside = []
    for side, shape in ((height, (-1, 1, height, 1)), (width, (-1, 1, 1, width))):
        length = np.maximum((side * share).astype(np.int64), 1)
        first = draws.uniform(0, side - length + 1).astype(np.int64)
        place = np.arange(side)
        inside.append(((place >= first[:, None]) & (place < (first + length)[:, None])).reshape(shape))
    return torch.from_numpy(inside[0] & inside[1]).to(lr.device)


def _sampled(hr: Tensor, width: int) -> Tensor:
    """HR at the middle of each LR pixel; the mean of four where the middle lies between them."""
    scale = hr.shape[-1] // width
    before, after = (scale - 1) // 2, scale // 2
    upper = hr[..., before::scale, before::scale] + hr[..., before::scale, after::scale]
    lower = hr[..., after::scale, before::scale] + hr[..., after::scale, after::scale]
    return (upper + lower) * 0.25


def _beta(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn uniform numbers into those of Beta(1.2, 1.2), by its distribution function in 4096 steps."""
    edges = np.linspace(0, 1, 4097)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.concatenate([[0.0], np.cumsum((middles * (1 - middles)) ** (_MIXUP_BETA - 1))])
    share: NDArray[np.float64] = np.interp(uniform * below[-1], below, edges)
    return share


def _partners(samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place in the batch of sample k XOR 1, for each sample k."""
    places = np.arange(len(samples)) ^ 1
    if len(samples) % 2 or (samples[places] != samples ^ 1).any():
        raise ValueError(
            f"mixup and cutmix need an even number of samples, 2i and 2i + 1 beside each other, got {samples.tolist()}."
        )
    return places


def _take(images: Batch, rows: NDArray[np.int64]) -> Batch:
    return {key: image[_on(rows, image)] for key, image in images.items()}


def _on(values: NDArray[np.generic], image: Tensor) -> Tensor:
    """Numbers drawn on the host as a tensor beside `image`; floats in its precision."""
    tensor = torch.from_numpy(values)
    return tensor.to(image.device, image.dtype if tensor.is_floating_point() else tensor.dtype)


def _within(name: str, value: float, largest: float) -> float:
    if not 0 <= value <= largest:
        raise ValueError(f"augment.{name} is expected in [0, {largest:g}], got {value}.")
    return value
