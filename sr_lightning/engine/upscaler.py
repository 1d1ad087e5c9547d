"""A trained network as a function of an image."""

import warnings
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from sr_lightning.data.scan import mode_problem
from sr_lightning.engine.build import Node, build_network
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.precision import resolve_device
from sr_lightning.engine.pretrained import Pretrained, model_of, pretrained_network
from sr_lightning.functional.quantize import from_uint8, to_uint8
from sr_lightning.functional.resize import imresize
from sr_lightning.networks.luma import Network, forward_rgb
from sr_lightning.networks.self_ensemble import self_ensembled
from sr_lightning.refusal import Refusal
from sr_lightning.yamls import check_scale

ImageLike = TypeVar("ImageLike", Image.Image, np.ndarray, Tensor)


class Upscaler:
    """Turns an image into its super-resolved version, in float32.

    Example:
        >>> upscaler = sr_lightning.load("runs/.../checkpoints/best.ckpt")  # doctest: +SKIP
        >>> upscaler(Image.open("small.png")).save("large.png")  # doctest: +SKIP

    Args:
        network: maps `lr` to `sr`; of one or three channels.
        device: where it runs.
        self_ensemble: whether to take the mean over the eight flips and rotations of the image.

    Attributes:
        scale: how many times larger the result is.
    """

    def __init__(self, network: nn.Module, *, device: torch.device, self_ensemble: bool = False) -> None:
        self.network = network.eval().to(device).to(memory_format=torch.channels_last)
        self.device = device
        self.self_ensemble = self_ensemble
        self.scale = int(cast(int, network.scale))

    def __call__(self, image: ImageLike) -> ImageLike:
        """Return the image `scale` times larger, of the same kind.

        Args:
            image: a Pillow image (8 bits per channel; alpha goes up bicubically; EXIF orientation is applied);
                or an array (H, W), (H, W, 1) or (H, W, 3), uint8 or float in [0, 1];
                or a tensor (C, H, W) or (N, C, H, W) of 1 or 3 channels, uint8 or float in [0, 1].

        Raises:
            ValueError: another shape, or more than 8 bits per channel in a Pillow image.
            TypeError: none of these kinds.
        """
        if isinstance(image, Image.Image):
            return self._pillow(image)
        if isinstance(image, np.ndarray):
            return self._array(image)
        if isinstance(image, Tensor):
            return self._tensor(image)
        raise TypeError(f"expected a Pillow image, a numpy array or a tensor, got {type(image).__name__}.")

    @torch.inference_mode()
    def super_resolve(self, lr: Tensor) -> Tensor:
        """Map `lr` (N, 1 or 3, H, W) in [0, 1], grey or RGB, to `sr` of as many channels, clamped to [0, 1]."""
        if lr.ndim != 4 or lr.shape[1] not in (1, 3):
            raise ValueError(f"expected images (N, 1 or 3, H, W), got shape {tuple(lr.shape)}.")
        rgb = lr.to(self.device, torch.float32).expand(-1, 3, -1, -1)
        sr = (self_ensembled(self._forward, rgb) if self.self_ensemble else self._forward(rgb)).clamp(0, 1)
        return sr.mean(1, keepdim=True) if lr.shape[1] == 1 else sr

    def _forward(self, rgb: Tensor) -> Tensor:
        return forward_rgb(cast(Network, self.network), rgb.contiguous(memory_format=torch.channels_last))

    def _pillow(self, image: Image.Image) -> Image.Image:
        problem = mode_problem(image)
        if problem is not None:
            raise ValueError(f"{problem}.")
        image = ImageOps.exif_transpose(image)
        transparent = image.has_transparency_data
        grey = image.mode in ("1", "L", "LA")
        # Palettes and CMYK become RGB; alpha is split off, so that no network blends it in.
        image = image.convert(("L" if grey else "RGB") + ("A" if transparent else ""))
        bands = image.split()
        colour, alpha = (bands[:-1], bands[-1]) if transparent else (bands, None)
        lr = torch.stack([_band(band) for band in colour])[None]
        sr = to_uint8(self.super_resolve(from_uint8(lr)))[0].cpu().numpy()
        levels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in sr]
        if alpha is not None:
            large = imresize(from_uint8(_band(alpha))[None, None], self.scale)
            levels.append(Image.fromarray(to_uint8(large.clamp(0, 1))[0, 0].numpy()))
        return levels[0] if image.mode == "L" else Image.merge(image.mode, levels)

    def _array(self, image: np.ndarray) -> np.ndarray:
        planar = image[..., None] if image.ndim == 2 else image
        if planar.ndim != 3 or planar.shape[2] not in (1, 3):
            raise ValueError(f"expected an array (H, W), (H, W, 1) or (H, W, 3), got shape {image.shape}.")
        sr = self._tensor(torch.from_numpy(np.array(planar)).permute(2, 0, 1))
        result = sr.permute(1, 2, 0).cpu().numpy().astype(image.dtype)
        return result[..., 0] if image.ndim == 2 else result

    def _tensor(self, image: Tensor) -> Tensor:
        batch = image[None] if image.ndim == 3 else image
        if batch.dtype == torch.uint8:
            sr = to_uint8(self.super_resolve(from_uint8(batch)))
        elif batch.is_floating_point():
            sr = self.super_resolve(batch).to(batch.dtype)
        else:
            raise ValueError(f"expected uint8 or floats in [0, 1], got {batch.dtype}.")
        sr = sr.to(image.device)
        return sr[0] if image.ndim == 3 else sr


def load(
    path: str | Path,
    *,
    model: str | None = None,
    scale: int | None = None,
    device: str = "auto",
    self_ensemble: bool = False,
) -> Upscaler:
    """Load a checkpoint, or weights of another program, as a function of an image.

    Args:
        path: such as `runs/.../checkpoints/best.ckpt`; or weights of another program, with `model` and `scale`.
        model: a network of `conf/model/`, for a file that does not say which it is of.
        scale: its upscaling factor.
        device: auto, cpu, cuda or mps.
        self_ensemble: whether to take the mean over the eight flips and rotations of an image: a little better, eight
            times the work.

    Raises:
        Refusal: no such file or model, or they do not fit; `model` without `scale`, or the other way round.

    Warns:
        UserWarning: what the file does not tell and is assumed, or what may be wrong with it.
    """
    if model is None and scale is None:
        network = load_network(Path(path).expanduser()).network
        return Upscaler(network, device=resolve_device(device), self_ensemble=self_ensemble)
    if model is None or scale is None:
        raise Refusal(f"load: expected model and scale for weights of another program, got {model} and {scale}.")
    if not isinstance(scale, int):
        raise Refusal(f"load: expected a whole number as scale, got {scale!r}.")
    node = model_of(model, scale=scale)
    check_scale(model, node["spec"], scale)
    upscaler, began = upscaler_by(
        {**node, "pretrained": str(path), "pretrained_strict": True},
        name=model,
        device=device,
        self_ensemble=self_ensemble,
    )
    for note in began.notes() if began else ():
        warnings.warn(note, stacklevel=3)
    return upscaler


def upscaler_by(
    model: Node, *, name: str, device: str = "auto", self_ensemble: bool = False
) -> tuple[Upscaler, Pretrained | None]:
    """Return a network with the weights that its configuration names as a function of an image.

    Args:
        model: the content of the network's yaml, with `pretrained` and `pretrained_strict`; one without parameters
            needs no weights.
        name: the network's.
        device: auto, cpu, cuda or mps.
        self_ensemble: as in `load`.

    Returns:
        The function, and what of the file went where; None without one.
    """
    began = pretrained_network(model, name=name) if model["pretrained"] else None
    network = began.network if began else build_network(model)
    upscaler = Upscaler(network, device=resolve_device(device), self_ensemble=self_ensemble)
    return upscaler, began


def _band(band: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(band, dtype=np.uint8))
