"""What a network costs, as the tables of papers have it: multiply-accumulates for one HD image."""

from typing import cast

import torch
from torch import nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from sr_lightning.networks.luma import Network

# Width and height of the output that papers count for, since CARN (arXiv 1803.08664).
OUTPUT = (1280, 720)


def multiply_adds(network: nn.Module) -> int | None:
    """Multiply-accumulates of convolutions and matrix products for one output of 1280x720, or a little more.

    LR is 1280/scale x 720/scale, rounded up where the scale does not divide: 427x240 at x3, as in the tables of
    IMDN. Biases, activations and interpolation are not counted, a transposed convolution at the size of its input
    (CARN's table counts FSRCNN's at that of its output). Nothing is computed: the tensors have shapes alone. The
    network stays as it is, and no random numbers are drawn.

    Args:
        network: with `scale` and `channels`; a network for several scales is counted at its own `scale`.

    Returns:
        The count, or None where the network cannot be run without values: it reads one, or keeps tensors that are
        neither parameters nor buffers.

    Example:
        >>> from sr_lightning.networks.espcn import ESPCN
        >>> round(multiply_adds(ESPCN(scale=4)) / 1e9, 2)
        1.42
    """
    typed = cast(Network, network)
    width, height = (-(-side // typed.scale) for side in OUTPUT)
    lr = torch.empty(1, typed.channels, height, width, device="meta")
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()  # batch norm in training refuses a single value per channel
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            functional_call(network, {name: tensor.to("meta") for name, tensor in tensors.items()}, (lr,))
    except Exception:  # whatever somebody's network raises
        return None
    finally:
        for module, training in modes:
            module.training = training
    return int(counter.get_total_flops()) // 2
