"""MATLAB's bicubic, the degradation of every classical benchmark."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sr_lightning.degradations.base import Fixed, check_call
from sr_lightning.functional.quantize import from_uint8, to_uint8
from sr_lightning.functional.resize import Border, Rounding, check_downscale, downscale_uint8


class Bicubic(Fixed):
    """The degradation of every classical benchmark: MATLAB's bicubic ``imresize`` of an integer image.

    The defaults make the LR files that papers since EDSR are measured on, bit for bit.

    Args:
        scale: The integer factor to shrink by.
        border: ``symmetric``, or ``replicate`` as older MATLAB (SelfExSR, RCAN's test kit).
        rounding: ``uint8_each``: to uint8 after each of the two passes; ``end``: once (BasicSR, Real-ESRGAN).

    Raises:
        ValueError: A scale or a name that `downscale_uint8` does not know.

    Example:
        >>> Bicubic(scale=4).downscale(torch.zeros(1, 3, 24, 16, dtype=torch.uint8)).shape
        torch.Size([1, 3, 6, 4])
    """

    stored = True
    margin = 0

    def __init__(self, *, scale: int, border: Border = "symmetric", rounding: Rounding = "uint8_each") -> None:
        check_downscale(scale, border=border, rounding=rounding)
        self.scale = scale
        self.border: Border = border
        self.rounding: Rounding = rounding

    @property
    def name(self) -> str:
        """Names the rule with all its parameters: two of one name make the same LR."""
        return f"bicubic_x{self.scale}_{self.border}_{self.rounding}"

    def downscale(self, image: Tensor) -> Tensor:
        """``(N, C, H, W)`` uint8 or uint16 to ``(N, C, H / scale, W / scale)`` of the same; `scale` divides H and W."""
        levels = 65536 if image.dtype == torch.uint16 else 256
        return downscale_uint8(image, self.scale, border=self.border, rounding=self.rounding, levels=levels)

    def __call__(self, hr: Tensor, *, samples: Sequence[int], seed: int) -> Tensor:
        """What `downscale` makes of the 8-bit image, in [0, 1]; see `Degradation.__call__`.

        Patches are better cut from the stored LR image: at its own border a patch knows nothing of its surroundings.
        """
        check_call(hr, samples, self.scale)
        return from_uint8(self.downscale(to_uint8(hr)))
