"""Under which rules a score was computed: a number without them cannot be compared with anything.

The named protocols are the ones that published tables follow. They differ by up to 0.1 dB on the same images,
and by 2 dB between Y and RGB.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.geometry import modcrop, shave
from sr_lightning.functional.quantize import from_uint8, round_to_uint8_grid, to_8_bits
from sr_lightning.functional.resize import downscale_uint8, imresize
from sr_lightning.metrics.psnr import psnr
from sr_lightning.metrics.ssim import ssim
from sr_lightning.refusal import nearest

# BasicSR crops HR to a multiple of 12 at every scale ("GTmod12"), so HR may exceed its LR by up to 11 pixels.
_LARGEST_REMAINDER = 11


@dataclass(frozen=True)
class Protocol:
    """How SR and HR become a number.

    Attributes:
        name: What tables call it.
        color: ``y`` compares the luma of BT.601 in limited range; ``rgb`` all channels, of images with more bands too.
        border: Pixels not counted on each side; ``scale`` for as many as the scale, ``scale+6`` for six more.
        rounding: ``uint8`` rounds SR to what a file would hold; ``none`` only clips it.
        grey: What a grey file is. ``replicate``: RGB with three equal channels. ``y``: luma itself; then
            everything is luma from the start: HR becomes Y, rounded to uint8, before LR is made of it.
        ema: Averaged weights were used.
        self_ensemble: SR is the mean over the eight flips and rotations.
        tile: Side of the tiles SR was put together from, in LR pixels; None for whole images.
        degradation: The name of the degradation that LR was made by; None for the LR that belongs to the set, or
            MATLAB's bicubic.
    """

    name: str
    color: Literal["y", "rgb"]
    border: Literal["scale", "scale+6"] | int
    rounding: Literal["uint8", "none"]
    grey: Literal["replicate", "y"]
    ema: bool = False
    self_ensemble: bool = False
    tile: int | None = None
    degradation: str | None = None

    @property
    def channels(self) -> int:
        """Channels of pictures under this protocol: 1 where they are luma from the start, else 3."""
        return 1 if self.grey == "y" else 3

    def border_pixels(self, scale: int) -> int:
        """Pixels not counted on each side of an SR image of this scale."""
        if isinstance(self.border, int):
            return self.border
        return scale if self.border == "scale" else scale + 6

    def as_dict(self, scale: int) -> dict[str, str | int | bool | None]:
        """The fields as they stand beside a score in ``results.json``, with the border as a number.

        ``degradation`` stands there only where there was one.
        """
        content = {**asdict(self), "border": self.border_pixels(scale)}
        if self.degradation is None:
            del content["degradation"]
        return content


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        # Papers since EDSR: LR is a PNG, SR is rounded as RGB, luma is taken last.
        Protocol(name="rgb_to_y", color="y", border="scale", rounding="uint8", grey="replicate"),
        # SRCNN and VDSR, and the "Bicubic" row of every table: luma first, LR never rounded.
        Protocol(name="y_chain", color="y", border="scale", rounding="uint8", grey="y"),
        # PyTorch ports of networks for Y (FSRCNN-pytorch): LR is a PNG, SR is never rounded.
        Protocol(name="y_float", color="y", border="scale", rounding="none", grey="replicate"),
        Protocol(name="rgb", color="rgb", border="scale", rounding="uint8", grey="replicate"),
        # DIV2K's validation images since NTIRE 2017, with the border of EDSR's code (its README says scale + 2).
        Protocol(name="rgb_div2k", color="rgb", border="scale+6", rounding="uint8", grey="replicate"),
    )
}


class Pair(NamedTuple):
    """The input of a network and the image its output is compared with, ``(1, C, H, W)`` in [0, 1]."""

    lr: Tensor
    hr: Tensor


class Planes(NamedTuple):
    """SR and HR as a protocol compares them, of one shape."""

    sr: Tensor
    hr: Tensor


class Score(NamedTuple):
    """PSNR in dB and SSIM of one image."""

    psnr: float
    ssim: float


def get_protocol(name: str) -> Protocol:
    """The protocol of that name; ValueError with the choices and the nearest one where there is none."""
    if name not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}; got {name!r}{nearest(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def own_protocol(rules: Mapping[str, Any] | None, *, otherwise: Protocol) -> Protocol:
    """The protocol that a set is scored under: its own where papers score it in a way of its own.

    Args:
        rules: ``color`` and ``border`` of the set, as its yaml has them under ``protocol``; None where it has none.
        otherwise: The protocol of sets without one. What it says of SR and LR (``ema``, ``self_ensemble``,
            ``tile``, ``degradation``) holds for every set.

    Raises:
        ValueError: No named protocol has these rules.

    Example:
        >>> own_protocol({"color": "rgb", "border": "scale+6"}, otherwise=PROTOCOLS["rgb_to_y"]).name
        'rgb_div2k'
    """
    if rules is None:
        return otherwise
    wanted = {"rounding": "uint8", "grey": "replicate", **rules}
    for protocol in PROTOCOLS.values():
        if {key: getattr(protocol, key, None) for key in wanted} == wanted:
            return replace(
                protocol,
                ema=otherwise.ema,
                self_ensemble=otherwise.self_ensemble,
                tile=otherwise.tile,
                degradation=otherwise.degradation,
            )
    given = ", ".join(f"{key}: {value}" for key, value in rules.items())
    raise ValueError(f"expected the rules of one of the protocols {', '.join(PROTOCOLS)}; got {given}")


def prepare(hr: Tensor, lr: Tensor | None, *, protocol: Protocol, scale: int) -> Pair:
    """Turns the images of a benchmark's files into what the protocol compares.

    Args:
        hr: ``(1, C, H, W)`` uint8 or uint16, RGB or grey, not yet cropped; under ``rgb`` of any number of channels.
        lr: The published LR image, ``(1, C, h, w)`` of either type; None makes it of ``hr`` by the rule of the
            published files, in the depth of ``hr``. Where the protocol is luma from the start LR is always made of
            ``hr``, and this one is not used.
        protocol: The rules.
        scale: The factor between the two.

    Returns:
        ``lr`` and ``hr`` with ``protocol.channels`` channels, or all they have under ``rgb``, ``hr`` cropped from the
        top left to ``scale`` times ``lr``. What has 16 bits is rounded to 8, with which all protocols begin. float32,
        but ``lr`` is float64 where it is made of luma: that protocol never rounds it.

    Raises:
        ValueError: Another type, other than 1 or 3 channels under a protocol of luma, or an LR that is not this HR's
            at this scale.
    """
    for name, image in (("hr", hr), ("lr", lr)):
        if image is None:
            continue
        if image.dtype not in (torch.uint8, torch.uint16):
            raise ValueError(f"{name} must be uint8 or uint16, got {image.dtype}.")
        if protocol.color == "y" and image.shape[-3] not in (1, 3):
            raise ValueError(
                f"{protocol.name} compares the luma of images of 1 or 3 channels, got {name} of {image.shape[-3]}; "
                "use protocol=rgb."
            )
    if protocol.grey == "y":
        luma = _luma(to_8_bits(modcrop(hr, scale)))
        return Pair(imresize(luma, Fraction(1, scale)), luma.float())
    hr = modcrop(hr, scale) if lr is None else _crop_to(hr, lr, scale)
    if lr is None:
        lr = downscale_uint8(hr, scale, levels=65536 if hr.dtype == torch.uint16 else 256)
    return Pair(_rgb(from_uint8(to_8_bits(lr))), _rgb(from_uint8(to_8_bits(hr))))


def score(sr: Tensor, hr: Tensor, *, protocol: Protocol, scale: int) -> Score:
    """Compares one SR image with its HR, in float64.

    Args:
        sr: ``(1, C, H, W)``, the network's output: neither clamped nor rounded.
        hr: The same shape, as `prepare` returns it.
        protocol: The rules.
        scale: Sets the border where the protocol says so.

    Raises:
        ValueError: The shapes differ, there is more than one image, the channels are not the protocol's, or too
            little is left inside the border.
    """
    return score_planes(compared(sr, hr, protocol=protocol, scale=scale))


def score_planes(planes: Planes) -> Score:
    """`score` of what `compared` returns."""
    return Score(psnr(*planes).item(), ssim(*planes).item())


def presented(sr: Tensor, *, protocol: Protocol) -> Tensor:
    """SR as a person would be shown it under a protocol: clamped to [0, 1], and rounded where a file would be."""
    return round_to_uint8_grid(sr) if protocol.rounding == "uint8" else sr.clamp(0.0, 1.0)


def compared(sr: Tensor, hr: Tensor, *, protocol: Protocol, scale: int) -> Planes:
    """What a protocol looks at of one SR image and its HR; arguments and errors as those of `score`.

    Returns:
        Both as ``(1, C, h, w)`` float64 in [0, 1]: Y or all channels, rounded where the protocol says so, without
        the border.
    """
    # `prepare` makes RGB of grey: a single channel here would be a mistake.
    any_number = protocol.color == "rgb" and hr.shape[-3] > 1
    expected = (1, hr.shape[-3] if any_number else protocol.channels, *hr.shape[-2:])
    if sr.shape != expected or hr.shape != expected:
        raise ValueError(
            f"{protocol.name} compares one image of {expected[1]} channels,"
            f" got sr {tuple(sr.shape)} and hr {tuple(hr.shape)}."
        )
    # HR comes from a file: put it back onto its levels, which float32 misses by 3e-8.
    sr, hr = sr.double(), round_to_uint8_grid(hr.double())
    if protocol.rounding == "uint8":
        sr = round_to_uint8_grid(sr)
    if protocol.color == "y" and protocol.channels == 3:
        sr, hr = rgb_to_y(sr), rgb_to_y(hr)
    # After the luma: without rounding, the Y of a Y network must be clipped, not the RGB it was put into.
    sr = sr.clamp(0.0, 1.0)
    border = protocol.border_pixels(scale)
    return Planes(shave(sr, border), shave(hr, border))


def _luma(image: Tensor) -> Tensor:
    """Y on its uint8 levels as float64 in [0, 1]; a grey image is Y already."""
    luma = image.double() / 255.0
    return luma if image.shape[-3] == 1 else round_to_uint8_grid(rgb_to_y(luma))


def _rgb(image: Tensor) -> Tensor:
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image


def _crop_to(hr: Tensor, lr: Tensor, scale: int) -> Tensor:
    """HR, cropped from the top left to what LR was made of."""
    height, width = lr.shape[-2] * scale, lr.shape[-1] * scale
    remainders = hr.shape[-2] - height, hr.shape[-1] - width
    if not all(0 <= remainder <= _LARGEST_REMAINDER for remainder in remainders):
        raise ValueError(
            f"LR of {lr.shape[-2]}x{lr.shape[-1]} pixels is not that of HR of {hr.shape[-2]}x{hr.shape[-1]}"
            f" at scale {scale}, which is {height}x{width} or a little more; check scale and folders."
        )
    return hr[..., :height, :width]
