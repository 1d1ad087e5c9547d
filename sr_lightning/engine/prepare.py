"""Getting ready what a training needs: images fetched, unpacked and decoded once, weights of VGG in place.

torch, and what imports it, takes ten seconds to import: it comes where images are decoded and weights looked for. What
has to be fetched is said, fetched and unpacked before, and what cannot be had is refused at once.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import rich
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from sr_lightning.data.catalogue import Archive, catalogue, count_images, find_lr, find_split, image_name
from sr_lightning.data.download import fetch, taking_turns
from sr_lightning.data.extract import extract
from sr_lightning.data.scan import DataError
from sr_lightning.data.sets import (
    Wanted,
    expected_places,
    image_channels,
    own_entry,
    size_text,
    wanted_archives,
    wanted_sets,
)
from sr_lightning.metric_names import AUTO, wanted_metrics

Config = Mapping[str, Any]
Free = Callable[[Path], int]

# Below `data.root`: where archives arrive, and where one brought by hand is looked for.
ARCHIVES = "archives"
# Torchvision's names of the networks that metrics compare features of.
_BACKBONES = {"lpips": "alexnet", "dists": "vgg16"}
# In a pipe: seconds between two lines of a download.
_SECONDS_PER_LINE = 15.0


@dataclass
class Need:
    """A part of a set that is needed, its files as far as they are there, and whether to fetch it once more."""

    wanted: Wanted
    files: list[Path]
    again: bool = False

    def can_be_completed(self, root: Path) -> bool:
        """Whether images are missing in a folder that an archive of the set is unpacked into."""
        split = self.wanted.split
        if not self.files or not split.archives or split.images is None or count_images(self.files) >= split.images:
            return False
        # Without a folder of its own, an archive makes that which the yaml names first.
        own = {archive.into or Path(split.hr[0]).parts[0] for archive in wanted_archives(self.wanted.entry, split)}
        # Pieces of images are made by other programs, not unpacked.
        return all(path.stem == image_name(path) for path in self.files) and any(
            all(path.is_relative_to(root / folder) for path in self.files) for folder in own
        )


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk where a folder is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def prepare(config: dict[str, Any], *, free: Free = free_bytes) -> None:
    """Fetch, check and decode the images of a configuration, then fetch the weights that its losses name.

    Args:
        config: resolved, of `conf/train.yaml`.
        free: says how many bytes are free where a folder lies.

    Raises:
        DataError: something cannot be had; says what to put where.
        Refusal: the configuration cannot be built.
    """
    needs = prepare_images(config, free=free, says_all=True)
    trains = own_entry(config["data"], name=config["names"]["data"]).kind != "evaluation"
    if trains:
        _pack(config, needs)
    weights = fetch_weights(config)
    _show_ready(config, needs, weights=weights, trains=trains)


def prepare_images(config: Config, *, free: Free = free_bytes, says_all: bool = False) -> list[Need]:
    """Fetch the images of a configuration that are not there: to train on, to validate and to evaluate on.

    Args:
        config: resolved, of `conf/train.yaml`.
        free: says how many bytes are free where a folder lies.
        says_all: whether to say what is there, even where nothing has to be fetched.

    Returns:
        What is needed, with the files of each.

    Raises:
        DataError: a set is unknown or cannot be had, or the disk is too small.
    """
    root = _expand(config["data"]["root"])
    wanted = wanted_sets(
        config["data"],
        name=config["names"]["data"],
        evaluated=config["eval"],
        entries=catalogue([_expand(folder) for folder in config["paths"]["catalogue"]]),
        channels=image_channels(config["model"]),
    )
    needs = [Need(each, find_split(each.split, root)) for each in wanted]
    for need in needs:
        # A training takes what is there.
        need.again = says_all and need.can_be_completed(root)
    if says_all or any(not need.files for need in needs):
        _show_plan(config, needs, free=free)
    if any(not need.files and need.wanted.split.archives for need in needs):
        _make_folder(root)
    for need in needs:
        if not need.files:
            # Another set's archive may have brought it meanwhile.
            need.files = find_split(need.wanted.split, root) or _get(need.wanted, config["data"], root=root)
        elif need.again:
            _complete(need, config["data"], root=root)
        _say_count(need)
    return needs


def fetch_weights(config: Config) -> list[Path]:
    """Fetch the files of parameters that a configuration will look for, into torch hub's folder.

    They are those of losses that compare features, of metrics that are asked for by name (`metrics=auto` takes what is
    there), and AlexNet's, with which the validation of a GAN measures LPIPS.

    Raises:
        DataError: some cannot be had; says which file to put where.
    """
    # torch comes with it.
    from sr_lightning.metrics.lpips import lpips_backbone_path

    metrics = () if config["metrics"] == AUTO else wanted_metrics(config["metrics"])
    backbones = sorted(
        {
            backbone
            for loss in (config["loss"], config["module"].get("pretrain_loss") or {})
            for term in loss.values()
            if (backbone := _backbone_of(term))
        }
        | {_BACKBONES[name] for name in metrics if name in _BACKBONES}
        | ({"alexnet"} if "discriminator" in config["module"] and lpips_backbone_path() is None else set())
    )
    paths, problems = [], []
    for backbone in backbones:
        try:
            paths.append(_fetch_backbone(backbone, mirrors=config["data"]["mirrors"]))
        except DataError as error:
            problems.append(str(error))
    if "niqe" in metrics:
        try:
            paths.append(_fetch_niqe(mirrors=config["data"]["mirrors"]))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("the images are ready, weights are not: " + "\n".join(problems))
    return paths


def _backbone_of(term: Config) -> str | None:
    """Return torchvision's name of the network whose features a loss term compares; None where it needs no file."""
    kind = term["_target_"].removeprefix("sr_lightning.losses.")
    if kind == "dists.DISTSLoss":
        return "vgg16"
    if kind == "lpips.LPIPSLoss":
        return {"alex": "alexnet", "vgg": "vgg16"}.get(term["backbone"])
    if kind in ("perceptual.PerceptualLoss", "style.StyleLoss") and term["weights"] in ("imagenet", "auto"):
        return str(term["backbone"])
    return None


def _fetch_niqe(*, mirrors: Sequence[str]) -> Path:
    from sr_lightning.metrics.niqe import PARAMETERS

    archive = Archive(PARAMETERS.name, urls=(PARAMETERS.url,), sha256=PARAMETERS.sha256)
    return fetch(archive, PARAMETERS.expected.parent, mirrors=mirrors).path


def _fetch_backbone(backbone: str, *, mirrors: Sequence[str]) -> Path:
    # Seconds that few configurations need.
    from torch import hub
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]

    url = str(get_model_weights(backbone).IMAGENET1K_V1.url)
    folder = Path(hub.get_dir(), "checkpoints")
    file = url.rpartition("/")[2]
    if (folder / file).is_file():
        return folder / file
    with _bytes_shown(file) as progress:
        path = fetch(Archive(file, urls=(url,)), folder, mirrors=mirrors, progress=progress).path
    # vgg19-dcbb9e9d.pth: the name ends in the first digits of the checksum.
    beginning = path.stem.rpartition("-")[2]
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if not digest.startswith(beginning):
        path.unlink()
        raise DataError(
            f"{file}: expected a sha256 that begins with {beginning}, got {digest[:8]}; fetch it from {url}"
        )
    return path


def _get(wanted: Wanted, data: Config, *, root: Path) -> list[Path]:
    """Fetch and unpack what holds a part of a set, and return its images."""
    entry, split = wanted.entry, wanted.split
    if not split.archives:
        raise DataError(
            f"{wanted.key}: put the images into {expected_places(split, root)}; no archive of them is known."
        )
    _print(f"\n{entry.title}: {entry.about}", style="bold")
    for title, text in (("licence", entry.licence), ("please cite", entry.citation), ("homepage", entry.homepage)):
        if text:
            _print(f"  {title:<12}{text}")
    folder = root / ARCHIVES
    try:
        # The archive goes once it is unpacked: whoever waited for it would fetch it again.
        with taking_turns(folder / entry.name):
            return find_split(split, root) or _fetch_and_unpack(wanted, folder, mirrors=data["mirrors"])
    except OSError as error:
        raise DataError(f"data.root: {root} cannot be written: {error}; choose another folder.") from error


def _make_folder(root: Path) -> None:
    """Make the folder that archives arrive in.

    Raises:
        DataError: it cannot be made, or written to.
    """
    folder = root / ARCHIVES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Permissions alone do not tell: the super-user has them all, on disks that take nothing too.
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(f"data.root: {root} cannot be written: {error}; choose another folder.") from error


def _expand(path: str) -> Path:
    return Path(path).expanduser()


def _complete(need: Need, data: Config, *, root: Path) -> None:
    """Fetch a set of which images are missing once more; where no archive can be had, what is there has to do."""
    title = need.wanted.entry.title
    _print(f"\n{title}: {count_images(need.files)} of {need.wanted.split.images} images are there, fetching it again")
    try:
        folder = root / ARCHIVES
        folder.mkdir(parents=True, exist_ok=True)
        with taking_turns(folder / need.wanted.entry.name):
            need.files = _fetch_and_unpack(need.wanted, folder, mirrors=data["mirrors"])
    except (DataError, OSError) as error:
        _print(f"{title} stays as it is: {str(error).splitlines()[0]}", style="yellow")


def _fetch_and_unpack(wanted: Wanted, folder: Path, *, mirrors: Sequence[str]) -> list[Path]:
    entry, split, root = wanted.entry, wanted.split, folder.parent
    held = []
    for group in split.archives:
        archive, arrived = _fetch_any([entry.archives[key] for key in group.split("|")], folder, mirrors=mirrors)
        with _bytes_shown(f"unpacking {archive.file}") as progress:
            unpacked = extract(folder / archive.file, root / archive.into, progress=progress)
        if arrived:
            (folder / archive.file).unlink()
        held.append(
            f"{archive.file} holds {', '.join(path.relative_to(root).as_posix() for path in unpacked[:3])}, ..."
        )
    found = find_split(split, root)
    if not found:
        raise DataError(
            f"{'; '.join(held)}: none of these is an image of {entry.title}, which are expected under "
            f"{expected_places(split, root)}; take the files away and get another archive."
        )
    return found


def _fetch_any(options: Sequence[Archive], folder: Path, *, mirrors: Sequence[str]) -> tuple[Archive, bool]:
    """Fetch one of several archives that will do; mirrors are asked for each before an official source is.

    Returns:
        The archive, and whether it arrived just now rather than being there before.
    """
    there = [option for option in options if (folder / option.file).is_file()]
    on_mirrors = [replace(option, urls=()) for option in options] if mirrors else []
    official = [option for option in options if option.urls]
    problems: list[str] = []
    for archive in [*there, *on_mirrors, *official]:
        try:
            with _bytes_shown(archive.file) as progress:
                known = () if archive.urls else mirrors
                fetched = fetch(archive, folder, mirrors=known, progress=progress)
        except DataError as error:
            # The indented lines say what became of each source; what is around them is said once below.
            reasons = [line.strip() for line in str(error).splitlines() if line.startswith("  ")]
            problems += reasons or [str(error)]
        else:
            for warning in fetched.warnings:
                _print(warning, style="yellow")
            _print(f"{archive.file}: {'is there' if fetched.source is None else f'from {fetched.source}'}")
            return archive, fetched.source is not None
    names = " or ".join(option.file for option in options)
    manual = [option.manual for option in options if option.manual]
    lines = [f"{names} could not be fetched: {'; '.join(problems) or 'no source is known'}.", *manual]
    raise DataError("\n".join([*lines, f"Put {names} into {folder.absolute()} and say the command again."]))


def _say_count(need: Need) -> None:
    expected, found = need.wanted.split.images, count_images(need.files)
    if expected is not None and found != expected:
        title, role = need.wanted.entry.title, need.wanted.role
        _print(
            f"{title}: expected {expected} images for {role}, found {found} in {need.files[0].parent}", style="yellow"
        )


def _show_plan(config: Config, needs: Sequence[Need], *, free: Free) -> None:
    """Say what is there and what has to be fetched, and refuse what does not fit on the disk.

    Raises:
        DataError: the disk is too small.
    """
    data, root, cache = config["data"], _expand(config["data"]["root"]), _expand(config["paths"]["cache"])
    table = Table("set", "images for", "", box=None, pad_edge=False, header_style="bold")
    archives: dict[str, Archive] = {}
    for need in needs:
        fetched = wanted_archives(need.wanted.entry, need.wanted.split) if need.again or not need.files else []
        archives |= {archive.file: archive for archive in fetched}
        there = [_found(need)] if need.files else []
        state = "; ".join(there + ([_to_fetch(need, mirrors=bool(data["mirrors"]))] if need.again or not there else []))
        table.add_row(need.wanted.entry.title, need.wanted.role, Text(state))
    if needs:
        rich.get_console().print(table)
    # Until an archive is unpacked, it and its content lie side by side; images hardly shrink in an archive.
    sizes = [archive.size or 0 for archive in archives.values()]
    download = sum(sizes) + max(sizes, default=0)
    shared = _disk(root) == _disk(cache)
    store = _store_bytes(config, needs, room=free(cache) - (download if shared else 0))
    rows = [(root, download, "archives and images")] if download else []
    rows += [(cache, store, "decoded images")] if store else []
    for place, needed, what in rows:
        _print(f"{what}: about {size_text(needed)} in {place.absolute()}, {size_text(free(place))} free")
    if any(archive.size is None for archive in archives.values()):
        _print("(the size of some archives is unknown)")
    if len(rows) == 2 and shared:
        rows = [(root, download + store, "archives, images and decoded images")]
    for place, needed, what in rows:
        if needed > free(place):
            raise DataError(
                f"{what} need about {size_text(needed)} in {place.absolute()}, which has {size_text(free(place))} "
                "free; make room, or choose other disks with data.root=DIR and paths.cache=DIR"
                + ("" if data["store"] == "off" else " (data.store=off decodes while training instead).")
            )


def _to_fetch(need: Need, *, mirrors: bool) -> str:
    """Say which archives will do; without mirrors only those with an official source."""
    files = []
    entry, split = need.wanted.entry, need.wanted.split
    for group, likely in zip(split.archives, wanted_archives(entry, split), strict=True):
        options = [entry.archives[key] for key in group.split("|")]
        names = [option.file for option in options if mirrors or option.urls or option is likely]
        files.append(f"{' or '.join(names)} ({'size unknown' if likely.size is None else size_text(likely.size)})")
    return f"to fetch: {', '.join(files)}" if files else "not there"


def _found(need: Need) -> str:
    return f"{count_images(need.files)} images in {need.files[0].parent}"


def _disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev


def _store_bytes(config: Config, needs: Sequence[Need], *, room: int) -> int:
    """Return the bytes of the stores that are not there yet.

    They are exact where all images are there. Else they are those of images of each set's usual size, unless these do
    not fit into the room: then the images that are there are looked at, and those decoded before take none.
    """
    data = config["data"]
    if data["store"] != "disk" or own_entry(data, name=config["names"]["data"]).kind == "evaluation":
        return 0
    scales = data["scales"] or [config["scale"]]
    packed = [need for need in needs if need.wanted.role != "evaluation"]
    there = [need for need in packed if need.files and not need.again]
    missing = [need for need in packed if not need.files or need.again]
    bytes_per_pixel = image_channels(config["model"]) * (1 + sum(1 / scale**2 for scale in scales))
    total: int = round(sum(map(_usual_pixels, missing)) * bytes_per_pixel)
    likely: int = total + round(sum(map(_usual_pixels, there)) * bytes_per_pixel)
    if missing and (not there or likely <= room):
        return likely
    # Reading headers brings torch, which is needed anyway where nothing has to be fetched.
    from sr_lightning.data.sources import Sources, plan

    lists: list[Sequence[Path]] = [need.files for need in there]
    if not missing:
        from sr_lightning.engine.images import locate_images

        images = locate_images(dict(config))
        lists = [*(part.files for part in images.train), images.val]
    cache = _expand(config["paths"]["cache"])
    for files in lists:
        sources = Sources(files, channels=image_channels(config["model"]), resize=None)
        if not (cache / sources.key).is_dir():
            total += plan(sources).bytes(scales)
    return total


def _usual_pixels(need: Need) -> int:
    """Return the pixels of a set's images, 0 where their size is unknown."""
    split = need.wanted.split
    return ((not need.again and count_images(need.files)) or split.images or 0) * (split.pixels or 0)


def _pack(config: dict[str, Any], needs: Sequence[Need]) -> None:
    """Decode the images into the stores of a training, and compare their LR with that of the sets' authors."""
    if config["data"]["store"] != "disk":
        _print(f"data.store={config['data']['store']}: nothing to decode beforehand")
        return
    # All of these bring torch.
    from sr_lightning.data.official_lr import compare_lr
    from sr_lightning.engine import announce
    from sr_lightning.engine.images import build_datamodule

    data = config["data"]
    patch = data["hr_patch"] or data["lr_patch"] * max(data["scales"] or [config["scale"]])
    cuts = data["crop"] in ("random", "centre")
    # A store holds small images too: whether too many are smaller than the patch is for the training to say.
    smallest = {**config, "data": {**data, "hr_patch": None, "lr_patch": 1}} if cuts else config
    with announce.packing() as progress:
        datamodule = build_datamodule(smallest, progress=progress)
        datamodule.prepare_data()
    for each, store in zip(datamodule.train, datamodule.train_stores, strict=True):
        small = int((store.sizes.min(axis=1) < patch).sum()) if cuts else 0
        if small:
            _print(
                f"{each.name}: {small} of {len(store)} images are smaller than the patch of {patch} pixels; a training "
                f"leaves them out, and refuses if they are more than data.max_skipped={data['max_skipped']:g} of all: "
                "smaller patches use them",
                style="yellow",
            )
    root = _expand(config["data"]["root"])
    stores = {each.name: store for each, store in zip(datamodule.train, datamodule.train_stores, strict=True)}
    for need in needs:
        role, entry = need.wanted.role, need.wanted.entry
        packed = {"training": stores.get(entry.name), "validation": datamodule.val_store}.get(role)
        for scale in packed.scales if packed is not None else ():
            folder = find_lr(need.wanted.split, root, scale=scale)
            own_files = data["lr_dir"] if role == "training" else data["val_lr_dir"]
            if packed is None or folder is None or own_files:
                continue
            comparison = compare_lr(packed, folder, scale=scale)
            if comparison is not None:
                _print(f"{entry.title}: the published LR images at x{scale} ({folder}): {comparison}")


def _show_ready(config: Config, needs: Sequence[Need], *, weights: Sequence[Path], trains: bool) -> None:
    table = Table("ready", "", box=None, pad_edge=False, header_style="bold green")
    for need in needs:
        table.add_row(need.wanted.entry.title, Text(_found(need)))
    if trains and config["data"]["store"] == "disk":
        table.add_row("decoded", Text(str(_expand(config["paths"]["cache"]))))
    for path in weights:
        table.add_row("weights", Text(str(path)))
    console = rich.get_console()
    console.print()
    console.print(table)


def _print(text: str, *, style: str | None = None) -> None:
    rich.get_console().print(text, style=style, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _bytes_shown(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how many bytes are done: a bar with speed and time left on a terminal, a line now and then in a pipe."""
    console = rich.get_console()
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    said = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        nonlocal said
        if time.monotonic() - said >= _SECONDS_PER_LINE:
            said = time.monotonic()
            _print(f"{what}: {size_text(done)}" + (f" of {size_text(total)}, {done / total:.0%}" if total else ""))

    yield tell
