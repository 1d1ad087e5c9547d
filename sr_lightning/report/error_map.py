"""Where SR differs from HR, as a picture: one colour scale for all runs, scales and images, so that maps compare."""

from pathlib import Path

import numpy as np
from PIL import Image

# The difference that gets the brightest colour, of a full range of 1; what lies above it gets that colour too. Of
# bicubic's pixels on Set5 at x4, where edges are worst, 0.6 % do.
LARGEST = 0.25
# "Inferno" by Nathaniel Smith and Stefan van der Walt (matplotlib's, CC0) at ten even steps from 0 to `LARGEST`: equal
# steps look equal, and brightness alone tells them apart too.
COLORS = (
    "#000004", "#1b0c41", "#4a0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#fcffa4",
)  # fmt: skip


def error_map(sr: Path | Image.Image, hr: Path | Image.Image) -> Image.Image:
    """Draw the absolute difference of two images, the mean over their channels, from black (none) to pale yellow.

    Args:
        sr: a picture or its file, grey or RGB.
        hr: one of the same size.

    Returns:
        RGB of that size, coloured by `COLORS` over differences from 0 to `LARGEST`.

    Raises:
        ValueError: the sizes differ.
    """
    ours, truth = _pixels(sr), _pixels(hr)
    if ours.shape != truth.shape:
        raise ValueError(f"an error map needs images of one size, got {_size(ours)} and {_size(truth)}")
    return Image.fromarray(colored(np.abs(ours - truth).mean(axis=2)))


def colored(errors: np.ndarray) -> np.ndarray:
    """Return the colours (H, W, 3) uint8 of errors (H, W) in [0, 1]."""
    anchors = np.array([[int(color[start : start + 2], 16) for start in (1, 3, 5)] for color in COLORS])
    places = np.linspace(0, LARGEST, len(COLORS))
    channels = [np.interp(errors, places, anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=2).round().astype(np.uint8)


def _pixels(image: Path | Image.Image) -> np.ndarray:
    opened = Image.open(image) if isinstance(image, Path) else image
    return np.asarray(opened.convert("RGB"), dtype=np.float32) / 255


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
