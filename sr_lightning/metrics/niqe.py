"""NIQE: how far the statistics of one image are from those of photographs. It needs no HR image."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sr_lightning.functional.resize import extend, imresize
from sr_lightning.metrics.backbone import HubFile

# Statistics of 125 photographs, by the metric's authors; BasicSR keeps them in this form.
PARAMETERS = HubFile(
    "NIQE",
    "its authors' statistics of photographs",
    "https://raw.githubusercontent.com/XPixelGroup/BasicSR/master/basicsr/metrics/niqe_pris_params.npz",
    sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
)
# Side of the blocks, in pixels of the whole image; half of it on the second scale.
BLOCK = 96
# Shapes of the generalised Gaussian among which the fit chooses.
_SHAPES = torch.arange(0.2, 10.0005, 0.001, dtype=torch.float64)
# Neighbours whose products are looked at: right, below, and both diagonals.
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True)
class Pristine:
    """Features of photographs: `mean` (36,), `covariance` (36, 36), and the `window` (7, 7) of local means; float64."""

    mean: Tensor
    covariance: Tensor
    window: Tensor

    def to(self, device: torch.device) -> "Pristine":
        """The same on a device."""
        return Pristine(self.mean.to(device), self.covariance.to(device), self.window.to(device))


class Niqe:
    """NIQE (Mittal, Soundararajan, Bovik, IEEE SPL 2013), lower is better, with its authors' parameters.

    Args:
        device: Where it is computed, in float64; None, or one without float64, for where the image is.

    Raises:
        FileNotFoundError: The parameters are not in torch hub's cache; says which file belongs where.
        ValueError: The file there holds something else.
    """

    def __init__(self, *, device: torch.device | None = None) -> None:
        self._device = None if device is None or device.type == "mps" else device
        path = PARAMETERS.require()
        try:
            with np.load(path, allow_pickle=False) as file:
                values = [torch.from_numpy(file[key].astype(np.float64)) for key in _KEYS]
            self._pristine = Pristine(values[0].reshape(36), values[1].reshape(36, 36), values[2].reshape(7, 7))
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{path} does not hold NIQE's parameters ({error}); get it from {PARAMETERS.url}"
            ) from error

    def __call__(self, luma: Tensor) -> float:
        """NIQE of one image.

        Args:
            luma: `(1, 1, H, W)`, Y of BT.601 in limited range divided by 255, as `functional.color` has it. Rounded to
                the levels of a file here, as MATLAB does.

        Raises:
            ValueError: Another shape, or there are no two whole blocks of 96x96 with any detail.
        """
        if luma.ndim != 4 or luma.shape[:2] != (1, 1):
            raise ValueError(f"NIQE takes the luma of one image, got shape {tuple(luma.shape)}.")
        device = self._device or luma.device
        levels = luma[0, 0].to(device, torch.float64).mul(255.0).add(0.5).floor()
        return niqe(levels, pristine=self._pristine.to(device)).item()


_KEYS = ("mu_pris_param", "cov_pris_param", "gaussian_window")


def niqe(image: Tensor, *, pristine: Pristine) -> Tensor:
    """The distance between an image's features and those of photographs, both taken for normal distributions.

    36 features of each block of 96x96 pixels: 18 on the image, 18 on the image of half the size. As in the authors'
    MATLAB program and in BasicSR, what no whole block covers is left out, all blocks count (the paper keeps sharp ones
    only for the photographs), and blocks without detail drop out of the mean and the covariance.

    Args:
        image: `(H, W)` float64, luma in 0..255.
        pristine: The photographs' features.

    Raises:
        ValueError: There are no two whole blocks with any detail: no covariance without them.
    """
    rows, columns = (side // BLOCK for side in image.shape)
    if rows * columns < 2:
        raise ValueError(
            f"NIQE needs two blocks of {BLOCK}x{BLOCK} pixels inside the border, got {image.shape[0]}x{image.shape[1]}."
        )
    image = image[: rows * BLOCK, : columns * BLOCK]
    features = []
    for side in (BLOCK, BLOCK // 2):
        normalised = _normalised(image, pristine.window)
        blocks = normalised.reshape(rows, side, columns, side).transpose(1, 2).reshape(-1, side, side)
        features.append(_features(blocks))
        image = imresize(image, Fraction(1, 2))
    of_blocks = torch.cat(features, dim=1)
    whole = of_blocks[~of_blocks.isnan().any(dim=1)]
    if len(whole) < 2:
        raise ValueError("NIQE needs two blocks with any detail, the image is flat.")
    difference = pristine.mean - of_blocks.nanmean(dim=0)
    inverse = torch.linalg.pinv((pristine.covariance + whole.T.cov()) / 2)
    distance: Tensor = (difference @ inverse @ difference).sqrt()
    return distance


def _normalised(image: Tensor, window: Tensor) -> Tensor:
    """What is left of `(H, W)` in 0..255 once local mean and contrast are taken out (equation 1 of the paper)."""
    padded = extend(torch.stack([image, image.square()])[:, None], window.shape[0] // 2, "replicate")
    mean, square = F.conv2d(padded, window[None, None])[:, 0]
    normalised: Tensor = (image - mean) / ((square - mean.square()).abs().sqrt() + 1.0)
    return normalised


def _features(blocks: Tensor) -> Tensor:
    """The 18 features `(B, 18)` of blocks `(B, S, S)`: shape and width of the values, and of products of neighbours."""
    shape, left, right = _asymmetric_fit(blocks)
    found = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _asymmetric_fit(blocks * blocks.roll(shift, dims=(-2, -1)))
        mean = (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        found += [shape, mean, left, right]
    return torch.stack(found, dim=1)


def _asymmetric_fit(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, left and right width `(B,)` of the asymmetric generalised Gaussian of `(B, S, S)`, by its moments.

    Lasmar, Stitou and Berthoumieu 2009. No number where a block has no value on one side of 0.
    """
    values = values.flatten(1)
    left, right = (_mean_where(values.square(), mask).sqrt() for mask in (values < 0, values > 0))
    ratio = left / right
    moments = values.abs().mean(dim=1).square() / values.square().mean(dim=1)
    wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio.square() + 1).square()
    shape = _nearest_shape(wanted)
    width = torch.exp((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2)
    return shape, left * width, right * width


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(dim=1) / mask.sum(dim=1)


def _nearest_shape(wanted: Tensor) -> Tensor:
    """The shape whose ratio of moments is nearest, `nan` for `nan`; the ratios grow with the shape."""
    shapes = _SHAPES.to(wanted.device)
    ratios = torch.exp(2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes))
    above = torch.searchsorted(ratios, wanted).clamp(1, len(ratios) - 1)
    below = above - 1
    index = torch.where(wanted - ratios[below] <= ratios[above] - wanted, below, above)
    return torch.where(wanted.isnan(), wanted, shapes[index])
