"""Crops, flips and rotations: movements of pixels that change no value."""

import torch
from torch import Tensor


def modcrop(image: Tensor, multiple: int) -> Tensor:
    """Crops ``(..., H, W)`` from the top left so that ``multiple`` divides height and width.

    Raises:
        ValueError: ``multiple`` is below 1, or a side is shorter than it and nothing would be left.
    """
    height, width = image.shape[-2:]
    if not 1 <= multiple <= min(height, width):
        raise ValueError(f"modcrop needs 1 <= multiple <= shorter side, got {multiple} for {height}x{width} pixels.")
    return image[..., : height - height % multiple, : width - width % multiple]


def shave(image: Tensor, border: int) -> Tensor:
    """Cuts ``border`` pixels off each side of ``(..., H, W)``.

    Raises:
        ValueError: ``border`` is negative, or nothing would be left.
    """
    height, width = image.shape[-2:]
    if border < 0 or 2 * border >= min(height, width):
        raise ValueError(f"cannot shave {border} pixels off each side of {height}x{width} pixels.")
    return image[..., border : height - border, border : width - border]


def crop_to(image: Tensor, height: int, width: int) -> Tensor:
    """The top left ``height`` x ``width`` pixels of ``(..., H, W)``, which has at least as many."""
    if not torch.compiler.is_exporting():
        return image[..., :height, :width]
    # With free H and W an exported graph cannot prove that a slice is within the image, and so refuses it.
    rows, columns = (torch.arange(side, device=image.device) for side in (height, width))
    return image.index_select(-2, rows).index_select(-1, columns)


def dihedral(images: Tensor, code: int) -> Tensor:
    """One of the eight symmetries of the square, applied to all of ``(N, C, H, W)``.

    The bits of ``code`` are done in this order: 1 mirrors left and right, 2 mirrors top and bottom, 4 swaps
    rows and columns. So 0 leaves the images as they are and 3 turns them by 180 degrees; from 4 on H and W
    change places.

    Raises:
        ValueError: ``code`` is not in 0..7.
    """
    if not 0 <= code <= 7:
        raise ValueError(f"a dihedral code is one of 0..7, got {code}.")
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if code & bit]
    images = images.flip(axes) if axes else images
    return images.transpose(-2, -1) if code & 4 else images


def undo_dihedral(images: Tensor, code: int) -> Tensor:
    """The symmetry that takes back `dihedral` of the same code: ``undo_dihedral(dihedral(x, c), c)`` is ``x``.

    Raises:
        ValueError: ``code`` is not in 0..7.
    """
    # Back through the swap of rows and columns first, after which the mirrors have their axes again.
    images = images.transpose(-2, -1) if code & 4 else images
    return dihedral(images, code & 3 if 0 <= code <= 7 else code)


def dihedral_batch(images: Tensor, codes: Tensor) -> Tensor:
    """`dihedral` with a code for each image: ``(N, C, H, H)`` and ``(N,)`` int64 in 0..7.

    Selects instead of indexing by the codes, so that a GPU need not wait for the CPU to see them.

    Raises:
        ValueError: The images are not square, or there is not one code per image.
    """
    if images.shape[-2] != images.shape[-1]:
        raise ValueError(f"only square images can be turned in one batch, got shape {tuple(images.shape)}.")
    if codes.shape != images.shape[:1]:
        raise ValueError(f"expected one code per image, ({images.shape[0]},), got shape {tuple(codes.shape)}.")
    if images.device.type == "cpu":
        # Nothing to wait for here, and the selections below cost seven times as much.
        turned = torch.empty_like(images)
        for index, code in enumerate(codes.tolist()):
            turned[index : index + 1] = dihedral(images[index : index + 1], code)
        return turned
    codes = codes.reshape(-1, 1, 1, 1)
    images = torch.where(codes & 1 > 0, images.flip(-1), images)
    images = torch.where(codes & 2 > 0, images.flip(-2), images)
    return torch.where(codes & 4 > 0, images.transpose(-2, -1), images)
