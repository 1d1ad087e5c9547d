"""What the data sets of the field are, where they come from and in which folders people keep them.

Each set is a yaml in `conf/data/`, whose `spec` holds the facts; this module reads them. No torch, no numpy.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from sr_lightning.data.scan import DataError, list_images
from sr_lightning.refusal import nearest
from sr_lightning.yamls import conf_dir

Kind = Literal["training", "evaluation", "local"]
_Record = TypeVar("_Record")

# Folders that other programs keep their sets in (BasicSR's datasets, EDSR's benchmark, KAIR's trainsets and testsets):
# a root above them does as well.
PARENTS = ("", "datasets", "dataset", "data", "train", "trainsets", "benchmark", "benchmarks", "testsets", "val")
# BasicSR and KAIR cut images into overlapping pieces: 0001_s001.png.
_PIECE = re.compile(r"_s\d{3,}$")


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes:
        file: its name, on any mirror.
        urls: official source first, then others.
        bytes: its size, None where not known to the byte.
        about_bytes: its size for the eye, where `bytes` is unknown.
        sha256: checksum in hex, None where unknown.
        md5: as `sha256`.
        verified: whether the checksum was confirmed by the publisher; a mismatch of another only warns.
        into: folder below `data.root` that it is unpacked in.
        manual: how to get it where no link works.
    """

    file: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    about_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    verified: bool = True
    into: str = ""
    manual: str | None = None

    @property
    def size(self) -> int | None:
        """Its size in bytes as far as it is known."""
        return self.bytes or self.about_bytes


@dataclass(frozen=True)
class Split:
    """A part of a set, such as its training images.

    Attributes:
        archives: keys of the archives that hold it; any one of a group `a|b` will do, the earlier the better.
        hr: folders below `data.root` in which people have it; the first with all images counts, see `find_split`.
            `folder/*_HR` takes the images of a folder whose names, without suffix, are like that.
        lr: folders with the official LR images, `{scale}` stands for the scale.
        ids: which images of the folder: None for all, `{first, last, digits}` for numbers, `{file: [...]}` for a list
            of names below `data.root`.
        images: how many there are.
        pixels: about how many pixels an HR image has, None where unknown.
    """

    archives: tuple[str, ...] = ()
    hr: tuple[str, ...] = ()
    lr: tuple[str, ...] = ()
    ids: Mapping[str, Any] | None = None
    images: int | None = None
    pixels: int | None = None


@dataclass(frozen=True)
class Entry:
    """A set of the catalogue.

    Attributes:
        name: as in `data=name`.
        kind: `training`, `evaluation`, or `local` for images that are not downloaded.
        title: as papers print it.
        about: one sentence.
        homepage: where its authors describe it.
        licence: what may be done with it.
        citation: whom to cite.
        archives: by key.
        splits: by name: `train`, `test`, ...
        aliases: other names of an evaluation set's folder.
        protocol: how an evaluation set is scored where papers score it in a way of its own.
        parts: of a mixture: names of other sets and their weights, None for by number of images.
    """

    name: str
    kind: Kind
    title: str
    about: str = ""
    homepage: str = ""
    licence: str = ""
    citation: str = ""
    archives: Mapping[str, Archive] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    protocol: Mapping[str, Any] | None = None
    parts: Mapping[str, float | None] = field(default_factory=dict)


def catalogue(folders: Sequence[Path] = ()) -> dict[str, Entry]:
    """Read every set of the project's `conf/data` and of further folders with yamls, by name.

    Raises:
        DataError: a yaml's `spec` cannot be read as the facts of a set.
    """
    found: dict[str, Entry] = {}
    for folder in (conf_dir() / "data", *folders):
        for path in sorted(folder.glob("*.yaml")):
            found[path.stem] = _read_file(path, path.stat().st_mtime_ns)
    return found


@cache
def _read_file(path: Path, changed: int) -> Entry:
    """Read a yaml of `conf/data`, once for as long as it stays the same: a sweep asks for each of its cells."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return read_entry(path.stem, content.get("spec") or {}, sets=content.get("sets"))


def look_up(name: str, entries: Mapping[str, Entry], *, key: str) -> Entry:
    """Return the set of that name.

    Raises:
        DataError: there is none; `key` is the configuration key that named it.
    """
    if name not in entries:
        raise DataError(f"{key}: expected one of {', '.join(entries)}, got '{name}'{nearest(name, entries)}")
    return entries[name]


def read_entry(name: str, spec: Mapping[str, Any], *, sets: Mapping[str, float | None] | None = None) -> Entry:
    """Read the `spec` of a data yaml.

    Args:
        name: of the set.
        spec: its facts.
        sets: the parts of a mixture, which stand beside `spec` because a user may change them.

    Raises:
        DataError: a key is unknown or a needed one missing.
    """
    content = dict(spec)
    archives = {key: _record(Archive, f"{name}: archives.{key}", each) for key, each in _items(content, "archives")}
    splits = {key: _record(Split, f"{name}: splits.{key}", each) for key, each in _items(content, "splits")}
    entry = _record(Entry, name, {**content, "name": name, "archives": archives, "splits": splits, "parts": sets or {}})
    for key, split in entry.splits.items():
        unknown = {part for group in split.archives for part in group.split("|")} - set(archives)
        if unknown:
            raise DataError(f"{name}: splits.{key}.archives names {', '.join(unknown)}, which archives does not have.")
    return entry


def _items(content: Mapping[str, Any], key: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return (content.get(key) or {}).items()


def _record(kind: type[_Record], where: str, values: Mapping[str, Any]) -> _Record:
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise DataError(f"conf/data/{where}: unknown key '{unknown[0]}'{nearest(unknown[0], known)}")
    # A list of a yaml becomes a tuple; what is null or absent takes its default.
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return kind(**{key: value for key, value in given.items() if value is not None})
    except TypeError as error:
        raise DataError(f"conf/data/{where}: {error}") from error


def find_split(split: Split, root: Path) -> list[Path]:
    """Return the image files of a split below `data.root`, empty where it is not there.

    The folders are looked for in the order of the yaml, whatever the case of their names, and images in folders of LR
    (`LR_bicubic/x4`) are none of HR. Where a folder holds images of several sets, those with the split's names count.
    The first folder with as many images as the split has is taken; where there is none, that whose number is nearest,
    so that a few left-overs do not stand in for a set. The pieces of an image count as one.
    """
    nearest_yet: list[Path] = []
    least = float("inf")
    seen: list[set[Path]] = []
    for parent in _parents(root):
        for wanted in split.hr:
            chosen = _choose(_images_like(parent, wanted), split, parent)
            # A folder around one that the yaml names before it holds other things as well, such as LR images: it
            # counts only if the rest of it is the whole set.
            inner = set().union(*(each for each in seen if each < set(chosen)))
            chosen = [path for path in chosen if path not in inner]
            if not chosen:
                continue
            # Images of one name in several folders, of which a set has but one, count each.
            found = len({(path.parent, image_name(path)) for path in chosen})
            away = abs(found - (split.images or found))
            if away == 0:
                return chosen
            if away < least and not inner:
                nearest_yet, least = chosen, away
            seen.append(set(chosen))
    return nearest_yet


def find_lr(split: Split, root: Path, *, scale: int) -> Path | None:
    """Return the folder with a split's official LR images of a scale, None where it is not there."""
    for parent in _parents(root):
        for wanted in split.lr:
            place = _existing(parent, wanted.format(scale=scale))
            if place is not None and place.is_dir() and list_images(place):
                return place
    return None


def image_name(path: Path) -> str:
    """Return the name of the image that a file holds, or that it holds a piece of: `0001` for `0001_s001.png`."""
    return _PIECE.sub("", path.stem)


def count_images(paths: Iterable[Path]) -> int:
    """Count images, all pieces of one together."""
    return len({image_name(path) for path in paths})


def _parents(root: Path) -> Iterator[Path]:
    for name in PARENTS:
        place = _existing(root, name)
        if place is not None and place.is_dir():
            yield place


def _images_like(parent: Path, wanted: str) -> list[Path]:
    """Return the HR images that an entry of `Split.hr` stands for."""
    folder, _, pattern = wanted.rpartition("/") if "*" in wanted else (wanted, "", "*")
    place = _existing(parent, folder)
    if place is None or not place.is_dir():
        return []
    return [
        path for path in list_images(place) if fnmatch(path.stem, pattern) and not _is_below_lr(path.relative_to(place))
    ]


def _is_below_lr(path: Path) -> bool:
    return any(part.lower().startswith("lr") for part in path.parts[:-1])


def _choose(images: Sequence[Path], split: Split, parent: Path) -> list[Path]:
    wanted = _ids(split.ids, parent) if split.ids is not None else None
    return list(images) if wanted is None else [path for path in images if image_name(path) in wanted]


def _ids(ids: Mapping[str, Any], parent: Path) -> set[str] | None:
    """Return the names of a split's images; None where the list that has them is not there."""
    if "first" in ids:
        return {f"{number:0{ids['digits']}d}" for number in range(ids["first"], ids["last"] + 1)}
    for name in ids["file"]:
        path = _existing(parent, name)
        if path is not None:
            return set(path.read_text(encoding="utf-8").split())
    return None


def _existing(root: Path, relative: str) -> Path | None:
    """Find a path below a folder, taking names of another case where there is none of the given."""
    place = root
    for part in Path(relative).parts:
        if not place.is_dir():
            return None
        if (place / part).exists():
            place /= part
            continue
        same = [each for each in place.iterdir() if each.name.lower() == part.lower()]
        if not same:
            return None
        place = min(same)
    return place
