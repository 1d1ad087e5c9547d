"""Which tensors of a file are which of a network: by its own names, or by those of a layout in circulation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.networks.layout import Layout, Tensors
from sr_lightning.weights.read import WeightsFile
from sr_lightning.weights.views import View, views

# Our own names, under which checkpoints and, where no other program knows the network, exported files keep tensors.
OWN = Layout("sr_lightning")
# Counts batches; older versions of PyTorch did not have it, and nothing is computed from it.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Match:
    """How a file's tensors and a network's go together.

    Attributes:
        file: The file.
        view: Where in it the tensors stand.
        layout: By whose names.
        fitting: The file's tensors that have a place in the network and its shape, by our names.
        missing: Our names of which the file holds nothing.
        reshaped: Our names of which the file holds another shape (or integers), with both shapes: the file's, ours.
        unexpected: Names in the file that are none of the network's, nor constants of the layout.
        names: All of ours.
        other_constants: Names of the file's constants that are not what the network computes with.
        converted: Whether the file was made for other constants, and its tensors were brought to ours.
        rivals: Other wrappers or prefixes of the file under which stand other weights that fit as well.
    """

    file: WeightsFile
    view: View
    layout: Layout
    fitting: Mapping[str, Tensor] = field(repr=False)
    missing: tuple[str, ...]
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    unexpected: tuple[str, ...]
    names: tuple[str, ...] = field(repr=False)
    other_constants: tuple[str, ...] = ()
    converted: bool = False
    rivals: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many tensors the network has, counters of batches that the file lacks aside."""
        return len(self.fitting) + len(self.random)

    @property
    def random(self) -> tuple[str, ...]:
        """Our names of what a load leaves as it was initialised."""
        return tuple(name for name in self.names if name in self.reshaped or name in self.missing)

    @property
    def averaged(self) -> bool:
        """Whether the weights are averages over training steps, as far as the file says."""
        return self.view.averaged or bool((self.file.description or {}).get("ema"))

    @property
    def complete(self) -> bool:
        """Whether the file holds exactly this network."""
        return not (self.random or self.unexpected or self.other_constants)

    @property
    def likeness(self) -> float:
        """The share, 0..1, of the file's or the network's names, whichever are fewer, that the other has too."""
        shared = len(self.fitting) + len(self.reshaped)
        return shared / max(1, min(self.total, shared + len(self.unexpected)))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The constructor arguments that the names and shapes in the file tell, as far as the layout reads them."""
        return self._told(self.layout.settings)

    @cached_property
    def assumed(self) -> dict[str, Any]:
        """Those that no file of the layout tells, as its family has them as a rule."""
        return self._told(self.layout.assumed)

    def _told(self, read: Callable[[Tensors], dict[str, Any]] | None) -> dict[str, Any]:
        if read is None:
            return {}
        try:
            return read(self.view.tensors)
        except (LookupError, ValueError, ArithmeticError):
            # It is only like this layout: another network shares some names.
            return {}


def match(network: nn.Module, file: WeightsFile) -> Match | None:
    """Finds the wrapper, prefix and layout by which most of a network's tensors stand in a file.

    Args:
        network: Its class may have `layouts`; it may lie on the "meta" device.
        file: As it was read.

    Returns:
        The best; None of a file without a single tensor. Averaged weights are preferred to raw ones.
    """
    ours = network.state_dict()
    candidates = list(_candidates(network, ours, file))
    # Of equal ones the first.
    found = max(candidates, key=_rank, default=None)
    if found is None:
        return None
    return replace(found, rivals=tuple(other.view.wrapper for other in candidates if _rivals(found, other)))


def _rivals(found: Match, other: Match) -> bool:
    """Whether two parts of a file hold the network alike, with other weights."""
    alike = found.complete and _rank(other) == _rank(found) and other.view is not found.view
    return alike and any(not torch.equal(tensor, other.fitting[name]) for name, tensor in found.fitting.items())


def _rank(found: Match) -> tuple[int, int, bool, bool]:
    names = len(found.fitting) + len(found.reshaped)
    return names, len(found.fitting), found.view.averaged, found.complete


def _candidates(network: nn.Module, ours: Mapping[str, Tensor], file: WeightsFile) -> Iterator[Match]:
    layouts: tuple[Layout, ...] = getattr(network, "layouts", ())
    found = views(file.content)
    # Where a layout's names are ours, it is the layout that reads arguments off a file of others.
    for layout in (OWN, *layouts) if file.description else (*layouts, OWN):
        published = {layout.published(name): name for name in ours}
        for view in found:
            tensors = view.tensors if layout.convert is None else layout.convert(view.tensors)
            theirs = {published[name]: tensor for name, tensor in tensors.items() if name in published}
            fits = {name: _fits(tensor, ours[name]) for name, tensor in theirs.items()}
            yield Match(
                file=file,
                view=view,
                layout=layout,
                fitting={name: tensor for name, tensor in theirs.items() if fits[name]},
                missing=tuple(name for name in ours if name not in theirs and not name.endswith(_COUNTER)),
                reshaped={
                    name: (tuple(tensor.shape), tuple(ours[name].shape))
                    for name, tensor in theirs.items()
                    if not fits[name]
                },
                unexpected=tuple(
                    name
                    for name in view.tensors
                    if name not in published and not layout.is_constant(name) and not name.endswith(_COUNTER)
                ),
                names=tuple(ours),
                other_constants=layout.other_constants(tensors),
                converted=tensors is not view.tensors,
            )


def _fits(theirs: Tensor, ours: Tensor) -> bool:
    return theirs.shape == ours.shape and theirs.is_floating_point() == ours.is_floating_point()
