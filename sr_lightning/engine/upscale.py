"""Upscaling files: one image, or a folder of them."""

import os
from pathlib import Path

import rich
from PIL import Image, UnidentifiedImageError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sr_lightning.data.scan import EXTENSIONS, list_images
from sr_lightning.engine.upscaler import Upscaler, load
from sr_lightning.refusal import Refusal


def plan(source: Path, target: Path, *, overwrite: bool) -> list[tuple[Path, Path]]:
    """Return which file becomes which: a file for a file, the same relative names as `.png` for a folder.

    Raises:
        Refusal: the input is missing or holds no image, a target exists, or two inputs have one target.
    """
    if source.is_dir():
        files = list_images(source)
        if not files:
            raise Refusal(f"input: {source} holds no image ({', '.join(sorted(EXTENSIONS))}).")
        if target.is_file():
            raise Refusal(f"output: {source} is a folder, so expected a folder, got the file {target}.")
        pairs = [(path, (target / path.relative_to(source)).with_suffix(".png")) for path in files]
    elif source.is_file():
        if target.is_dir():
            raise Refusal(f"output: {source} is a file, so expected a file, got the folder {target}.")
        if target.suffix.lower() not in EXTENSIONS:
            raise Refusal(f"output: expected a name that ends in {', '.join(sorted(EXTENSIONS))}, got {target.name}.")
        pairs = [(source, target)]
    else:
        raise Refusal(f"input: expected an image or a folder, got {source}, which is not there.")
    seen: dict[Path, Path] = {}
    for path, result in pairs:
        if result in seen:
            raise Refusal(f"output: {seen[result]} and {path} would both become {result}; rename one.")
        seen[result] = path
        if result.exists() and not overwrite:
            raise Refusal(f"output: {result} is already there; overwrite=true replaces it.")
    return pairs


def upscale_file(upscaler: Upscaler, source: Path, target: Path) -> None:
    """Upscale one file; the target is written atomically.

    Raises:
        Refusal: the file is no image, or one of more than 8 bits per channel.
    """
    try:
        with Image.open(source) as image:
            result = upscaler(image)
    except (UnidentifiedImageError, ValueError, OSError) as error:
        raise Refusal(f"{source}: {error}") from error
    if target.suffix.lower() in (".jpg", ".jpeg") and result.mode in ("LA", "RGBA"):
        raise Refusal(f"output: {target.name}: JPEG has no alpha channel; name a .png.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part{target.suffix}")
    # 95 is the highest quality Pillow recommends; the default of 75 would undo the network's work.
    if target.suffix.lower() in (".jpg", ".jpeg", ".webp"):
        result.save(partial, quality=95)
    else:
        result.save(partial)
    os.replace(partial, target)  # noqa: PTH105 - the name says that it is atomic


def run_with_progress(checkpoint: Path, pairs: list[tuple[Path, Path]], *, device: str) -> None:
    """Upscale files one after the other, with a bar on a terminal; one that fails does not stop the others.

    Raises:
        Refusal: a file failed; all that failed are named.
    """
    upscaler = load(checkpoint, device=device)
    console = rich.get_console()
    failed: list[str] = []
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("upscaling", total=len(pairs))
        for source, target in pairs:
            bar.update(task, description=source.name)
            try:
                upscale_file(upscaler, source, target)
            except Refusal as refusal:
                failed.append(str(refusal))
            bar.advance(task)
    done = len(pairs) - len(failed)
    if done:
        console.print(f"{done} image(s), x{upscaler.scale}: {pairs[0][1] if len(pairs) == 1 else pairs[0][1].parent}")
    if failed:
        raise Refusal("; ".join(failed))
