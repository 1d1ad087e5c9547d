"""Finding evaluation sets under a folder, in the layouts that people have them in. No torch, no numpy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sr_lightning.data.scan import EXTENSIONS, DataError, list_images
from sr_lightning.refusal import nearest

# Side of SSIM's window: what must be left of an image once its border is cut.
SSIM_WINDOW = 11
# The names that papers use, and the folder names they go by.
SETS = {
    "Set5": ("set5",),
    "Set14": ("set14",),
    "BSD100": ("bsd100", "b100", "bsds100"),
    "Urban100": ("urban100",),
    "Manga109": ("manga109",),
    "DIV2K_val": ("div2k_val", "div2k_valid", "div2k100"),
}
_NAMES = {alias: name for name, aliases in SETS.items() for alias in aliases}
# HR folders: ours and EDSR's, BasicSR's (cropped to a multiple of 12), and images right in the set's folder.
HR_FOLDERS = ("HR", "GTmod12", "GTmod", "original", "GT", "")


@dataclass(frozen=True)
class EvaluationSet:
    """A set of image pairs.

    Attributes:
        name: as tables print it.
        hr: the HR files, sorted.
        lr: the LR files in the same order, or None where LR is to be made from HR.
    """

    name: str
    hr: tuple[Path, ...]
    lr: tuple[Path, ...] | None


def reportable(sets: Sequence[EvaluationSet], *, chosen_on: Path) -> list[EvaluationSet]:
    """Return the sets without those that lie in a folder of validation images: they have chosen the weights.

    A set is also known by its file names and sizes, whatever their format: BSDS300's test images are BSD100.
    """
    folder = chosen_on.expanduser().resolve()
    names = {path.stem: path for path in list_images(folder)} if folder.is_dir() else {}
    return [
        each
        for each in sets
        if not any(path.resolve().is_relative_to(folder) for path in each.hr)
        and sum(path.stem in names and _size(path) == _size(names[path.stem]) for path in each.hr) * 2 <= len(each.hr)
    ]


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        return None


def find_sets(root: Path, *, scale: int, names: str | Sequence[str] | None) -> list[EvaluationSet]:
    """Find evaluation sets: `<Set>/HR` with `<Set>/LR_bicubic/x<S>` (EDSR, `X<S>` too) or `GTmod12` with `LRbicx<S>`.

    Args:
        root: the folder that holds the sets.
        scale: chooses the LR folder.
        names: the set or sets wanted, in any case; None takes every known set that is there.

    Raises:
        DataError: a wanted set is unknown here, has no images, or LR and HR do not match.
    """
    folders = _set_folders(root)
    if names is None:
        wanted = [name for name in SETS if name in folders]
    else:
        wanted = [_resolve(name, folders, root) for name in ([names] if isinstance(names, str) else names)]
    return [_open(name, folders[name], scale) for name in wanted]


def match_images(folder: Path, evaluation_set: EvaluationSet) -> list[Path]:
    """Find, for each HR image, the SR image in a folder of anybody's: `baby.png`, `babyx4.png`, `baby_x4_SR.png`.

    Args:
        folder: holds the images, or a folder of the set's name that does.
        evaluation_set: the set whose HR names are looked for.

    Raises:
        DataError: the folder is not there, or an image has none or several candidates.
    """
    place = folder / evaluation_set.name if (folder / evaluation_set.name).is_dir() else folder
    if not place.is_dir():
        raise DataError(f"images: expected a folder, got {folder}, which is not there.")
    files = _images(place)
    return [_match(path.stem, files, place) for path in evaluation_set.hr]


def _set_folders(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise DataError(
            f"data.root: expected a folder with evaluation sets (Set5/HR/*.png, ...), got {root}, which is not there."
        )
    found: dict[str, Path] = {}
    # EDSR's archive has a folder `benchmark` around the sets.
    for parent in (root, root / "benchmark"):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            name = _NAMES.get(folder.name.lower(), folder.name)
            if folder.is_dir() and name not in found and _hr_images(folder):
                found[name] = folder
    return found


def _resolve(name: str, folders: dict[str, Path], root: Path) -> str:
    full = _NAMES.get(str(name).lower(), str(name))
    for found in folders:
        if found.lower() == full.lower():
            return found
    listed = ", ".join(folders) or "none"
    raise DataError(f"eval: expected sets that lie under {root} ({listed}), got '{name}'{nearest(full, folders)}")


def _open(name: str, folder: Path, scale: int) -> EvaluationSet:
    hr = _hr_images(folder)
    lr_folder = _lr_folder(folder, scale)
    if lr_folder is None:
        return EvaluationSet(name, tuple(hr), None)
    files = _images(lr_folder)
    return EvaluationSet(name, tuple(hr), tuple(_match(path.stem, files, lr_folder) for path in hr))


def _hr_images(folder: Path) -> list[Path]:
    for name in HR_FOLDERS:
        images = _images(folder / name) if (folder / name).is_dir() else []
        if images:
            return images
    return []


def _lr_folder(folder: Path, scale: int) -> Path | None:
    names = (f"LR_bicubic/x{scale}", f"LR_bicubic/X{scale}", f"LRbicx{scale}", f"LRbicX{scale}")
    for name in names:
        if (folder / name).is_dir() and _images(folder / name):
            return folder / name
    return None


def _images(folder: Path) -> list[Path]:
    # macOS leaves `._baby.png` beside `baby.png`: no image.
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    )


def _match(name: str, files: Sequence[Path], folder: Path) -> Path:
    exact = [path for path in files if path.stem == name]
    # What may follow a name: `x4`, or anything after a separator.
    pattern = re.compile(re.escape(name) + r"(x\d+)?([_\-. ].*)?")
    found = exact or [path for path in files if pattern.fullmatch(path.stem)]
    if len(found) != 1:
        what = "none" if not found else ", ".join(path.name for path in found)
        raise DataError(f"{folder}: expected one image for '{name}' (such as {name}.png), got {what}.")
    return found[0]
