"""The photographs that scikit-image carries in its wheel, so that a first run needs no network."""

import importlib.util
from pathlib import Path

from sr_lightning.data.scan import DataError

_SPLIT = {
    "train": (
        "astronaut.png",
        "brick.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "retina.jpg",
    ),
    "val": ("camera.png", "coffee.png"),
    "test": ("chelsea.png", "rocket.jpg"),
}


def sample_images() -> dict[str, list[Path]]:
    """Find the photographs and split them: `train` (11), `val` (2), `test` (2).

    Only photographs with detail are taken. Left out are drawings and patterns (chessboards, colour wheel,
    phantom, logo, horse), text (page, text), pictures without any detail to restore (cell, clock_motion)
    and a 102-pixel detail of a retina (microaneurysms), which would also be close to `retina`.

    The split is fixed and leaks nothing: no scene is in two parts, and the two views of the motorcycle, one
    scene, are both in train. Textures and colourful objects train; validation has one picture of hard edges
    and one of smooth colour; the test pictures, an animal and a night scene, resemble neither the training
    set nor each other.

    Returns:
        Existing paths for the keys `train`, `val` and `test`, in a fixed order.

    Raises:
        DataError: scikit-image is not installed, or its wheel lacks one of the photographs.
    """
    # Finding a top-level package does not import it: scikit-image itself would bring numpy and scipy.
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError("data=sample needs scikit-image, whose wheel holds the photographs: pip install scikit-image")
    folder = Path(spec.origin).parent / "data"
    images = {part: [folder / name for name in names] for part, names in _SPLIT.items()}
    missing = [path.name for paths in images.values() for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"data=sample expects {', '.join(missing)} in {folder}; reinstall scikit-image or use data=folder."
        )
    return images
