"""The DN degradation of papers: bicubic, then noise."""

from collections.abc import Sequence

from torch import Tensor

from sr_lightning.degradations.base import Fixed, check_call, check_scale, up_to_multiple
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.degradations.noise import gaussian
from sr_lightning.functional.draws import Draws
from sr_lightning.functional.quantize import from_uint8, round_to_uint8_grid, to_uint8


class NoiseDown(Fixed):
    """MATLAB's bicubic of the 8-bit image, then white Gaussian noise on each channel, rounded to 8 bits.

    "DN" of SRMD, RDN and RCAN, which publish x3 with noise level 30 (`imresize_DN` in RDN's Prepare_TestData_HR_LR.m).

    Args:
        scale: The integer factor to shrink by.
        sigma: The noise's standard deviation, in levels of 255, from 0 on.

    Raises:
        ValueError: A scale below 1 or a negative sigma.
    """

    stored = False

    def __init__(self, *, scale: int, sigma: float = 30.0) -> None:
        check_scale(scale)
        if sigma < 0:
            raise ValueError(f"sigma must be at least 0 (levels of 255), got {sigma}.")
        self.scale = scale
        self.sigma = sigma
        # MATLAB's kernel reaches 1.5 * scale pixels beyond the block of HR pixels under an LR pixel.
        self.margin = up_to_multiple(3 * scale // 2, scale) if scale > 1 else 0
        self._bicubic = Bicubic(scale=scale)

    @property
    def name(self) -> str:
        """Kind, scale and noise level."""
        return f"noise_down_x{self.scale}_{self.sigma:g}"

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """LR in 8-bit levels; see `Degradation.__call__`."""
        check_call(hr, samples, self.scale)
        lr = from_uint8(self._bicubic.downscale(to_uint8(hr)))
        pixels = Draws(samples, seed=seed, purpose="noise_down")
        for n in range(len(lr)):
            lr[n] += self.sigma / 255.0 * gaussian(lr[n], pixels.generator(n, lr.device))
        return round_to_uint8_grid(lr)
