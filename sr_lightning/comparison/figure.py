"""Crop figures as papers print them: the HR image with a box, and that crop of HR, bicubic and each method."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, ImageDraw

from sr_lightning.comparison.boards import Board
from sr_lightning.comparison.crops import Crop
from sr_lightning.comparison.leaderboard import Leaderboard, Row
from sr_lightning.comparison.ranking import Comparison, protocol_text
from sr_lightning.refusal import Refusal, nearest
from sr_lightning.report.lettering import font, lines_of
from sr_lightning.report.samples import Sample

# For seven inches of paper at 300 pixels per inch: text of 7 to 8 points.
DPI, SIDE, GAP, TEXT, LINE = 300, 288, 14, 27, 32
INK, BOX, PAPER = (20, 20, 20), (225, 20, 20), (255, 255, 255)
# Of panoramas: wider than this many times its height, the image is drawn smaller.
_WIDEST = 1.6
# Of the best method's numbers.
_BOLD = 0.7


@dataclass(frozen=True)
class Figure:
    """A figure, what stands below it, and what it shows, for the name of its file."""

    picture: Image.Image
    caption: str
    name: str


class _Method(NamedTuple):
    name: str
    sample: Sample


def crop_figures(
    comparison: Comparison, crops: Sequence[Crop], *, images: int | Sequence[str], runs: int
) -> list[Figure]:
    """Draw the figures of each board whose runs have left crops.

    Args:
        comparison: whose boards are shown; of each experiment the first run.
        crops: as `crops_of` returns them for its runs.
        images: how many of each board, those on which its methods differ most; or their names (`Set5/baby`, `baby`).
        runs: how many methods are shown at most: the best of each network first, then the best of the rest.

    Raises:
        Refusal: an image that is named has no crop.
    """
    if not isinstance(images, int):
        _check_names(images, crops)
    figures: list[Figure] = []
    for board, order in comparison.boards:
        if board.validation_only:
            continue
        rows = _chosen(comparison, order, runs)
        shown = [(crop, _methods(comparison, rows, crop)) for crop in crops if crop.scale == board.scale]
        shown = [(crop, methods) for crop, methods in shown if methods and _wanted(crop, images)]
        if isinstance(images, int):
            shown = sorted(shown, key=lambda pair: -_spread(pair[1]))[:images]
        figures += [_figure(board, crop, methods) for crop, methods in shown]
    return _with_distinct_names(figures)


def draw_figure(crop: Crop, methods: Sequence[tuple[str, Sample]]) -> Image.Image:
    """Draw the whole image at the left, and two rows of crops: HR, bicubic, and the methods in their order.

    Args:
        crop: the place.
        methods: name and sample of each.
    """
    first = crop.first
    best = max((_number(sample.psnr) for _, sample in methods), default=math.inf)
    cells = [("HR", "PSNR (dB) / SSIM", first, "hr", False)]
    cells.append(("Bicubic", _scores(first.bicubic_psnr, first.bicubic_ssim), first, "bicubic", False))
    cells += [
        (name, _scores(sample.psnr, sample.ssim), sample, "sr", _number(sample.psnr) == best)
        for name, sample in methods
    ]
    zoom = max(1, round(SIDE / max(first.box[2:])))
    width, height = zoom * first.box[2], zoom * first.box[3]
    names = [lines_of(name.split(" "), separator=" ", width=width, font=font(TEXT)) for name, *_ in cells]
    below = (1 + max(map(len, names))) * LINE + GAP // 2
    columns = math.ceil(len(cells) / 2)
    whole = _whole(first, height=2 * (height + below) - LINE - GAP // 2)
    sheet = Image.new("RGB", (whole.width + columns * (width + GAP), 2 * (height + below) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    sheet.paste(whole, (0, 0))
    label = f"{first.set}: {first.image} (x{crop.scale})"
    draw.text((whole.width / 2, whole.height + GAP // 2), label, INK, font(TEXT), anchor="ma")
    for index, ((_, scores, sample, key, bold), lines) in enumerate(zip(cells, names, strict=True)):
        row, column = divmod(index, columns)
        left, top = whole.width + GAP + column * (width + GAP), row * (height + below + GAP)
        with Image.open(sample.files[key]) as picture:
            # Pixels as they are: interpolation would smooth away what is compared.
            sheet.paste(picture.convert("RGB").resize((width, height), Image.Resampling.NEAREST), (left, top))
        for number, text in enumerate([*lines, scores]):
            place = (left + width / 2, top + height + GAP // 2 + number * LINE)
            stroke = _BOLD if bold and number == len(lines) else 0
            draw.text(place, text, INK, font(TEXT), anchor="ma", stroke_width=stroke)
    return sheet


def _figure(board: Board, crop: Crop, methods: Sequence[_Method]) -> Figure:
    rules = protocol_text(board)
    caption = (
        f"{crop.first.image} of {crop.first.set} at x{crop.scale}. PSNR and SSIM are those of the crop. "
        f"{rules[0].upper()}{rules[1:]}."
    )
    name = re.sub(r"[^A-Za-z0-9-]+", "_", f"{crop.first.set}_{crop.first.image}_x{crop.scale}")
    return Figure(draw_figure(crop, methods), caption, name)


def _with_distinct_names(figures: Sequence[Figure]) -> list[Figure]:
    """Number figures of one image at one scale: it is shown under several protocols."""
    distinct: dict[str, Figure] = {}
    for figure in figures:
        names = (figure.name, *(f"{figure.name}_{number}" for number in range(2, len(figures) + 1)))
        name = next(name for name in names if name not in distinct)
        distinct[name] = Figure(figure.picture, figure.caption, name)
    return list(distinct.values())


def _chosen(comparison: Comparison, order: Leaderboard, count: int) -> list[Row]:
    """Return the rows to show, the worst first and GANs last."""
    ready = [row for row in order.rows if not row.waiting]
    seen: set[tuple[str, bool]] = set()
    first: list[Row] = []
    for row in ready:
        kind = (comparison.runs[row.runs[0]].model, row.gan)
        if kind not in seen:
            seen.add(kind)
            first.append(row)
    # However many others there are, a GAN looks like none of them.
    first = sorted(first, key=lambda row: row is not next((each for each in first if each.gan), None))
    chosen = [*first, *(row for row in ready if row not in first)][:count]
    return sorted(chosen, key=lambda row: (row.gan, -(row.rank or 0), row.front or 0))


def _methods(comparison: Comparison, rows: Sequence[Row], crop: Crop) -> list[_Method]:
    methods = []
    for row in rows:
        run = next((number for number in row.runs if number in crop.by_run), None)
        if run is not None:
            methods.append(_Method(comparison.short_name(row.experiment, crop.scale), crop.by_run[run]))
    return methods


def _check_names(images: Sequence[str], crops: Sequence[Crop]) -> None:
    names = list(dict.fromkeys(f"{crop.first.set}/{crop.first.image}" for crop in crops))
    for name in images:
        if name not in names and not any(known.endswith(f"/{name}") for known in names):
            known = ", ".join(names) if names else "none"
            raise Refusal(
                f"figure.images: expected images of which runs keep crops ({known}), got {name}{nearest(name, names)}"
            )


def _wanted(crop: Crop, images: int | Sequence[str]) -> bool:
    names = (crop.first.image, f"{crop.first.set}/{crop.first.image}")
    return isinstance(images, int) or any(name in images for name in names)


def _spread(methods: Sequence[_Method]) -> float:
    """Return by how much methods differ on a crop, from bicubic too, in dB."""
    first = methods[0].sample
    values = [_number(first.bicubic_psnr), *(_number(method.sample.psnr) for method in methods)]
    return max(values) - min(values)


def _whole(sample: Sample, *, height: int) -> Image.Image:
    """Return the whole image with a box around the crop."""
    width, full = sample.size
    ratio = min(height / full, _WIDEST * height / width)
    with Image.open(sample.files["whole"]) as picture:
        size = (round(ratio * width), round(ratio * full))
        scaled = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    left, top, box_width, box_height = (ratio * side for side in sample.box)
    ImageDraw.Draw(scaled).rectangle((left, top, left + box_width, top + box_height), outline=BOX, width=5)
    sheet = Image.new("RGB", (scaled.width, height), PAPER)
    sheet.paste(scaled, (0, (height - scaled.height) // 2))
    return sheet


def _scores(psnr: float | None, ssim: float) -> str:
    return f"{'inf' if psnr is None else f'{psnr:.2f}'} / {ssim:.4f}"


def _number(psnr: float | None) -> float:
    # 100 dB are no visible difference either.
    return 100.0 if psnr is None else psnr
