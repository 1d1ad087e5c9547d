"""What a plain installation does not bring: packages of the extras in `pyproject.toml`."""

from importlib.util import find_spec

from sr_lightning.refusal import Refusal

# Packages whose classes a yaml may name, each with the extra that installs it.
EXTRAS = {"spandrel": "spandrel"}

# Ours and libraries' code: whatever it raises for some arguments, they are what is wrong. Authors of other code want a
# traceback.
KNOWN_CODE = ("sr_lightning.", "spandrel.")


def check_extra(target: str, *, key: str) -> None:
    """Refuse a class of a package that is not installed and that an extra would install.

    Args:
        target: the dotted path of a class.
        key: where it was named.

    Raises:
        Refusal: with what to type.
    """
    package = target.partition(".")[0]
    if package in EXTRAS and find_spec(package) is None:
        raise Refusal(
            f"{key}: {target} needs the package {package}, which is not there; "
            f"say `pip install '.[{EXTRAS[package]}]'`."
        )
