"""How far a network looks: which pixels of the input the output of one pixel depends on."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from sr_lightning.networks.luma import Network

# Of the strip; odd, so that it has a middle. Stacks of convolutions look less far: RRDBNet's 351 see 699 pixels at x4.
LENGTH = 769


def receptive_field(network: nn.Module, *, height: int = 1, length: int = LENGTH) -> int | None:
    """Measures by the gradient how many LR pixels in a row the `sr` of one in the middle of an image depends on.

    The image is a strip of random pixels, `length` wide: where the two axes are treated alike, as by all networks
    here, what is seen along it is what is seen across it. Of each module's gradient only its places count, not its
    size, which would be too small to represent at the far ends of a hundred layers.

    Args:
        network: with `scale` and `channels`, on the CPU; its weights are asked for no gradient and keep none.
        height: of the strip in pixels; networks of windows need as much as their windows have.
        length: of the strip in pixels, odd.

    Returns:
        From the leftmost to the rightmost pixel that all `scale` x `scale` pixels of `sr` in the middle depend on,
        or None where that is the whole strip: attention over all of the image, or a mean of it.

    Raises:
        ValueError: `length` is even.

    Example:
        >>> from sr_lightning.networks.espcn import ESPCN
        >>> receptive_field(ESPCN(scale=4))  # kernels of 5, 3 and 3
        9
    """
    if length % 2 == 0:
        raise ValueError(f"length: expected an odd number, so that there is a middle, got {length}.")
    typed = cast(Network, network)
    modes = [(module, module.training) for module in network.modules()]
    asked = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    handles = [module.register_forward_hook(_keep_places) for module in network.modules()]
    lr = torch.rand(1, typed.channels, height, length, requires_grad=True)
    try:
        network.eval().requires_grad_(False)
        # Some (PLKSR) write into features that the way back needs.
        with torch.autograd.graph.allow_mutation_on_saved_tensors():
            sr = typed(lr)
            row, column = (side // 2 * typed.scale for side in (height, length))
            middle = sr[..., row : row + typed.scale, column : column + typed.scale]
            middle.sum().backward()  # type: ignore[no-untyped-call]
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in asked:
            parameter.requires_grad_(requires_grad)
    assert lr.grad is not None
    seen = lr.grad.abs().amax((0, 1, 2)).nonzero().flatten()
    first, last = int(seen[0]), int(seen[-1])
    return None if (first, last) == (0, length - 1) else last - first + 1


def _keep_places(module: nn.Module, given: Any, made: Any) -> None:
    """On the way back, puts a random number wherever the gradient is not 0.

    Not 1: normalisations and softmax have no gradient for what is the same everywhere.
    """
    if isinstance(made, Tensor) and made.requires_grad:
        made.register_hook(_replace)  # type: ignore[no-untyped-call]


def _replace(gradient: Tensor) -> Tensor:
    return torch.where(gradient != 0, torch.rand_like(gradient) + 0.5, 0)
