from torch import Tensor

from sr_lightning.functional.resize import Border, Rounding, check_downscale, downscale_uint8


class Bicubic:
    """The degradation of every classical benchmark: MATLAB's bicubic ``imresize`` of a uint8 image.

    The defaults make the LR files that papers since EDSR are measured on, bit for bit.

    Args:
        scale: The integer factor to shrink by.
        border: ``symmetric``, or ``replicate`` as older MATLAB (SelfExSR, RCAN's test kit).
        rounding: ``uint8_each``: to uint8 after each of the two passes; ``end``: once (BasicSR, Real-ESRGAN).

    Raises:
        ValueError: A scale or a name that `downscale_uint8` does not know.

    Example:
        >>> Bicubic(scale=4)(torch.zeros(1, 3, 24, 16, dtype=torch.uint8)).shape
        torch.Size([1, 3, 6, 4])
    """

    def __init__(self, *, scale: int, border: Border = "symmetric", rounding: Rounding = "uint8_each") -> None:
        check_downscale(scale, border=border, rounding=rounding)
        self.scale = scale
        self.border = border
        self.rounding = rounding

    def __call__(self, hr: Tensor) -> Tensor:
        """``(N, C, H, W)`` uint8 to ``(N, C, H / scale, W / scale)`` uint8; the scale must divide H and W."""
        return downscale_uint8(hr, self.scale, border=self.border, rounding=self.rounding)

    @property
    def name(self) -> str:
        """Names the rule with all its parameters: two of one name make the same LR."""
        return f"bicubic_x{self.scale}_{self.border}_{self.rounding}"
