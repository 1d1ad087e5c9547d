"""Text in pictures: the font that Pillow carries, and lines that fit."""

from collections.abc import Sequence
from functools import cache

from PIL import ImageFont


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font, so that pictures look the same on every machine."""
    found = ImageFont.load_default(size)
    # Pillow without FreeType has a font of one small size.
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


def lines_of(items: Sequence[str], *, separator: str, width: float, font: ImageFont.FreeTypeFont) -> list[str]:
    """Return items in lines of at most `width` pixels; only one that is too long by itself is shortened."""
    lines: list[str] = []
    for item in items:
        text = shortened(item, width=width, font=font)
        if lines and font.getlength(lines[-1] + separator + text) <= width:
            lines[-1] += separator + text
        else:
            lines.append(text)
    return lines


def shortened(text: str, *, width: float, font: ImageFont.FreeTypeFont) -> str:
    """Return the text, without its beginning where it is too long: names of one data set differ in their ends."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"...{text}") > width:
        text = text[1:]
    return f"...{text}"
