"""The page `docs/datasets.md`, made of the yamls in `conf/data`: `python -m sr_lightning.data.datasets_page`."""

from collections.abc import Mapping
from pathlib import Path

from sr_lightning.data.catalogue import Archive, Entry, catalogue
from sr_lightning.data.sets import size_text
from sr_lightning.yamls import conf_dir

_INTRODUCTION = """\
# Data sets

Made of the yamls in `conf/data` by `make datasets`; change those, not this page.

`python prepare.py data=NAME scale=S data.root=DIR` fetches a set with its validation images, checks and unpacks it and
decodes it once. `python train.py data=NAME ...` says this command where images are missing, or fetches them itself with
`data.download=true`. A set that lies below `data.root` in one of the folders named here is found, whatever the case of
their names, and not fetched again; a folder above them that other programs use (`datasets/`, `benchmark/`,
`trainsets/`, `testsets/`, ...) does no harm. `data.mirrors='[URL or folder]'` is asked for the archives first, by the
names given here.
"""


def datasets_page(entries: Mapping[str, Entry]) -> str:
    """Return the page in Markdown.

    Args:
        entries: the catalogue.
    """
    kinds = {kind: [each for each in entries.values() if each.kind == kind] for kind in ("training", "evaluation")}
    mixtures = [each for each in kinds["training"] if each.parts]
    single = [each for each in kinds["training"] if not each.parts]
    lines = [_INTRODUCTION, "## To train on", "", *_table(single), "", "Mixtures:", ""]
    for each in mixtures:
        parts = ", ".join(f"{name}: {'null' if weight is None else weight}" for name, weight in each.parts.items())
        lines.append(f"- `data={each.name}`: {each.about} `data.sets={{{parts}}}`")
    lines += ["", "## To evaluate on", "", *_table(kinds["evaluation"]), "", "## Sources and terms", ""]
    for each in [*single, *kinds["evaluation"]]:
        lines += _terms(each)
    lines += ["## Your own images", "", "`data=folder data.train_dir=DIR data.val_dir=DIR`, or a yaml of your own:"]
    lines += ["put it into `DIR/data/` and say `--config-dir DIR paths.catalogue='[DIR/data]'`."]
    return "\n".join(lines) + "\n"


def _table(entries: list[Entry]) -> list[str]:
    rows = ["| `data=` | images | download | what |", "|---|---|---|---|"]
    for each in entries:
        images = " + ".join(f"{split.images} {name}" for name, split in each.splits.items())
        sizes = [_size(archive) for archive in each.archives.values() if archive.size]
        rows.append(f"| `{each.name}` | {images} | {sizes[0] if sizes else 'unknown'} | {each.title}: {each.about} |")
    return rows


def _size(archive: Archive) -> str:
    return size_text(archive.size or 0) if archive.bytes else f"about {size_text(archive.size or 0)}"


def _terms(entry: Entry) -> list[str]:
    places = [f"`{place}`" for split in entry.splits.values() for place in split.hr]
    lines = [f"### {entry.title}", "", f"- Home: <{entry.homepage}>", f"- Licence: {entry.licence}"]
    lines += [f"- Cite: {entry.citation}", f"- Found in: {', '.join(dict.fromkeys(places))}"]
    lines += [f"- {_source(archive)}" for archive in entry.archives.values()]
    if entry.protocol:
        lines.append(f"- Scored with {', '.join(f'{key} {value}' for key, value in entry.protocol.items())}.")
    return [*lines, ""]


def _source(archive: Archive) -> str:
    source = ", ".join(f"<{url}>" for url in archive.urls) or "no address of its own, from `data.mirrors`"
    checksum = "sha256" if archive.sha256 else "md5" if archive.md5 else None
    trust = "checked" if archive.verified else "of a third party: a mismatch only warns"
    checked = f"{checksum} {trust}" if checksum else "not checked"
    return f"`{archive.file}`: {source}; {checked}." + (f" {archive.manual}" if archive.manual else "")


if __name__ == "__main__":
    page = conf_dir().parent / "docs" / "datasets.md"
    Path(page).write_text(datasets_page(catalogue()), encoding="utf-8")
