"""Upscaling files: one image, or a folder of them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import rich
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sr_lightning.engine import announce
from sr_lightning.engine.build import expand
from sr_lightning.engine.upscaler import Upscaler, load, upscaler_by
from sr_lightning.refusal import Refusal


def upscale_file(upscaler: Upscaler, source: Path, target: Path) -> None:
    """Upscale one file; the target is written atomically.

    Raises:
        Refusal: the file is no image, or one of more than 8 bits per channel, or the target cannot be written.
    """
    try:
        with Image.open(source) as image:
            result = upscaler(image)
            # Without its profile a Display P3 or Adobe RGB photograph would change colour. CMYK's does not fit RGB.
            profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    except Exception as error:  # Pillow's plugins raise many types for damaged files
        raise Refusal(f"{source} cannot be upscaled: {error}") from error
    partial = target.with_name(f".{target.name}.part{target.suffix}")
    # 95 is the highest quality Pillow recommends; the default of 75 would undo the network's work.
    options: dict[str, Any] = {"quality": 95} if target.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    if profile:
        options["icc_profile"] = profile
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        result.save(partial, **options)
        os.replace(partial, target)  # noqa: PTH105 - the name says that it is atomic
    except (OSError, ValueError) as error:
        with suppress(OSError):
            partial.unlink()
        hint = "; a .png holds alpha" if result.mode in ("LA", "RGBA") else ""
        raise Refusal(f"output: {target} cannot be written: {error}{hint}") from error


def upscaler_of(config: dict[str, Any]) -> Upscaler:
    """Return what the configuration of `conf/upscale.yaml` names: a checkpoint, or a network with published weights.

    Raises:
        Refusal: the file cannot be read, does not fit, or is for another scale.
    """
    how = {"device": config["device"], "self_ensemble": config["self_ensemble"]}
    if not config["checkpoint"]:
        upscaler, began = upscaler_by(config["model"], name=config["names"]["model"], **how)
        if began:
            announce.pretrained(began.lines())
        return upscaler
    upscaler = load(expand(config["checkpoint"]), **how)
    if config["scale"] not in (None, upscaler.scale):
        raise Refusal(f"scale: the checkpoint was trained for x{upscaler.scale}, got scale={config['scale']}.")
    return upscaler


def run_with_progress(upscaler: Upscaler, pairs: list[tuple[Path, Path]]) -> None:
    """Upscale files one after the other, with a bar on a terminal; one that fails does not stop the others.

    Raises:
        Refusal: a file failed; all that failed are named.
    """
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
