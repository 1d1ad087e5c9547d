"""Templates of pages: what is put into them is text, and what is missing an error."""

import pytest
from jinja2 import UndefinedError

from sr_lightning.report.html import html_environment


def test_texts_are_escaped_and_missing_names_an_error() -> None:
    environment = html_environment("sr_lightning.report", ".")
    template = environment.from_string("{{ name }}")
    assert template.render(name="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        template.render()
