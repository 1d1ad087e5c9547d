"""Under which names published files keep a network's tensors, so that they can be read and written."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
# Files round their constants as they were typed.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Layout:
    """How one family of files names the tensors of one of our networks.

    Written in one direction, ours to theirs: reading goes through the network's own names, so that a name is never
    guessed, and writing is the same table.

    Attributes:
        name: What the family is called, such as "EDSR-PyTorch".
        rename: Pairs (pattern, replacement) for `re.sub`; of each of our names the first pattern that matches all of it
            counts, and a name that none matches stays.
        constants: Patterns of names in the files that hold no weight of ours (a colour mean, an index table, a mask).
        settings: Tells constructor arguments by the names and shapes of a file, such as `{"depth": 32}`; empty where
            the file does not show them. Only ever given tensors in this layout, by their published names.
        assumed: Tells those that no file shows, as the files of the family have them as a rule.
        untold: Those of which no file shows anything; where `assumed` has no value, the configured one stands.
        make_constants: Makes, from tensors in this layout, the constants that other programs look for in such a file;
            None where they look for none.
        convert: Brings the tensors of a file that was made for other constants (another range of pixels) to ours, by
            their published names; those of a file like ours come back as they are. None where there is one kind alone.
        spandrel: Whether spandrel, by which chaiNNer and its relatives load networks, knows such files.
        only_read: Whether such files are not written: of what `convert` rounds, none would come back bit-equal.
    """

    name: str
    rename: tuple[tuple[str, str], ...] = ()
    constants: tuple[str, ...] = ()
    settings: Callable[[Tensors], dict[str, Any]] | None = None
    assumed: Callable[[Tensors], dict[str, Any]] | None = None
    untold: tuple[str, ...] = ()
    make_constants: Callable[[Tensors], dict[str, Tensor]] | None = None
    convert: Callable[[Tensors], Tensors] | None = None
    spandrel: bool = False
    only_read: bool = False

    def published(self, name: str) -> str:
        """The published name of one of our tensors."""
        for pattern, replacement in self.rename:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, replacement, name)
        return name

    def to_ours(self, names: list[str], tensors: Tensors) -> dict[str, Tensor]:
        """Takes a file's tensors over under our names; those of other names, and constants, stay out.

        Args:
            names: Our names: the keys of the network's state dict.
            tensors: By their published names.
        """
        published = {self.published(name): name for name in names}
        return {published[name]: tensor for name, tensor in tensors.items() if name in published}

    def to_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """Our tensors under their published names; constants are not made."""
        return {self.published(name): tensor for name, tensor in tensors.items()}

    def to_file(self, tensors: Tensors) -> dict[str, Tensor]:
        """What a file of the family holds: our tensors under their published names, and the constants."""
        published = self.to_published(tensors)
        return published | (self.make_constants(published) if self.make_constants else {})

    def is_constant(self, name: str) -> bool:
        """Whether a name in a file is one of the constants."""
        return any(re.fullmatch(pattern, name) for pattern in self.constants)

    def other_constants(self, tensors: Tensors) -> tuple[str, ...]:
        """Names of a file's constants whose values are not those that our network computes with.

        Of another size than those made here, nothing is to be said: masks are as large as a program's images.
        """
        if self.make_constants is None or not any(self.is_constant(name) for name in tensors):
            return ()
        try:
            made = self.make_constants(tensors)
        except LookupError:
            # It is only like this layout: what they are made from is not there.
            return ()
        return tuple(name for name, ours in made.items() if name in tensors and _differ(tensors[name], ours))


def _differ(theirs: Tensor, ours: Tensor) -> bool:
    if ours.is_meta or theirs.shape != ours.shape:
        return False
    largest = max(1.0, float(ours.abs().max())) if ours.numel() else 1.0
    return not torch.allclose(theirs.double(), ours.double(), rtol=0, atol=_ROUNDING * largest)


def count(tensors: Tensors, pattern: str) -> int:
    """How many different things the first group of `pattern` stands for, among the names that all of it matches."""
    return len({found[1] for name in tensors if (found := re.fullmatch(pattern, name))})
