"""Networks that judge and never learn: their weights stay as they are and out of checkpoints."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn


def freeze(network: nn.Module) -> None:
    """Takes a network out of training and out of its owner's state dict; it still moves with its owner.

    Weights of tens of megabytes that training does not change have no place in a checkpoint: one state-dict hook takes
    them out on saving, another fills them in on loading, so that strict loading works.
    """
    network.requires_grad_(False)
    network.train(False)
    names = list(network.state_dict())
    network.register_state_dict_post_hook(partial(_leave_out, names))  # type: ignore[no-untyped-call]
    network.register_load_state_dict_pre_hook(partial(_fill_in, names))  # type: ignore[no-untyped-call]


def _leave_out(names: Sequence[str], network: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """On saving: drops what is frozen."""
    for name in names:
        del state[prefix + name]


def _fill_in(names: Sequence[str], network: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """On loading: offers what is frozen, which strict loading would miss."""
    # A tensor may have two names (LPIPS lists its heads twice).
    values = {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }
    state.update({prefix + name: values[name].detach() for name in names})
