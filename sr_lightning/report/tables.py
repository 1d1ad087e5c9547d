"""Tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

# Published PSNR and SSIM: {protocol: {"x4": {"Set5": [psnr, ssim]}}}, as `spec.published` of a model's yaml.
Published = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]


def score_table(
    metrics: Mapping[str, Mapping[str, Any]],
    *,
    label: str,
    scale: int,
    protocol: Mapping[str, Any],
    published: Mapping[str, Published],
) -> Group:
    """Return sets x PSNR/SSIM: the network, bicubic beside, and published rows marked as such.

    Args:
        metrics: {set: {psnr, ssim, images, bicubic {psnr, ssim}}}.
        label: the network's name.
        scale: the upscaling factor.
        protocol: as in `results.json`; printed with the numbers.
        published: numbers of papers by network (`{"edsr": {...}, "bicubic": {...}}`).
    """
    table = Table(title=f"PSNR (dB) / SSIM at x{scale}", title_justify="left")
    table.add_column("")
    for name, scores in metrics.items():
        table.add_column(f"{name} ({scores['images']})", justify="right")
    table.add_row(f"[bold]{label}", *(f"[bold]{_cell(scores)}" for scores in metrics.values()))
    if label != "bicubic":
        table.add_row("bicubic", *(_cell(scores["bicubic"]) for scores in metrics.values()))
        gains = [scores["psnr"] - scores["bicubic"]["psnr"] for scores in metrics.values()]
        table.add_row("gain on bicubic", *(f"{gain:+.2f}" for gain in gains))
    for name, source in published.items():
        for other, scales in source.items():
            row = scales.get(f"x{scale}", {})
            cells = [_published(row.get(set_name)) for set_name in metrics]
            if any(cell != "-" for cell in cells):
                table.add_row(f"[dim]{name}, published ({other})", *(f"[dim]{cell}" for cell in cells))
    # Not as the table's caption, which would be folded to the width of a narrow table.
    return Group(table, f"[dim]{protocol_line(protocol)}")


def protocol_line(protocol: Mapping[str, Any]) -> str:
    """Return a protocol in words, to stand under a table."""
    colour = "Y of BT.601" if protocol["color"] == "y" else "RGB"
    rounding = "rounded to uint8" if protocol["rounding"] == "uint8" else "not rounded"
    line = f"protocol {protocol['name']}: {colour}, SR {rounding}, border {protocol['border']} px"
    return line + (", EMA weights" if protocol["ema"] else "")


def _cell(scores: Mapping[str, float]) -> str:
    return f"{scores['psnr']:.2f} / {scores['ssim']:.4f}"


def _published(pair: Sequence[float] | None) -> str:
    return "-" if not pair else f"{pair[0]:.2f} / {pair[1]:.4f}"
