"""The page that compares runs: one HTML file that needs no network, from the values of `payload`.

Its parts lie in the folder `page` beside this module: a template, a style sheet and scripts by topic, which are put
into the file as they are. Values and pictures stand in inert script tags; a script that the browser does not run costs
nothing until it is asked for.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sr_lightning.comparison.payload import Payload
from sr_lightning.report.html import html_environment

# In the order in which they build on each other; they share one scope.
SCRIPTS = (
    "elements", "format", "statistics", "data", "state", "selection", "columns", "rows", "leaderboard", "table_keys",
    "markdown", "filters", "boards",
    "plots", "curves", "pareto", "view", "error_map", "sources", "viewer", "flicker", "grid", "image_table",
    "significance", "start",
)  # fmt: skip


def render(payload: Payload) -> str:
    """Return the page as HTML.

    Args:
        payload: values of runs, boards and crops, and the pictures that they name, as data URIs.

    Raises:
        ValueError: a value is not finite, or a crop names a picture that is not there.
    """
    chunks = _chunks(payload)
    index = {key: number for number, chunk in enumerate(chunks) for key in chunk}
    return _template().render(
        title=payload.data["title"],
        generated=payload.data["generated"],
        version=payload.data["version"],
        style=_asset("style.css"),
        data=_json(payload.data),
        index=_json(index),
        chunks=[_json(chunk) for chunk in chunks],
        plotly=_inline(get_plotlyjs()),
        scripts=[_asset(f"{name}.js") for name in SCRIPTS],
    )


def _chunks(payload: Payload) -> list[dict[str, str]]:
    """Return the pictures in pieces that are shown together: what all runs share of a crop, then SR of that crop.

    A picture that several crops name stands in the first piece alone.
    """
    chunks: list[dict[str, str]] = []
    seen: set[str] = set()
    for crop in payload.data["crops"]:
        for keys in (_shared_keys(crop), (entry["sr"] for entry in crop["by_run"].values())):
            fresh = [key for key in dict.fromkeys(keys) if key not in seen]
            missing = [key for key in fresh if key not in payload.images]
            if missing:
                raise ValueError(f"expected a picture for each key of crop {crop['id']}, got none for {missing}.")
            seen.update(fresh)
            chunks.append({key: payload.images[key] for key in fresh})
    return [chunk for chunk in chunks if chunk]


def _shared_keys(crop: Mapping[str, Any]) -> Iterable[str]:
    return (crop[kind] for kind in ("hr", "whole", "lr", "bicubic") if crop[kind] is not None)


def _json(value: Any) -> Markup:
    """Return JSON that may stand inside a script tag whatever the texts in it are.

    Raises:
        ValueError: a number is not finite; a browser would read none of the values.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    # "</script>" would end the tag and "<!--" change how it ends; both only ever stand inside strings.
    return Markup(text.replace("<", "\\u003c"))


@cache
def _asset(name: str) -> Markup:
    return _inline(files("sr_lightning.comparison").joinpath("page", name).read_text(encoding="utf-8"))


def _inline(text: str) -> Markup:
    # Ours and plotly's, not a run's: what would end the tag early is a mistake of the one who wrote it.
    assert "</script" not in text
    assert "<!--" not in text
    return Markup(text.strip())


@cache
def _template() -> Template:
    return html_environment("sr_lightning.comparison", "page").get_template("page.html")
