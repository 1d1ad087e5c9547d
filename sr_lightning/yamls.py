"""Where the project's yamls lie, what they compute, and what their `spec` says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sr_lightning.refusal import Refusal


def conf_dir() -> Path:
    """Return the folder of the project's yamls: `conf/` of a clone, or the copy inside the installed package."""
    package = Path(__file__).resolve().parent
    clone = package.parent / "conf"
    return clone if (clone / "train.yaml").is_file() else package / "conf"


def register_arithmetic() -> None:
    """Register what the yamls compute as `${name:...}` from numbers alone."""
    resolvers: dict[str, Callable[..., Any]] = {
        # ${share:1000,0.5} -> 500
        "share": lambda total, part: int(total * part),
        # The side of an HR patch, whichever of the two was given.
        "hr_patch": lambda hr_patch, lr_patch, scale: hr_patch if hr_patch else (lr_patch or 0) * scale,
        # ${patch_for:4,24} -> 96: an HR patch of 24 LR pixels, at every scale a multiple of 48.
        "patch_for": lambda scale, lr_side: scale * lr_side,
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def check_scale(model: str, spec: Mapping[str, Any], scale: int) -> None:
    """Refuse a scale that a network does not have.

    Args:
        model: its name.
        spec: of its yaml.
        scale: wanted.

    Raises:
        Refusal: with the scales that it has.
    """
    scales = spec.get("scales")
    if scales and scale not in scales:
        names = ", ".join(str(known) for known in scales)
        raise Refusal(f"model={model} supports scale {names}, got scale={scale}.")
