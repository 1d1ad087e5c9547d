"""The BD degradation of papers: a Gaussian blur, then every scale-th pixel."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from sr_lightning.degradations.base import Fixed, check_call, check_scale, up_to_multiple
from sr_lightning.degradations.kernels import gaussian_1d
from sr_lightning.functional.quantize import to_uint8
from sr_lightning.functional.resize import Border, extend


class BlurDown(Fixed):
    """Gaussian blur of the 8-bit image, rounded to 8 bits, of which every scale-th pixel is kept: "BD" of RDN and RCAN.

    Published at x3 with a kernel of 7x7 and sigma 1.6, where the middle pixel of each block of 3x3 is kept: pixels
    1, 4, 7, ... counted from 0. At other scales this follows `imresize_BD` in RCAN's Prepare_TestData_HR_LR.m: odd ones
    keep the middle pixel too; even ones have no middle pixel, so the kernel gets an even size, whose centre lies in the
    middle of the block. The kernel is `2 * ceil(3 * sigma) + 1` wide at odd scales and one more at even ones.

    Args:
        scale: The integer factor to shrink by.
        sigma: The Gaussian's standard deviation in HR pixels, above 0.
        kernel_size: The kernel's width in HR pixels, odd or even as the scale is, else LR would be half a pixel off.
            None: 7 at x3 with sigma 1.6, elsewhere the rule above (11 and 12 with sigma 1.6).
        border: ``symmetric``, so that LR of a patch is the patch of LR to the border; ``replicate`` as those scripts,
            which makes their files to the bit: one row or column of LR along each edge of an image differs.

    Raises:
        ValueError: A scale or sigma that is not positive, a size of the wrong parity, another border.
    """

    stored = False

    def __init__(
        self, *, scale: int, sigma: float = 1.6, kernel_size: int | None = None, border: Border = "symmetric"
    ) -> None:
        check_scale(scale)
        if not sigma > 0:
            raise ValueError(f"sigma must be above 0 (HR pixels), got {sigma}.")
        if border not in get_args(Border):
            raise ValueError(f"border must be one of {', '.join(get_args(Border))}; got {border!r}.")
        if kernel_size is None:
            published = scale == 3 and sigma == 1.6
            kernel_size = 7 if published else 2 * math.ceil(3 * sigma) + (1 if scale % 2 else 2)
        if kernel_size < 1 or (kernel_size - scale) % 2:
            parity = "odd" if scale % 2 else "even"
            raise ValueError(f"kernel_size must be {parity} at scale {scale}, got {kernel_size}.")
        self.scale = scale
        self.sigma = sigma
        self.kernel_size = kernel_size
        self.border: Literal["symmetric", "replicate"] = border
        # Kernel and block have one centre: what the kernel has more lies half on each side of the block.
        self._reach = (kernel_size - scale) // 2
        self.margin = up_to_multiple(max(self._reach, 0), scale)

    @property
    def name(self) -> str:
        """Kind, scale and parameters."""
        return f"blur_down_x{self.scale}_{self.sigma:g}_{self.kernel_size}_{self.border}"

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """LR in 8-bit levels; see `Degradation.__call__`."""
        check_call(hr, samples, self.scale)
        padded = extend(to_uint8(hr), max(self._reach, 0), self.border)
        inset = max(-self._reach, 0)
        # float64, as MATLAB: in float32 two pixels of equal surroundings may round to two levels.
        padded = padded[..., inset:, inset:].to(torch.float64)
        kernel = gaussian_1d(self.kernel_size, self.sigma).tolist()
        height, width = (side // self.scale for side in hr.shape[-2:])
        # A separable kernel in two passes, each at the kept pixels alone.
        rows = sum(weight * padded[..., x :: self.scale][..., :width] for x, weight in enumerate(kernel))
        assert isinstance(rows, Tensor)
        lr = sum(weight * rows[..., y :: self.scale, :][..., :height, :] for y, weight in enumerate(kernel))
        assert isinstance(lr, Tensor)
        return lr.add(0.5).floor().clamp(0, 255).div(255.0).to(torch.float32)
