"""Train, evaluate and compare image super-resolution networks."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sr_lightning.engine.upscaler import Upscaler

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def load(
    path: str | Path,
    *,
    model: str | None = None,
    scale: int | None = None,
    device: str = "auto",
    self_ensemble: bool = False,
) -> "Upscaler":
    """Load a checkpoint as a function that turns an image (Pillow, array or tensor) into its SR.

    Args:
        path: such as `runs/.../checkpoints/best.ckpt`; or weights of another program, with `model` and `scale`.
        model: a network of `conf/model/`, for a file that does not say which it is of.
        scale: its upscaling factor.
        device: auto, cpu, cuda or mps.
        self_ensemble: whether to take the mean over the eight flips and rotations of an image: a little better, eight
            times the work.

    Raises:
        sr_lightning.refusal.Refusal: no such file or model, or they do not fit; not a checkpoint of this project.

    Example:
        >>> upscaler = load("runs/.../checkpoints/best.ckpt")  # doctest: +SKIP
        >>> large = upscaler(Image.open("small.png"))  # doctest: +SKIP
    """
    # torch takes seconds to import: the commands answer --help and refusals without it.
    from sr_lightning.engine.upscaler import load as load_upscaler

    return load_upscaler(path, model=model, scale=scale, device=device, self_ensemble=self_ensemble)
