"""Networks of other libraries, such as spandrel's, made to keep the promises of ours."""

import re
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.functional.geometry import crop_to
from sr_lightning.functional.resize import extend_to
from sr_lightning.networks.layout import Layout, Tensors

# What a batch normalisation has measured; every other buffer of a library's network is made of its arguments.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# Arguments of which a file shows nothing, and for which spandrel puts a constant.
UNTOLD = ("drop_path_rate", "conv_scale", "img_range", "norm_groups")
# Those of them that change nothing of a trained network.
OF_TRAINING = ("drop_path_rate",)
# What in a file is of the patches that were trained on, or counts batches.
_OF_TRAINING = r".*\.(attn_mask(_\d)?|num_batches_tracked)"


class Padded(nn.Module):
    """A library's network that takes images of any size and leaves them as they are.

    - `lr` is mirrored at the right and at the bottom, without doubling the edge, up to `multiple` and `smallest`, and
      `sr` is cropped.
    - The network gets a copy of `lr`: spandrel's RCAN, for one, multiplies its input in place.
    - The last convolution runs in float32 under autocast, and so does what follows it.
    - Constants (index tables, masks, the mean colour) stay out of the state dict and move with the network, also those
      that the library keeps as plain tensors; exported files have the library's, which programs know a network by.
    - What is remembered of a validation in inference mode (spandrel's SPAN puts its merged kernels into parameters) can
      still be trained.

    Args:
        network: Maps `(N, C, H, W)` in [0, 1] to `(N, C, scale*H, scale*W)` where H and W are multiples of `multiple`,
            from `smallest` on.
        scale: Upscaling factor.
        channels: Of the images.
        multiple: What H and W are a multiple of inside, such as the side of the attention's windows; 1 where the
            network pads by itself, since numbers of its authors hold for its own borders.
        smallest: What H and W are at least inside.
        no_gradient: Patterns of parameter names, by the library, that training does not reach, each with the reason;
            they are taken out of training, so that several devices do not wait for their gradients.

    Raises:
        ValueError: A pattern is of no parameter.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        scale: int,
        channels: int,
        multiple: int = 1,
        smallest: int = 1,
        no_gradient: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.multiple = multiple
        self.smallest = smallest
        self.network = network
        published = network.state_dict()
        self._shown = _show(published)
        for pattern in no_gradient or ():
            _freeze(network, pattern)
        _keep_constants_aside(network)
        # Those that the library's files hold; others it keeps outside of its state dict itself.
        self._constants = published.keys() - network.state_dict().keys()
        _end_in_full_precision(network)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The names that the library, and with it the authors' files, have for the tensors."""
        constants = {name: buffer for name, buffer in self.network.named_buffers() if name in self._constants}
        return (
            Layout(
                "spandrel",
                rename=((r"network\.(.+)", r"\1"),),
                constants=tuple(map(re.escape, constants)),
                settings=self._settings,
                untold=tuple(name for name in UNTOLD if name not in OF_TRAINING),
                make_constants=lambda _: {name: constant.clone() for name, constant in constants.items()},
                spandrel=True,
            ),
        )

    def _settings(self, tensors: Tensors) -> dict[str, Any]:
        """What spandrel reads off a file: the constructor's arguments by its own names, where the file shows others."""
        from spandrel import ModelLoader, UnsupportedModelError

        # By shapes alone spandrel would say 1.694 of a ratio of 1.7.
        if _show(tensors) == self._shown:
            return {}
        try:
            network = ModelLoader(device="cpu").load_from_state_dict(dict(tensors)).model
        except (UnsupportedModelError, RuntimeError):
            return {}
        # Other networks have arguments of the same names.
        known = getattr(network, "hyperparameters", {}) if type(network) is type(self.network) else {}
        found = {key: value for key, value in known.items() if key not in UNTOLD}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}

    def forward(self, lr: Tensor) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped."""
        height, width = lr.shape[-2:]
        with ExitStack() as stack:
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.no_grad())
            # Gathered anew, hence a copy.
            padded = extend_to(lr, border="reflect", multiple=self.multiple, smallest=self.smallest)
            sr: Tensor = self.network(padded)
        sr = sr.to(torch.promote_types(sr.dtype, torch.float32))
        return crop_to(sr, self.scale * height, self.scale * width)


class _FullPrecisionConv2d(nn.Conv2d):
    """A convolution that autocast leaves in the precision of its weights."""

    def forward(self, features: Tensor) -> Tensor:
        """As `nn.Conv2d`."""
        device = features.device.type
        # As `blocks.in_full_precision`, which calls a layer: from inside it, that would run its hooks twice.
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return super().forward(features.to(self.weight.dtype))
        return super().forward(features)


def _freeze(network: nn.Module, pattern: str) -> None:
    found = [parameter for name, parameter in network.named_parameters() if re.fullmatch(pattern, name)]
    if not found:
        raise ValueError(f"no_gradient: {type(network).__name__} has no parameter '{pattern}'.")
    for parameter in found:
        parameter.requires_grad_(False)


def _keep_constants_aside(network: nn.Module) -> None:
    """Makes constants, whether buffers or plain tensors, buffers that the state dict does not hold."""
    for module in network.modules():
        plain = [name for name, value in vars(module).items() if isinstance(value, Tensor)]
        constants = {name: module.__dict__.pop(name) for name in plain}
        constants |= {
            name: buffer
            for name, buffer in module.named_buffers(recurse=False)
            if name not in _STATISTICS and name not in module._non_persistent_buffers_set
        }
        for name, constant in constants.items():
            module.register_buffer(name, constant, persistent=False)


def _end_in_full_precision(network: nn.Module) -> None:
    """Makes the convolution that was registered last, by custom the last that runs, one of full precision."""
    convolutions = [module for module in network.modules() if type(module) is nn.Conv2d]
    if convolutions:
        # Of the same layout, with another `forward`; a new module would draw random weights first.
        convolutions[-1].__class__ = _FullPrecisionConv2d


def _show(tensors: Tensors) -> dict[str, tuple[tuple[int, ...], int | None]]:
    """What a file shows of its network: shapes by name, and of index tables (DAT's tell its windows) the content."""
    return {
        name: (tuple(tensor.shape), None if tensor.is_floating_point() else zlib.crc32(tensor.numpy().tobytes()))
        for name, tensor in tensors.items()
        if not re.fullmatch(_OF_TRAINING, name)
    }
