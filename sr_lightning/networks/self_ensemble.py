"""The eight views of an image, and the mean of what a network makes of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from sr_lightning.functional.geometry import dihedral, undo_dihedral

VIEWS = 8


def self_ensembled(forward: Callable[[Tensor], Tensor], lr: Tensor) -> Tensor:
    """Mean of a network's answers to the eight flips and rotations of an image, each turned back.

    The "+" of EDSR+ and RCAN+ (geometric self-ensemble of EDSR, CVPRW 2017, arXiv:1707.02921, after Timofte et al.,
    CVPR 2016, arXiv:1511.02228): a tenth to a quarter of a decibel for eight times the work. The mean is taken before
    anything is clamped or rounded.

    Args:
        forward: Maps `lr` to `sr`.
        lr: `(N, C, H, W)`.

    Returns:
        `sr` `(N, C, scale*H, scale*W)`.
    """
    views = (undo_dihedral(forward(dihedral(lr, code)), code) for code in range(VIEWS))
    total = next(views)
    for view in views:
        total = total + view
    return torch.div(total, VIEWS)
