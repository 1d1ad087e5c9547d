"""Finding evaluation sets under a folder, in the layouts that people have them in. No torch, no numpy.

Names, other names, folders and protocols of the sets that papers use stand in the catalogue (`conf/data/*.yaml`); a
folder with images of any other name is a set too.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from PIL import Image

from sr_lightning.data.catalogue import Entry, Split, catalogue, find_lr, find_split
from sr_lightning.data.scan import EXTENSIONS, DataError, list_images
from sr_lightning.refusal import nearest

# Side of SSIM's window: what must be left of an image once its border is cut.
SSIM_WINDOW = 11
# HR folders: ours and EDSR's, BasicSR's (cropped to a multiple of 12), and images right in the set's folder.
HR_FOLDERS = ("HR", "GTmod12", "GTmod", "original", "GT", "")


@dataclass(frozen=True)
class EvaluationSet:
    """A set of image pairs.

    Attributes:
        name: as tables print it.
        hr: the HR files, sorted.
        lr: the LR files in the same order, or None where LR is to be made from HR.
        protocol: how the set is scored where papers score it in a way of its own (`color`, `border`), else None.
        excluded: names of the images that were left out on request.
        whole: how many images the set has in papers; None where nobody knows.
        numbers: each image's number in the set before images were left out, None where none were: what a random
            degradation draws by.
    """

    name: str
    hr: tuple[Path, ...]
    lr: tuple[Path, ...] | None
    protocol: Mapping[str, Any] | None = None
    excluded: tuple[str, ...] = ()
    whole: int | None = None
    numbers: tuple[int, ...] | None = None

    def number(self, index: int) -> int:
        """Return the number of the image at `index` of `hr`, the same whatever other images are left out."""
        return index if self.numbers is None else self.numbers[index]


def reportable(sets: Sequence[EvaluationSet], *, chosen_on: Sequence[Path]) -> list[EvaluationSet]:
    """Return the sets without those of which more than a tenth are validation images: they have chosen the weights.

    EDSR chooses by ten images of DIV2K's validation set and reports all hundred, which stays possible. Without the
    same files a set is known by names and sizes of more than half of it: BSDS300's test images are BSD100.

    Args:
        sets: what may be reported.
        chosen_on: the validation images.
    """
    chosen = {path.resolve() for path in chosen_on}
    names = {path.stem: path for path in chosen_on}
    return [
        each
        for each in sets
        if 10 * sum(path.resolve() in chosen for path in each.hr) <= len(each.hr)
        and 2 * sum(path.stem in names and _size(path) == _size(names[path.stem]) for path in each.hr) <= len(each.hr)
    ]


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        return None


def find_sets(
    root: Path,
    *,
    scale: int,
    names: str | Sequence[str] | None,
    exclude: str | Sequence[str] = (),
    entries: Mapping[str, Entry] | None = None,
) -> list[EvaluationSet]:
    """Find evaluation sets: `<Set>/HR` with `<Set>/LR_bicubic/x<S>` (EDSR, `X<S>` too) or `GTmod12` with `LRbicx<S>`.

    Sets of the catalogue are found in the folders of their yaml too, such as DIV2K's validation images.

    Args:
        root: the folder that holds the sets.
        scale: chooses the LR folder.
        names: the set or sets wanted, in any case; None takes every set of the catalogue that is there, but none
            that is a part of another.
        exclude: images to leave out, as `<Set>/<name>` or `<name>`, with or without suffix.
        entries: the catalogue; the project's own by default.

    Raises:
        DataError: a wanted set is unknown or not here, has no images, LR and HR do not match, or there is no image
            of a name to leave out.
    """
    known = _Known.of(_project_catalogue() if entries is None else entries)
    found = _find(root, known)
    if names is None:
        wanted = [title for title in known.entries if title in found]
        wanted = [title for title in wanted if not _stands_twice(title, wanted, found, known)]
    else:
        wanted = [_resolve(name, found, known, root) for name in ([names] if isinstance(names, str) else names)]
    sets = [_open(title, found[title], known.entries.get(title), root, scale) for title in wanted]
    return _exclude(sets, [exclude] if isinstance(exclude, str) else exclude, known=known, found=found)


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


@dataclass(frozen=True)
class _Known:
    """The evaluation sets of the catalogue by title, in the order of papers' tables, and what else they are called."""

    entries: Mapping[str, Entry]
    titles: Mapping[str, str]

    @classmethod
    def of(cls, entries: Mapping[str, Entry]) -> Self:
        # Set5, Set14, ..., Manga109: by their number of images; those with a protocol of their own come last.
        sets = sorted(
            (entry for entry in entries.values() if entry.kind == "evaluation"),
            key=lambda entry: (entry.protocol is not None, _images_of(entry) or 0, entry.title),
        )
        titles = {str(name).lower(): each.title for each in sets for name in (*each.aliases, each.name, each.title)}
        return cls({each.title: each for each in sets}, titles)


@dataclass(frozen=True)
class _Place:
    """Where a set lies: HR files in a folder of the set's name, or in a folder that its yaml names."""

    hr: list[Path]
    folder: Path | None = None
    split: Split | None = None


@functools.cache
def _project_catalogue() -> dict[str, Entry]:
    return catalogue()


def _images_of(entry: Entry) -> int | None:
    return next((split.images for split in entry.splits.values()), None)


def _find(root: Path, known: _Known) -> dict[str, _Place]:
    """Find all that may be a set, by title or else by the folder's name."""
    if not root.is_dir():
        raise DataError(
            f"data.root: expected a folder with evaluation sets (Set5/HR/*.png, ...), got {root}, which is not there."
        )
    splits = [(title, split) for title, entry in known.entries.items() for split in entry.splits.values()]
    # A part of a folder's images is known by their ids, whatever the folder is called.
    found = {title: _Place(hr, split=split) for title, split in splits if split.ids and (hr := find_split(split, root))}
    # EDSR's archive has a folder `benchmark` around the sets.
    for parent in (root, root / "benchmark"):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            name = known.titles.get(folder.name.lower(), folder.name)
            hr = _hr_images(folder) if folder.is_dir() and name not in found else []
            if hr:
                found[name] = _Place(hr, folder=folder)
    for title, split in splits:
        hr = find_split(split, root) if title not in found else []
        if hr:
            found[title] = _Place(hr, split=split)
    return found


def _stands_twice(title: str, wanted: Iterable[str], found: Mapping[str, _Place], known: _Known) -> bool:
    """Say whether another set has the images of this one: all and more, or the same, of which it has fewer in papers.

    DIV2K's 801 to 810 beside 801 to 900; or 801 to 900 of which nothing is here but what 801 to 810 have.
    """
    own, size = _identities(found[title]), _images_of(known.entries[title]) or 0
    for other in wanted:
        others = _identities(found[other]) if other != title else set()
        if own < others or (own == others and size > (_images_of(known.entries[other]) or 0)):
            return True
    return False


def _identities(place: _Place) -> set[Path]:
    return {path.resolve() for path in place.hr}


def _resolve(name: str, found: Mapping[str, _Place], known: _Known, root: Path) -> str:
    title = known.titles.get(str(name).lower(), str(name))
    for each in found:
        if each.lower() == title.lower():
            return each
    listed = ", ".join(found) or "none"
    hint = nearest(title, found) or nearest(title, known.entries)
    if title in known.entries:
        hint = f"; python prepare.py data={known.entries[title].name} data.root={root} gets it"
    raise DataError(f"eval: expected sets that lie under {root} ({listed}), got '{name}'{hint}")


def _open(title: str, place: _Place, entry: Entry | None, root: Path, scale: int) -> EvaluationSet:
    if place.folder is not None:
        lr_folder = _lr_folder(place.folder, scale)
        files = _images(lr_folder) if lr_folder else []
    else:
        assert place.split is not None
        lr_folder = find_lr(place.split, root, scale=scale)
        files = list_images(lr_folder) if lr_folder else []
    lr = None if lr_folder is None else tuple(_match(path.stem, files, lr_folder) for path in place.hr)
    if entry is None:
        return EvaluationSet(title, tuple(place.hr), lr)
    return EvaluationSet(title, tuple(place.hr), lr, protocol=entry.protocol, whole=_images_of(entry))


def _exclude(
    sets: Sequence[EvaluationSet], names: Sequence[str], *, known: _Known, found: Iterable[str]
) -> list[EvaluationSet]:
    """Leave images out of the sets that have them; `found` are the sets that lie there, wanted or not."""
    titles = [*found, *known.entries]
    unwanted: dict[str, set[Path]] = {each.name: set() for each in sets}
    for name in map(str, names):
        given, _, image = name.rpartition("/")
        title = known.titles.get(given.lower(), given).lower()
        meant = [each for each in sets if title in ("", each.name.lower())]
        if not meant and title in (each.lower() for each in titles):
            continue  # of a set that is not scored this time
        if not meant and given:
            raise DataError(f"eval_exclude: no set is called '{given}' (in '{name}'){nearest(given, titles)}")
        hits = [(each.name, path) for each in meant for path in each.hr if image in (path.stem, path.name)]
        if not hits:
            choices = [f"{each.name}/{path.stem}" if given else path.stem for each in meant for path in each.hr]
            where = ", ".join(each.name for each in meant) or "no set"
            raise DataError(f"eval_exclude: expected an image of {where}, got '{name}'{nearest(name, choices)}")
        for set_name, path in hits:
            unwanted[set_name].add(path)
    return [_without(each, unwanted[each.name]) for each in sets]


def _without(whole: EvaluationSet, unwanted: set[Path]) -> EvaluationSet:
    if not unwanted:
        return whole
    numbers = tuple(index for index, path in enumerate(whole.hr) if path not in unwanted)
    if not numbers:
        raise DataError(f"eval_exclude leaves no image of {whole.name}; name it in neither eval nor eval_exclude.")
    return replace(
        whole,
        hr=tuple(whole.hr[index] for index in numbers),
        lr=None if whole.lr is None else tuple(whole.lr[index] for index in numbers),
        excluded=tuple(path.stem for path in whole.hr if path in unwanted),
        numbers=numbers,
    )


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
