"""Where in a file the tensors of a network may stand: wrappers around them, prefixes of their names."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sr_lightning.weights.own import EMA_KEY

# Keys under which training programs keep weights, of which the first that is there counts: BasicSR, ours; PyTorch's
# habit, BasicSR, GANs. Any other key goes too, behind these.
_WRAPPERS = (
    "params_ema", "params-ema", EMA_KEY, "params", "state_dict", "model_state_dict", "model", "generator", "netG",
    "net_g", "net", "network",
)  # fmt: skip
# What stands before each name where the network was a part of something: DataParallel, torch.compile, our modules and
# other LightningModules, mmagic, KAIR. Any other goes where most names begin with it.
_PREFIXES = (
    "generator_ema.", "module.", "_orig_mod.", "network.", "generator.", "model.", "net.", "netG.", "net_g.",
)  # fmt: skip
# Averaged weights, by a wrapper's or a prefix's name: params_ema, net_g_ema, model_ema.module.
_AVERAGED = re.compile(r"(?<![a-z])ema(?![a-z])", re.IGNORECASE)
# Wrappers within wrappers, deeper than any program in circulation has them.
_DEEPEST = 4


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
    # An optimiser's state is numbered.
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    for prefix in _prefixes(tensors):
        yield View(
            wrapper=", ".join([*path, prefix] if prefix else path),
            tensors={name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)},
            averaged=any(_AVERAGED.search(text) for text in (*path, prefix)),
        )
    if len(path) < _DEEPEST:
        for key in sorted((key for key in content if isinstance(key, str)), key=_place):
            if isinstance(content[key], Mapping):
                yield from _below(content[key], path=(*path, key))


def _place(wrapper: str) -> int:
    return _WRAPPERS.index(wrapper) if wrapper in _WRAPPERS else len(_WRAPPERS)


def _prefixes(names: Mapping[str, Tensor]) -> list[str]:
    """Returns the empty prefix and all that names begin with, such as `network.` or `module.generator.`."""
    found = [""] if names else []
    for known in found:  # grows while it is read
        rest = [name.removeprefix(known) for name in names if name.startswith(known)]
        prefixes = dict.fromkeys((*_PREFIXES, *_of_most(rest)))
        found += [known + prefix for prefix in prefixes if any(name.startswith(prefix) for name in rest)]
    return found


def _of_most(names: list[str]) -> list[str]:
    """Returns the first part that more than half of the names have, where there is one."""
    parts = Counter(name.partition(".")[0] for name in names if "." in name)
    return [f"{part}." for part, times in parts.most_common(1) if 2 * times > len(names)]
