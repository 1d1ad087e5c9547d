"""LR images of a user's own beside HR images: which belongs to which. No torch, no numpy."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sr_lightning.data.scan import DataError, list_images
from sr_lightning.refusal import nearest

# Headers read before a run begins, which takes half a second; the store looks at every pair before training.
_CHECKED_AT_ONCE = 2000


def match_lr(hr_files: Sequence[Path], folder: Path, *, key: str, scale: int, channels: int = 3) -> list[Path]:
    """Find the LR image of each HR image in a tree of LR images.

    `0001.png` belongs to `0001.png`, `0001x4.png`, `0001_x4.png` or `0001-LR.png`, of any image format. Where both
    trees have folders, the path counts; otherwise the name alone.

    Args:
        hr_files: HR images.
        folder: the tree of LR images.
        key: the configuration key that named it, for messages.
        scale: HR pixels per LR pixel.
        channels: of the images; see `list_images`.

    Raises:
        DataError: the folder is not there, or an image has no or several partners.
    """
    if not folder.is_dir():
        raise DataError(f"{key}: expected a folder of LR images, got {folder}, which is not there.")
    suffix = re.compile(rf"[_\-. ]?(?:x{scale}|LR)(?:[_\-. ]?LR)?$", re.IGNORECASE)
    by_path: dict[str, list[Path]] = {}
    by_name: dict[str, list[Path]] = {}
    for path in list_images(folder, channels=channels):
        relative = path.relative_to(folder).with_suffix("")
        for name in {relative.name, suffix.sub("", relative.name)}:
            by_path.setdefault((relative.parent / name).as_posix(), []).append(path)
            by_name.setdefault(name, []).append(path)
    common = os.path.commonpath([path.parent for path in hr_files])
    partners = []
    for path in hr_files:
        relative = path.relative_to(common).with_suffix("")
        found = by_path.get(relative.as_posix()) or by_name.get(relative.name, [])
        # A file of just this name is meant, whatever else begins like it.
        found = [each for each in found if each.stem == path.stem] or found
        if len(found) != 1:
            got = "none" if not found else f"{len(found)}: {', '.join(str(each) for each in found[:3])}"
            hint = "" if found else nearest(relative.name, sorted(by_name))
            raise DataError(
                f"{key}: expected one LR image for {path} in {folder} (such as {path.stem}x{scale}.png), "
                f"got {got}{hint}"
            )
        partners.append(found[0])
    return partners


def check_sizes(hr_files: Sequence[Path], lr_files: Sequence[Path], *, key: str, scale: int) -> None:
    """Refuse a pair whose sizes do not belong together, as far as the first headers tell.

    Raises:
        DataError: HR is not `scale` times LR, up to what is left over when a side is divided by the scale.
    """
    for hr_file, lr_file in list(zip(hr_files, lr_files, strict=True))[:_CHECKED_AT_ONCE]:
        try:
            with Image.open(hr_file) as hr, Image.open(lr_file) as lr:
                sizes = hr.size, lr.size
        except Exception:  # what cannot be read is named when the store is built, with all others
            continue
        if any(large // scale != small for large, small in zip(*sizes, strict=True)):
            wanted = " x ".join(str(side // scale) for side in sizes[0])
            large, got = (" x ".join(map(str, size)) for size in sizes)
            raise DataError(
                f"{key}: at scale {scale} the LR image of {hr_file} ({large}) has {wanted} pixels, "
                f"but {lr_file} has {got}; give LR images of this scale, or scale=N for theirs."
            )
