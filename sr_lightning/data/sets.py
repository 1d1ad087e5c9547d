"""Which files a run trains on and which choose its best weights: from the `data` keys to paths. No torch, no numpy."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr_lightning.data.catalogue import Archive, Entry, Split, count_images, find_split, image_name, look_up, read_entry
from sr_lightning.data.sample import sample_images
from sr_lightning.data.scan import DataError, list_images
from sr_lightning.refusal import nearest

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The training images of one set.

    Attributes:
        name: of the set, as in `data=name`.
        files: the images.
        weight: how often patches are drawn from it beside the other parts; None for as often as it has images.
    """

    name: str
    files: list[Path]
    weight: float | None = None


@dataclass(frozen=True)
class Count:
    """How much of a set is there, before images are held out or excluded.

    Attributes:
        name: of the set; `name/test` for the validation images of a set that has training images too.
        found: images, all pieces of one together.
        expected: images that the set has; None for images of a user's own.
        fetched: whether an archive of them is known.
    """

    name: str
    found: int
    expected: int | None = None
    fetched: bool = False

    @property
    def is_incomplete(self) -> bool:
        """Whether images of the set are missing."""
        return self.expected is not None and self.found < self.expected


@dataclass(frozen=True)
class Images:
    """The images of a run.

    Attributes:
        train: the parts that it trains on, one unless sets are mixed.
        val: the images that choose the best weights.
        val_name: what they are, for people.
        test: images to report on beside the evaluation sets; may be empty.
        test_name: what they are called there.
        counts: how much of each set to train and validate on is there.
    """

    train: list[Part]
    val: list[Path]
    val_name: str
    test: list[Path]
    test_name: str = "test"
    counts: tuple[Count, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A part of a set that a run needs.

    Attributes:
        key: the configuration key that names it.
        role: what its images are for: `training`, `validation` or `evaluation`.
        entry: the set.
        split: the part of it.
        weight: of a part of a mixture, None for by number of images.
    """

    key: str
    role: str
    entry: Entry
    split: Split
    weight: float | None = None


class MissingImages(DataError):  # noqa: N818 - says what is the matter, as its base does
    """Images of the catalogue are not there.

    Attributes:
        sets: the names of the sets that miss some.
        places: what is expected where.
        download: about how much is to be fetched, for people; empty where unknown.
        command: the command line that fetches the images, None where no archive of them is known.
    """

    def __init__(self, places: str, *, sets: Sequence[str], command: str | None, download: str = "") -> None:
        self.places, self.sets, self.command, self.download = places, list(sets), command, download
        super().__init__(self.message(command or ""))

    def message(self, command: str) -> str:
        """Say what is missing and that a command line fetches it: of a command, that with its own arguments."""
        if self.command is None:
            return f"{self.places}; put them there."
        total = f" ({self.download})" if self.download else ""
        return f"{self.places}; `{command}` fetches them{total}, or data.download=true lets the training do so."


def image_channels(model: Mapping[str, Any]) -> int:
    """Return the channels of the images that a network is trained on, from its yaml's content.

    A network for Y is trained on colour images, of which it takes the Y.
    """
    channels = int(model.get("channels", 3))
    return 3 if channels == 1 else channels


def locate(data: Data, *, name: str, scale: int, entries: Mapping[str, Entry], channels: int = 3) -> Images:
    """Find the images of a run.

    Args:
        data: the configuration's `data`.
        name: what `data` was chosen as.
        scale: for the command that a message names.
        entries: the catalogue.
        channels: of the images; other than 3, only folders of a user's own have them.

    Raises:
        MissingImages: a set is not below `data.root`; the message has the command that fetches it.
        DataError: a set is unknown, of another kind or of RGB where other images are wanted, or images to hold out or
            leave out are not there.
    """
    own = own_entry(data, name=name)
    wanted = wanted_splits(data, name=name, entries=entries, channels=channels)
    root = Path(data["root"]).expanduser()
    found = [find_split(each.split, root) for each in wanted]
    missing = [each for each, files in zip(wanted, found, strict=True) if not files]
    if missing:
        raise _missing_images(missing, data, name=name, scale=scale)
    of_catalogue = list(zip(wanted, found, strict=True))
    parts = [Part(each.entry.name, files, each.weight) for each, files in of_catalogue if each.role == "training"]
    test: list[Path] = []
    if name == "sample":
        sample = sample_images()
        parts, test = [Part(name, sample["train"])], sample["test"]
    elif own.kind == "local":
        parts = [Part(name, _folder(data["train_dir"], key="data.train_dir", channels=channels))]
        if data["test_dir"]:
            test = _folder(data["test_dir"], key="data.test_dir", channels=channels)
    counts = [_count(each, files) for each, files in of_catalogue]
    if own.kind == "local":
        counts += [Count(part.name, count_images(part.files)) for part in parts]
    parts = _exclude(parts, data["exclude"])
    validation = [(each, files) for each, files in of_catalogue if each.role == "validation"]
    if data.get("val_dir"):
        val, val_name = _folder(data["val_dir"], key="data.val_dir", channels=channels), "data.val_dir"
    elif validation:
        val, val_name = validation[0][1], validation[0][0].entry.title
    elif name == "sample":
        val, val_name = sample_images()["val"], "sample"
    elif data["holdout"]:
        parts, val = _hold_out(parts, data["holdout"])
        val_name = f"{count_images(val)} images held out of {name}"
    else:
        folder = "data.val_dir=DIR, " if "val_dir" in data else ""
        raise DataError(
            f"data.val: expected images that choose the best weights, got none; say {folder}data.val=set5 (or another "
            "evaluation set) or data.holdout=10 (training images to hold out)."
        )
    return Images(
        train=parts,
        val=val,
        val_name=val_name,
        test=test,
        test_name=name if name == "sample" else "test",
        counts=tuple(counts),
    )


def wanted_splits(data: Data, *, name: str, entries: Mapping[str, Entry], channels: int = 3) -> list[Wanted]:
    """Return the parts of the catalogue's sets that `locate` looks for: for training, then for validation.

    Raises:
        DataError: a set is unknown, of another kind, or of RGB where images of other than 3 channels are wanted, or
            only some parts of a mixture have weights.
    """
    own = own_entry(data, name=name)
    wanted: list[Wanted] = []
    if own.kind == "evaluation":
        raise DataError(
            f"data={name} is an evaluation set, nothing to train on; train on {_listed(entries, 'train')} and name "
            f"it in eval=[{name}] or data.val={name}."
        )
    if "sets" in data and not own.parts:
        raise DataError(
            f"data.sets: expected at least one set, of {_listed(entries, 'train')}, and its weight or null, got none; "
            "say 'data.sets={bsds300: null, t91: null}'."
        )
    if own.parts:
        wanted += _mixture(own.parts, entries)
    elif own.kind == "training":
        wanted.append(Wanted(f"data={name}", "training", own, own.splits["train"]))
    if data["val"] is not None and not data.get("val_dir"):
        wanted.append(_validation(str(data["val"]), entries))
    _check_channels(["data=sample"] if name == "sample" else [each.key for each in wanted], channels)
    return wanted


def wanted_sets(
    data: Data,
    *,
    name: str,
    evaluated: str | Sequence[str] | None,
    entries: Mapping[str, Entry],
    channels: int = 3,
) -> list[Wanted]:
    """Return all parts of sets that a configuration names, those to evaluate on among them, each once.

    Args:
        data: the configuration's `data`; here an evaluation set may be chosen too.
        name: what it was chosen as.
        evaluated: the configuration's `eval`.
        entries: the catalogue.
        channels: of the images; other than 3, none of the catalogue's sets has them.

    Raises:
        DataError: a set is unknown, of a kind that its key does not take, or of RGB where other images are wanted.
    """
    own = own_entry(data, name=name)
    if own.kind == "evaluation":
        wanted = [Wanted(f"data={name}", "evaluation", own, own.splits["test"])]
    else:
        wanted = wanted_splits(data, name=name, entries=entries, channels=channels)
    for each in [evaluated] if isinstance(evaluated, str) else evaluated or ():
        entry = _evaluation_entry(str(each), entries, root=Path(data["root"]).expanduser())
        if entry is not None and all(entry.name != other.entry.name for other in wanted):
            wanted.append(Wanted(f"eval={each}", "evaluation", entry, entry.splits["test"]))
    _check_channels([each.key for each in wanted], channels)
    return wanted


def own_entry(data: Data, *, name: str) -> Entry:
    """Return what the chosen yaml says of its own set."""
    return read_entry(name, data["spec"], sets=data.get("sets"))


def wanted_archives(entry: Entry, split: Split) -> list[Archive]:
    """Return the archives that a split is likely fetched as: of a group, the first with an official source."""
    chosen = []
    for group in split.archives:
        options = [entry.archives[key] for key in group.split("|")]
        chosen.append(next((archive for archive in options if archive.urls), options[0]))
    return chosen


def prepare_command(data: Data, *, name: str, scale: int, val: bool = False) -> str:
    """Return a command line that fetches the images of a run, for callers from Python, who have none of their own.

    Args:
        data: the configuration's `data`.
        name: what it was chosen as.
        scale: of the run.
        val: whether to name the validation set.
    """
    arguments = [f"data={name}", f"scale={scale}", shlex.quote(f"data.root={data['root']}")]
    if data.get("sets"):
        arguments.append(f"'data.sets={{{_parts_text(data['sets'])}}}'")
    if val:
        arguments.append(f"data.val={data['val']}")
    if data["mirrors"]:
        arguments.append(f"'data.mirrors=[{', '.join(map(str, data['mirrors']))}]'")
    return f"python prepare.py {' '.join(arguments)}"


def expected_places(split: Split, root: Path) -> str:
    """Say where a split's images are looked for, for a message."""
    first, *others = split.hr
    return f"{root / first}" + (f" (or {others[0]}, ...)" if others else "")


def size_text(size: float) -> str:
    """Return a number of bytes as people write it: `3.5 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _check_channels(keys: Sequence[str], channels: int) -> None:
    """Refuse the project's own sets, named by configuration keys, where images have other channels than they."""
    if channels != 3 and keys:
        raise DataError(
            f"{keys[0]}: its images are RGB, model.channels={channels} takes images of {channels} bands; say "
            "data=folder data.train_dir=DIR data.val_dir=DIR with images of your own (TIFF or .npy)."
        )


def _mixture(parts: Mapping[str, float | None], entries: Mapping[str, Entry]) -> list[Wanted]:
    weights = list(parts.values())
    if any(weight is None for weight in weights) != all(weight is None for weight in weights):
        raise DataError(
            "data.sets: expected weights for all sets or for none (null: by number of images), got "
            f"{_parts_text(parts)}."
        )
    if any(weight is not None and not weight > 0 for weight in weights):
        raise DataError(f"data.sets: expected positive weights, got {', '.join(map(str, weights))}.")
    wanted = []
    for part, weight in parts.items():
        entry = entries.get(part) or look_up(part, _with_split(entries, "train"), key="data.sets")
        if "train" not in entry.splits:
            raise DataError(f"data.sets: expected sets to train on ({_listed(entries, 'train')}), got '{part}'.")
        wanted.append(Wanted(f"data.sets.{part}", "training", entry, entry.splits["train"], weight))
    return wanted


def _validation(name: str, entries: Mapping[str, Entry]) -> Wanted:
    entry = entries.get(name) or look_up(name, _with_split(entries, "test"), key="data.val")
    split = entry.splits.get("test")
    if split is None:
        raise DataError(
            f"data.val: expected a set with images to evaluate on ({_listed(entries, 'test')}), got '{name}'; "
            "data.holdout=10 holds training images out."
        )
    return Wanted(f"data.val={name}", "validation", entry, split)


def _evaluation_entry(name: str, entries: Mapping[str, Entry], *, root: Path) -> Entry | None:
    """Return the set that `eval` names by any of its names; None for a folder of a user's own."""
    known = [entry for entry in entries.values() if entry.kind == "evaluation"]
    for entry in known:
        if name.lower() in {text.lower() for text in (entry.name, entry.title, *entry.aliases)}:
            return entry
    if (root / name).is_dir():
        return None
    names = [entry.name for entry in known]
    raise DataError(f"eval: expected {', '.join(names)} or a folder below {root}, got '{name}'{nearest(name, names)}")


def _listed(entries: Mapping[str, Entry], split: str) -> str:
    return ", ".join(_with_split(entries, split))


def _with_split(entries: Mapping[str, Entry], split: str) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if split in entry.splits}


def _parts_text(parts: Mapping[str, float | None]) -> str:
    """Return the sets of a mixture with their weights, as they are typed."""
    return ", ".join(f"{part}: {'null' if weight is None else weight}" for part, weight in parts.items())


def _count(wanted: Wanted, files: Sequence[Path]) -> Count:
    entry, split = wanted.entry, wanted.split
    name = f"{entry.name}/test" if wanted.role == "validation" and "train" in entry.splits else entry.name
    return Count(name, count_images(files), expected=split.images, fetched=bool(split.archives))


def _missing_images(missing: Sequence[Wanted], data: Data, *, name: str, scale: int) -> MissingImages:
    root = Path(data["root"]).expanduser()
    lines = []
    for each in missing:
        number = f"{each.split.images} " if each.split.images else ""
        place = expected_places(each.split, root)
        lines.append(f"{each.key}: {number}{each.role} images are expected under {place}, found none")
    archives = {
        archive.file: archive for each in missing for archive in wanted_archives(each.entry, each.split)
    }.values()
    command = prepare_command(data, name=name, scale=scale, val=any(each.role == "validation" for each in missing))
    sizes = [archive.size for archive in archives if archive.size]
    return MissingImages(
        "; ".join(lines),
        sets=[each.entry.name for each in missing],
        command=command if archives else None,
        download=f"{'more than ' if len(sizes) < len(archives) else ''}{size_text(sum(sizes))}" if sizes else "",
    )


def _folder(given: str | None, *, key: str, channels: int) -> list[Path]:
    """Return the images of a folder that a user named."""
    if not given:
        raise DataError(f"{key}: expected a folder of images, got nothing; say {key}=DIR.")
    folder = Path(given).expanduser()
    images = list_images(folder, channels=channels) if folder.is_dir() else []
    if not images:
        raise DataError(f"{key}: expected a folder with images, got {folder}, which has none.")
    return images


def _exclude(parts: Sequence[Part], names: Sequence[str]) -> list[Part]:
    """Leave training images out by their names, with or without suffix; all pieces of an image go with it."""
    unwanted = {str(name) for name in names}
    known = {text for part in parts for path in part.files for text in _names(path)}
    unknown = sorted(unwanted - known)
    if unknown:
        raise DataError(f"data.exclude: no training image is called '{unknown[0]}'{nearest(unknown[0], sorted(known))}")
    return [
        Part(part.name, [path for path in part.files if not unwanted & _names(path)], part.weight) for part in parts
    ]


def _names(path: Path) -> set[str]:
    return {path.name, path.stem, image_name(path), f"{image_name(path)}{path.suffix}"}


def _hold_out(parts: Sequence[Part], count: int) -> tuple[list[Part], list[Path]]:
    """Take `count` images for validation off the training images.

    Those are taken whose names have the smallest hashes: nearly the same ones when images come or go. The pieces of an
    image go together, since they overlap.
    """
    images = {(part.name, image_name(path)) for part in parts for path in part.files}
    if count >= len(images):
        raise DataError(f"data.holdout: expected fewer than the {len(images)} images there are, got {count}.")
    ranked = sorted(images, key=lambda image: (hashlib.sha256(image[1].encode()).digest(), image[0]))
    held = set(ranked[:count])
    kept: list[Part] = []
    val: list[Path] = []
    for part in parts:
        stays: list[Path] = []
        for path in part.files:
            (val if (part.name, image_name(path)) in held else stays).append(path)
        kept.append(Part(part.name, stays, part.weight))
    return kept, val
