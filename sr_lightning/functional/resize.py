"""MATLAB's bicubic ``imresize``, the only resize of the project.

Nearly every number published since SRCNN rests on MATLAB's ``imresize(image, scale, "bicubic")``: Keys'
kernel with a = -0.5, widened by the factor when it shrinks, on a mirrored border.
``F.interpolate(mode="bicubic", antialias=True)`` has that kernel in both directions but cuts it off at the
border, so the image is padded first and the padding is cropped away afterwards. Without ``antialias=True``
its kernel is another one (a = -0.75, not widened).
"""

from fractions import Fraction
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Border = Literal["symmetric", "replicate"]
Extension = Literal["symmetric", "replicate", "reflect"]
Rounding = Literal["none", "end", "uint8_each"]

_BORDERS = get_args(Border)
_EXTENSIONS = get_args(Extension)
_ROUNDINGS = get_args(Rounding)
# Dtype of an image of so many levels, and the one in which it is resized.
_PIXELS = {256: (torch.uint8, torch.float32), 65536: (torch.uint16, torch.float64)}
# Half the width of Keys' kernel, in pixels of the coarser of the two images.
_KERNEL_RADIUS = 2


def imresize(
    image: Tensor,
    scale: int | Fraction,
    *,
    border: Border = "symmetric",
    rounding: Rounding = "none",
    levels: int = 256,
) -> Tensor:
    """Resizes like MATLAB's ``imresize(image, scale, "bicubic")``.

    Without rounding it agrees with MATLAB's own arrays (values 0..255) within 1e-11 in float64, and within
    1e-5 of the range in float32. It differs from MATLAB in one point: a size that the factor does not divide
    is refused.

    Args:
        image: ``(..., H, W)``, float32 or float64. Any range without rounding; 0..levels - 1 with rounding.
        scale: An integer enlarges (``4``), one over an integer shrinks (``Fraction(1, 4)``).
        border: ``symmetric`` mirrors with the edge pixel doubled (MATLAB today, EDSR's benchmark archive);
            ``replicate`` repeats the edge pixel (older MATLAB: SelfExSR, RCAN's test kit).
        rounding: ``none``; ``end`` rounds half up and clips to 0..levels - 1 once; ``uint8_each`` does so after
            the vertical pass and again after the horizontal one, as MATLAB does for uint8 and uint16 images.
        levels: 256, or 65536 for the values of a 16-bit image, which want float64: in float32 four pixels in a
            thousand get another level (x4).

    Returns:
        ``(..., scale * H, scale * W)`` in the dtype of ``image``.

    Raises:
        ValueError: A factor that is neither n nor 1/n, a size that does not divide, another dtype, an unknown
            rule.

    Example:
        >>> imresize(torch.rand(1, 3, 24, 16), Fraction(1, 4)).shape
        torch.Size([1, 3, 6, 4])
    """
    _check_names(border, rounding)
    up, down = _factors(scale)
    if image.dtype not in (torch.float32, torch.float64):
        # Half precision is refused on purpose: a bf16 skip connection alone cost VDSR x4 0.13 dB.
        raise ValueError(f"imresize needs a float32 or float64 image, got {image.dtype}; convert it first.")
    height, width = image.shape[-2:]
    if height % down or width % down:
        raise ValueError(
            f"imresize by 1/{down} needs height and width divisible by {down}, got {height}x{width}; modcrop first."
        )

    # Twice the factor keeps the padded size divisible and covers the reach over the border: 1.5 times.
    margin = _KERNEL_RADIUS * down
    padded = extend(image, margin, border)
    batch = padded if padded.ndim == 4 else padded.reshape(-1, 1, *padded.shape[-2:])
    rows, columns = batch.shape[-2] * up // down, batch.shape[-1] * up // down
    if rounding == "uint8_each":
        # MATLAB goes through the rows first where both factors are equal.
        batch = _round_and_clip(_interpolate(batch, rows, batch.shape[-1]), levels)
    batch = _interpolate(batch, rows, columns)
    if rounding != "none":
        batch = _round_and_clip(batch, levels)
    edge = _KERNEL_RADIUS * up
    resized = batch[..., edge : rows - edge, edge : columns - edge]
    return resized.reshape(*image.shape[:-2], height * up // down, width * up // down)


def downscale_uint8(
    image: Tensor,
    scale: int,
    *,
    border: Border = "symmetric",
    rounding: Rounding = "uint8_each",
    levels: int = 256,
) -> Tensor:
    """Makes the LR image of a uint8 HR image by the rule of the published benchmark files.

    With the defaults it reproduces the LR files of Set5, Set14 and BSD100 in EDSR's benchmark archive bit for
    bit. ``border="replicate"`` is SelfExSR's and RCAN's kit, ``rounding="end"`` BasicSR's. 16-bit images go the
    same way with 65536 levels; they are computed in float64.

    Args:
        image: ``(N, C, H, W)`` uint8, or uint16 with 65536 levels; H and W divisible by ``scale``.
        scale: The integer factor to shrink by.
        border: See `imresize`.
        rounding: ``uint8_each`` or ``end``; see `imresize`.
        levels: 256 for uint8, 65536 for uint16.

    Returns:
        ``(N, C, H / scale, W / scale)`` in the dtype of ``image``.

    Raises:
        ValueError: Another dtype, a size that does not divide, a rule that does not end in whole numbers.
    """
    check_downscale(scale, border=border, rounding=rounding)
    if levels not in _PIXELS:
        raise ValueError(f"levels must be 256 (uint8) or 65536 (uint16), got {levels}.")
    dtype, precision = _PIXELS[levels]
    if image.dtype != dtype:
        name = str(dtype).removeprefix("torch.")
        raise ValueError(
            f"downscale_uint8 needs a {name} image for {levels} levels, got {image.dtype}; use imresize for floats."
        )
    resized = imresize(image.to(precision), Fraction(1, scale), border=border, rounding=rounding, levels=levels)
    return resized.to(dtype)


def extend(image: Tensor, margin: int, border: Extension) -> Tensor:
    """Extends ``(..., H, W)`` by ``margin`` pixels on every side, for images of any size down to one pixel.

    The pixels are found by index rather than by flips: no branch depends on the size, so the graph exports
    with free H and W. Only the margins are gathered; gathering the whole image costs more than the resize
    itself.

    Args:
        image: any dtype.
        margin: pixels on each side, at least 0; may be more than the image has.
        border: ``symmetric`` mirrors with the edge pixel doubled, ``reflect`` without doubling it (OpenCV's
            default, reflect101), ``replicate`` repeats it.

    Raises:
        ValueError: Another border.
    """
    if border not in _EXTENSIONS:
        raise ValueError(f"border must be one of {', '.join(_EXTENSIONS)}; got {border!r}.")
    for axis in (-2, -1):
        size = image.shape[axis]
        before = torch.arange(-margin, 0, device=image.device)
        after = torch.arange(size, size + margin, device=image.device)
        image = torch.cat(
            [
                image.index_select(axis, _inside(before, size, border)),
                image,
                image.index_select(axis, _inside(after, size, border)),
            ],
            dim=axis,
        )
    return image


def extend_to(image: Tensor, *, border: Extension, multiple: int = 1, smallest: int = 1) -> Tensor:
    """Extends ``(..., H, W)`` at the right and at the bottom, for networks that do not take every size.

    Like `extend` it takes images down to one pixel, and the graph exports with free H and W. What the network makes of
    it is cropped again by `geometry.crop_to`.

    Args:
        image: any dtype.
        border: See `extend`.
        multiple: divides both sides of the result.
        smallest: what both sides have at least.

    Raises:
        ValueError: Another border.

    Example:
        >>> extend_to(torch.rand(1, 3, 17, 4), border="reflect", multiple=8).shape
        torch.Size([1, 3, 24, 8])
    """
    if border not in _EXTENSIONS:
        raise ValueError(f"border must be one of {', '.join(_EXTENSIONS)}; got {border!r}.")
    for axis in (-2, -1):
        size = image.shape[axis]
        wanted = (torch.sym_max(size, smallest) + multiple - 1) // multiple * multiple
        # All of it is gathered: an exported graph would want to know whether there is any margin to append.
        image = image.index_select(axis, _inside(torch.arange(wanted, device=image.device), size, border))
    return image


def check_downscale(scale: int, *, border: str, rounding: str) -> None:
    """Raises ValueError unless `downscale_uint8` knows this rule; for those who keep it to use it later."""
    _check_names(border, rounding)
    if rounding == "none":
        raise ValueError("a uint8 image must be rounded: rounding is 'uint8_each' or 'end', got 'none'.")
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale must be a whole number from 1 on, got {scale!r}.")


def _check_names(border: str, rounding: str) -> None:
    for name, value, choices in (("border", border, _BORDERS), ("rounding", rounding, _ROUNDINGS)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")


def _factors(scale: int | Fraction) -> tuple[int, int]:
    """``(up, down)`` of a factor, one of them 1."""
    if isinstance(scale, int | Fraction) and scale > 0:
        up, down = scale.numerator, scale.denominator
        if 1 in (up, down):
            return up, down
    raise ValueError(f"scale must be an integer n or Fraction(1, n) with n >= 1, got {scale!r}.")


def _interpolate(batch: Tensor, height: int, width: int) -> Tensor:
    # `size=`, not `scale_factor=`: the latter breaks export with dynamic shapes.
    return F.interpolate(batch, size=(height, width), mode="bicubic", antialias=True)


def _inside(index: Tensor, size: int, border: Extension) -> Tensor:
    """The pixel 0..size-1 that stands for each index outside."""
    if border == "replicate":
        return index.clamp(0, size - 1)
    if border == "reflect":
        # An image of one pixel has nothing to mirror: max() avoids a period of 0 without a branch on the size.
        period = max(2 * size - 2, 1)
        index = index % period
        return torch.minimum(index, period - index).clamp(0, size - 1)
    index = index % (2 * size)
    return torch.minimum(index, 2 * size - 1 - index)


def _round_and_clip(image: Tensor, levels: int) -> Tensor:
    """Rounds half up and clips to 0..levels - 1: MATLAB's conversion to integers, without leaving floating point."""
    return image.add(0.5).floor().clamp(0, levels - 1)
