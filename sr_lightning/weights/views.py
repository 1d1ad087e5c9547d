"""Where in a file the tensors of a network may stand: wrappers around them, prefixes of their names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sr_lightning.weights.own import EMA_KEY

# Keys under which training programs keep averaged weights, and weights: BasicSR, ours; PyTorch's habit, BasicSR, GANs.
_AVERAGED = ("params_ema", "params-ema", EMA_KEY)
_WRAPPERS = (
    *_AVERAGED, "params", "state_dict", "model_state_dict", "model", "generator", "netG", "net_g", "net", "network",
)  # fmt: skip
# What stands before each name where the network was a part of something: DataParallel, torch.compile, our modules and
# other LightningModules, mmagic, KAIR.
_AVERAGED_PREFIXES = ("generator_ema.",)
_PREFIXES = (
    *_AVERAGED_PREFIXES, "module.", "_orig_mod.", "network.", "generator.", "model.", "net.", "netG.", "net_g.",
)  # fmt: skip


@dataclass(frozen=True)
class View:
    """Tensors of a file that may be a network's.

    Attributes:
        wrapper: Where they stand, such as `state_dict` or `params_ema, module.`; empty where nothing is around them.
        tensors: By their names without what stands before all of them.
        averaged: Whether they are averages over training steps.
    """

    wrapper: str
    tensors: Mapping[str, Tensor]
    averaged: bool


def views(content: Mapping[str, Any]) -> list[View]:
    """Returns every way in which a file's content may be read as tensors by names.

    Args:
        content: Of the file: tensors, or wrappers around them, beside anything else.
    """
    return list(_below(content, path=()))


def _below(content: Mapping[str, Any], *, path: tuple[str, ...]) -> Iterator[View]:
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in _prefixes(tensors):
        yield View(
            wrapper=", ".join([*path, prefix] if prefix else path),
            tensors={name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)},
            averaged=any(key in path for key in _AVERAGED) or any(part in prefix for part in _AVERAGED_PREFIXES),
        )
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            yield from _below(content[key], path=(*path, key))


def _prefixes(names: Mapping[str, Tensor]) -> list[str]:
    """Returns the empty prefix and all that some names begin with, such as `network.` or `module.generator.`."""
    found = [""] if names else []
    for known in found:  # grows while it is read
        found += [known + prefix for prefix in _PREFIXES if any(name.startswith(known + prefix) for name in names)]
    return found
