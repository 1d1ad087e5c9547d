"""Where our pages are made of their templates: texts of runs and files stay texts, a name that is misspelt an error."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def html_environment(package: str, folder: str) -> Environment:
    """Return what reads templates of HTML in a folder of a package, and escapes all that is put into them."""
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
