"""Pairs of LR and HR to look at before training: a contact sheet as one picture, and a page with a viewer.

Both show the pixels as they are: LR is enlarged to the size of HR by repeating pixels, never by interpolation, which
would smooth away what is to be seen.
"""

import io
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jinja2 import Template
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sr_lightning.report import lettering
from sr_lightning.report.files import write_atomically
from sr_lightning.report.html import html_environment

Pixels: TypeAlias = NDArray[np.uint8]

MARGIN, GAP, LINE = 18, 4, 18
BACKGROUND, INK, FAINT = (255, 255, 255), (25, 25, 25), (95, 95, 95)
# As many columns as fit into this many pixels.
WIDTH = 1720
# Smaller images are enlarged by a whole number up to this side or more; sheets of one small pair still hold the title.
SMALLEST_SIDE, SMALLEST_WIDTH = 128, 480
# Of larger images the centre is shown: a hundred whole photographs are no sheet that anybody could open.
LARGEST_SIDE = 384


class Pair(NamedTuple):
    """One sample as training sees it.

    Attributes:
        name: of the image that it was cut from.
        lr: (h, w, C) uint8.
        hr: (scale*h, scale*w, C) uint8.
        parameters: what was drawn for its degradation, by name; empty where nothing is drawn.
    """

    name: str
    lr: Pixels
    hr: Pixels
    parameters: Mapping[str, float | str]


class _View(NamedTuple):
    """A pair as it is shown: RGB, cut to what fits, with `notes` that say what is not shown."""

    name: str
    lr: Image.Image
    hr: Image.Image
    scale: int
    parameters: dict[str, str]
    notes: list[str]

    @property
    def sizes(self) -> str:
        return f"LR {self.lr.width}x{self.lr.height}   HR {self.hr.width}x{self.hr.height}"


def write_contact_sheet(pairs: Sequence[Pair], path: Path, *, facts: Mapping[str, object]) -> Path:
    """Write the sheet to `path` (a `.png`) and the page beside it; return the path of the page (`.html`).

    Args:
        pairs: at least one; may differ in size and in scale.
        path: of the picture, in a folder that exists.
        facts: what stands in the title, such as data set, degradation, scale and seed.

    Raises:
        ValueError: there are no pairs, or an LR and HR do not belong together.
    """
    draw_contact_sheet(pairs, facts=facts).save(path)
    page = path.with_suffix(".html")
    write_atomically(page, contact_page(pairs, facts=facts))
    return page


def draw_contact_sheet(pairs: Sequence[Pair], *, facts: Mapping[str, object]) -> Image.Image:
    """Return all pairs in one picture, LR to the left of HR, the drawn parameters below, row by row.

    Images of up to 384 pixels are shown whole, of larger ones the centre; small ones are enlarged by the same whole
    number. Of more than three bands the first three are shown, of two the first.

    Args:
        pairs: at least one; may differ in size and in scale.
        facts: name and value of what stands in the title.

    Raises:
        ValueError: there are no pairs, or an LR and HR do not belong together.
    """
    views = _views(pairs)
    zoom = max(1, math.ceil(SMALLEST_SIDE / max(max(view.hr.size) for view in views)))
    cell_width, cell_height = (zoom * max(view.hr.size[axis] for view in views) for axis in (0, 1))
    pair_width = 2 * cell_width + GAP
    columns = max(1, min(len(views), (WIDTH - MARGIN) // (pair_width + MARGIN)))
    rows = math.ceil(len(views) / columns)
    width = max(SMALLEST_WIDTH, MARGIN + columns * (pair_width + MARGIN))

    title_font, font = lettering.font(17), lettering.font(13)
    # A degradation with all its ranges may be longer than a line, so words are what is kept whole here.
    title = "   ".join(f"{key}: {value}" for key, value in facts.items()).split(" ")
    title_lines = lettering.lines_of(title, separator=" ", width=width - 2 * MARGIN, font=title_font)
    captions = [_caption(view, width=pair_width, font=font) for view in views]
    row_height = cell_height + (2 + max(len(caption) for caption in captions)) * LINE + MARGIN
    top = 2 * MARGIN + len(title_lines) * (LINE + 4)

    sheet = Image.new("RGB", (width, top + rows * row_height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(title_lines):
        draw.text((MARGIN, MARGIN + number * (LINE + 4)), line, fill=INK, font=title_font)
    for index, (view, caption) in enumerate(zip(views, captions, strict=True)):
        row, column = divmod(index, columns)
        x, y = MARGIN + column * (pair_width + MARGIN), top + row * row_height
        _draw_pair(sheet, draw, view, number=index + 1, caption=caption, place=(x, y), zoom=zoom, width=pair_width)
    return sheet


def contact_page(pairs: Sequence[Pair], *, facts: Mapping[str, object]) -> str:
    """Return an HTML page that needs no network: all pairs, to sort and filter, and a viewer to look closer.

    Images are embedded without loss; they are cut and reduced to RGB as in `draw_contact_sheet`.

    Args:
        pairs: at least one; may differ in size and in scale.
        facts: name and value of what stands in the title.

    Raises:
        ValueError: there are no pairs, or an LR and HR do not belong together.
    """
    entries: list[dict[str, Any]] = []
    for pair, view in zip(pairs, _views(pairs), strict=True):
        entries.append(
            {
                "name": view.name,
                "sizes": view.sizes,
                "notes": view.notes,
                "shown": view.parameters,
                "parameters": {key: _json_value(value) for key, value in pair.parameters.items()},
                "width": view.hr.width,
                "height": view.hr.height,
                "lr": _data_uri(view.lr),
                "hr": _data_uri(view.hr),
            }
        )
    names = dict.fromkeys(key for pair in pairs for key in pair.parameters)
    return _template().render(facts=facts, pairs=entries, parameters=list(names))


def _draw_pair(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    view: _View,
    *,
    number: int,
    caption: Sequence[str],
    place: tuple[int, int],
    zoom: int,
    width: int,
) -> None:
    """Draw name, LR, HR and caption with the left upper corner at `place`, `width` pixels wide."""
    x, y = place
    font = lettering.font(13)
    size = (view.hr.width * zoom, view.hr.height * zoom)
    left = f"{number}  "
    room = width - font.getlength(left) - font.getlength(view.sizes) - LINE
    draw.text((x, y), left + lettering.shortened(view.name, width=room, font=font), fill=INK, font=font)
    draw.text((x + width, y), view.sizes, fill=FAINT, font=font, anchor="ra")
    y += LINE + 2
    sheet.paste(view.lr.resize(size, Image.Resampling.NEAREST), (x, y))
    sheet.paste(view.hr.resize(size, Image.Resampling.NEAREST), (x + size[0] + GAP, y))
    for line, text in enumerate(caption):
        draw.text((x, y + size[1] + 4 + line * LINE), text, fill=INK, font=font)


def _views(pairs: Sequence[Pair]) -> list[_View]:
    if not pairs:
        raise ValueError("expected at least one pair to show, got none.")
    return [_view(pair) for pair in pairs]


def _view(pair: Pair) -> _View:
    (name, lr, hr, parameters) = pair
    scale = hr.shape[0] // lr.shape[0]
    fits = lr.ndim == hr.ndim == 3 and hr.shape == (scale * lr.shape[0], scale * lr.shape[1], lr.shape[2])
    if not fits or lr.dtype != np.uint8 or hr.dtype != np.uint8:
        raise ValueError(
            f"{name}: expected LR (h, w, C) and HR (scale*h, scale*w, C) in uint8, "
            f"got {lr.shape} {lr.dtype} and {hr.shape} {hr.dtype}."
        )
    notes = []
    # In LR pixels, so that both are cut at the same place.
    height, width = (min(side, max(1, LARGEST_SIDE // scale)) for side in lr.shape[:2])
    if (height, width) != lr.shape[:2]:
        notes.append(f"centre of {hr.shape[1]}x{hr.shape[0]}")
        top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
        lr = lr[top : top + height, left : left + width]
        hr = hr[scale * top : scale * (top + height), scale * left : scale * (left + width)]
    bands = lr.shape[2]
    if bands not in (1, 3):
        notes.append(f"bands 1-3 of {bands}" if bands > 3 else f"band 1 of {bands}")
    shown = {key: _shown(value) for key, value in parameters.items()}
    return _View(name, _rgb(lr), _rgb(hr), scale, shown, notes)


def _rgb(pixels: Pixels) -> Image.Image:
    bands = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return Image.fromarray(np.ascontiguousarray(bands))


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _json_value(value: float | str) -> float | str:
    # JSON has neither infinity nor NaN: a browser would read none of the values.
    return value if isinstance(value, str) or math.isfinite(value) else str(value)


def _caption(view: _View, *, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    items = [f"{key} {value}" for key, value in view.parameters.items()] + [f"({note})" for note in view.notes]
    # What was drawn is said in full: an item that is longer than a line goes on in the next.
    parts = [
        line for item in items for line in lettering.lines_of(item.split(" "), separator=" ", width=width, font=font)
    ]
    return lettering.lines_of(parts, separator="   ", width=width, font=font)


def _data_uri(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", lossless=True, quality=60)
    return f"data:image/webp;base64,{b64encode(stream.getvalue()).decode()}"


@cache
def _template() -> Template:
    environment = html_environment("sr_lightning.report", ".")
    # Parameters in the order in which they are drawn.
    environment.policies["json.dumps_kwargs"] = {}
    return environment.get_template("contact_sheet.html")
