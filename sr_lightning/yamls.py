"""Where the project's yamls lie."""

from pathlib import Path


def conf_dir() -> Path:
    """Return the folder of the project's yamls: `conf/` of a clone, or the copy inside the installed package."""
    package = Path(__file__).resolve().parent
    clone = package.parent / "conf"
    return clone if (clone / "train.yaml").is_file() else package / "conf"
