"""What a network costs, as the tables of papers have it: multiply-accumulates, activations, parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from sr_lightning.networks.luma import Network

# Width and height of the output that papers count for, since CARN (arXiv 1803.08664).
OUTPUT = (1280, 720)
# Sides of the input for which the NTIRE challenges on efficient super-resolution count, at x4.
NTIRE_INPUT = (256, 256)


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
        multiply_adds: Of convolutions and matrix products.
        activations: Numbers that convolutions put out (NTIRE's measure of memory traffic).
        convolutions: How many run.
        parameters: That are read. Fewer than are trained where a network is merged for use (SPAN) or has parts for
            other scales.
    """

    multiply_adds: int
    activations: int
    convolutions: int
    parameters: int


def multiply_adds(network: nn.Module) -> int | None:
    """Multiply-accumulates of convolutions and matrix products for one output of 1280x720, or a little more.

    LR is 1280/scale x 720/scale, rounded up where the scale does not divide: 427x240 at x3, as in the tables of
    IMDN. See `count_cost` for what is counted.

    Args:
        network: with `scale` and `channels`; a network for several scales is counted at its own `scale`.

    Returns:
        The count, or None where the network cannot be run without values.

    Example:
        >>> from sr_lightning.networks.espcn import ESPCN
        >>> round(multiply_adds(ESPCN(scale=4)) / 1e9, 2)
        1.42
    """
    scale = cast(Network, network).scale
    width, height = (-(-side // scale) for side in OUTPUT)
    cost = count_cost(network, width=width, height=height)
    return None if cost is None else cost.multiply_adds


def count_cost(network: nn.Module, *, width: int, height: int) -> Cost | None:
    """What one image of `width` x `height` LR pixels costs.

    Biases, activation functions and interpolation are not counted, a transposed convolution at the size of its input
    (CARN's table counts FSRCNN's at that of its output), and nothing that does not depend on the image, such as
    merging kernels. Nothing is computed: the tensors have shapes alone. The network stays as it is, and no random
    numbers are drawn.

    Args:
        network: with `scale` and `channels`, whatever its device.
        width: of LR.
        height: of LR.

    Returns:
        The cost, or None where the network cannot be run without values: it reads one, or keeps tensors that are
        neither parameters nor buffers.
    """
    # By its gradient it is known what depends on the image.
    lr = torch.empty(1, cast(Network, network).channels, height, width, device="meta", requires_grad=True)
    parameters = {name: parameter.detach().to("meta") for name, parameter in network.named_parameters()}
    buffers = {name: buffer.detach().to("meta") for name, buffer in network.named_buffers()}
    modes = [(module, module.training) for module in network.modules()]
    operations, convolutions = _Operations(parameters.values()), _Convolutions(network)
    try:
        network.eval()  # batch norm in training refuses a single value per channel
        # Transformers make the masks of their shifted windows anew: without values, they cost nothing.
        with torch.enable_grad(), torch.device("meta"), operations:
            functional_call(network, {**parameters, **buffers}, (lr,))
    except Exception:  # whatever somebody's network raises
        return None
    finally:
        convolutions.stop()
        for module, training in modes:
            module.training = training
    return Cost(
        multiply_adds=operations.multiply_adds,
        activations=convolutions.activations,
        convolutions=convolutions.runs,
        parameters=operations.parameters_read,
    )


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums up PyTorch's own counts of the operations on what depends on the image, and watches what reads parameters.

    `.data`, from which SPAN merges its kernels, is another tensor; making it is no reading.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.multiply_adds = 0
        self._sizes = {id(parameter): parameter.numel() for parameter in parameters}
        self._read: set[int] = set()

    @property
    def parameters_read(self) -> int:
        return sum(self._sizes[parameter] for parameter in self._read)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        formula = flop_registry.get(func.overloadpacket)
        if formula and any(tensor.requires_grad for tensor in given):
            self.multiply_adds += int(formula(*args, **kwargs, out_val=made)) // 2
        if func.overloadpacket is not torch.ops.aten.detach:
            originals = (tensor if tensor._base is None else tensor._base for tensor in given)
            self._read |= {id(tensor) for tensor in originals} & self._sizes.keys()
        return made


class _Convolutions:
    """Watches the convolutions of a network."""

    def __init__(self, network: nn.Module) -> None:
        self.activations = 0
        self.runs = 0
        self._handles = [
            module.register_forward_hook(self._count)
            for module in network.modules()
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        ]

    def stop(self) -> None:
        """Watches no longer."""
        for handle in self._handles:
            handle.remove()

    def _count(self, module: nn.Module, given: Any, made: Tensor) -> None:
        self.runs += 1
        self.activations += made.numel()
