"""Tables for a terminal."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from sr_lightning.metric_names import ABSENT_FILE, ALWAYS, COLOUR_PROTOCOLS, METRICS, with_arrow

# Published PSNR and SSIM: {protocol: {"x4": {"Set5": [psnr, ssim]}}}, as `spec.published` of a model's yaml.
Published = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
Scores = Mapping[str, Any]

# What LR is where no degradation made it.
STANDARD_LR = "the sets' LR"


def score_table(
    metrics: Mapping[str, Scores],
    *,
    label: str,
    scale: int,
    protocol: Mapping[str, Any],
    published: Mapping[str, Published],
    trained_on: str | None = None,
) -> Group:
    """Return sets x metrics: PSNR and SSIM of the network, bicubic beside, published rows marked as such, the rest.

    Sets under other protocols stand in tables of their own. Scores that carry `standard` are shown on both LR, with
    the difference between them; published rows, which hold for the one alone, are then left out. Published rows of Y
    are left out beside scores of RGB, which lie one to two decibels lower, and the other way round.

    Args:
        metrics: {set: {psnr, ssim, images, bicubic {psnr, ssim}}} with other metrics likewise, and where they apply
            `regions`, `protocol` (other than the given), `excluded`, `whole`, and `standard` {psnr, ssim, bicubic}: the
            same on the sets' own LR.
        label: the network's name.
        scale: the upscaling factor.
        protocol: as in `results.json`; printed with the numbers.
        published: numbers of papers by network (`{"edsr": {...}, "bicubic": {...}}`).
        trained_on: the degradation that the network was trained with, None for MATLAB's bicubic.
    """
    groups: list[tuple[Mapping[str, Any], dict[str, Scores]]] = []
    for name, scores in metrics.items():
        rules = scores.get("protocol", protocol)
        same = [sets for other, sets in groups if other == rules]
        if same:
            same[0][name] = scores
        else:
            groups.append((rules, {name: scores}))
    parts: list[RenderableType] = []
    for rules, sets in groups:
        table = Table(title=f"PSNR (dB) / SSIM at x{scale}", title_justify="left")
        table.add_column("")
        for name, scores in sets.items():
            table.add_column(_heading(name, scores), justify="right")
        if all("standard" in scores for scores in sets.values()):
            _add_both_conditions(table, sets, label=label, degradation=rules["degradation"], trained_on=trained_on)
        else:
            _add_scores(table, sets, label=label)
            # Papers print what one look at the image gives; bicubic interpolation is the same from any side.
            comparable = ("bicubic",) if rules.get("self_ensemble") else tuple(published)
            plain = {name: row for name, row in published.items() if name in comparable}
            _add_published(table, sets, scale=scale, published=plain, colour=rules["color"])
        _add_further(table, sets, label=label)
        # Not as the table's caption, which would be folded to the width of a narrow table.
        parts += [table, f"[dim]{protocol_line(rules)}"]
    return Group(*parts)


def protocol_line(protocol: Mapping[str, Any]) -> str:
    """Return a protocol in words, to stand under a table."""
    colour = "Y of BT.601" if protocol["color"] == "y" else "RGB"
    rounding = "rounded to uint8" if protocol["rounding"] == "uint8" else "not rounded"
    line = f"protocol {protocol['name']}: {colour}, SR {rounding}, border {protocol['border']} px"
    line += f", LR by {protocol['degradation']}" if protocol.get("degradation") else ""
    line += ", EMA weights" if protocol.get("ema") else ""
    return line + (", x8 self-ensemble" if protocol.get("self_ensemble") else "")


def missing_lines(missing: Mapping[str, str]) -> list[str]:
    """Say of each metric that could not be computed why, in a line each; those that lack a file share one."""
    headings = {name: _heading_of_key(name) for name in missing}
    absent = [name for name, reason in missing.items() if ABSENT_FILE in reason]
    lines = []
    if absent:
        lines.append(
            f"missing  {', '.join(headings[name] for name in absent)}: files of theirs are not here; "
            f"python prepare.py data=sample 'metrics=[{','.join(absent)}]' fetches them (docs/metrics.md)"
        )
    # Most reasons begin with the metric's name.
    others = {name: reason.removeprefix(f"{headings[name]} ") for name, reason in missing.items() if name not in absent}
    return [*lines, *(f"missing  {headings[name]}: {reason}" for name, reason in others.items())]


def _heading_of_key(key: str) -> str:
    """Return what a key of `missing` stands for: `psnr`, `bicubic.psnr`, `regions.edges.psnr`."""
    *places, metric = key.split(".")
    region = f" on {places[1]}" if places and places[0] == "regions" else ""
    return METRICS[metric].heading + region + (" of bicubic" if "bicubic" in places else "")


def mismatch_line(*, trained_on: str | None, scored_on: str | None) -> str | None:
    """Say that a network is scored on other LR than it was trained on; None where it is not.

    Args:
        trained_on: the name of a degradation, None for MATLAB's bicubic.
        scored_on: the name of a degradation, None for the LR of the sets, which is MATLAB's bicubic.
    """
    if trained_on == scored_on:
        return None
    return (
        f"[yellow]Trained on LR by {_condition(trained_on)}, scored on LR by {_condition(scored_on)}[/]: "
        "these scores hold the penalty of the mismatch."
    )


def _condition(degradation: str | None) -> str:
    return degradation or "MATLAB's bicubic"


def _heading(name: str, scores: Scores) -> str:
    """Return a column's heading, which says what a set is not compared with papers for."""
    excluded = scores.get("excluded", [])
    if len(excluded) > 2:
        name += f" without {len(excluded)} images"
    elif excluded:
        name += f" without {' and '.join(excluded)}"
    images, whole = scores["images"], scores.get("whole", 0) - len(excluded)
    count = f"{images} of {whole}" if images < whole else f"{images}, not {whole}" if whole > 0 else str(images)
    return f"{name} ({count})"


def _add_scores(table: Table, sets: Mapping[str, Scores], *, label: str) -> None:
    table.add_row(f"[bold]{label}", *(f"[bold]{_cell(scores)}" for scores in sets.values()))
    if label != "bicubic":
        table.add_row("bicubic", *(_cell(scores["bicubic"]) for scores in sets.values()))
        gains = [scores["psnr"] - scores["bicubic"]["psnr"] for scores in sets.values()]
        table.add_row("gain on bicubic", *map(_difference, gains))


def _add_published(
    table: Table, sets: Mapping[str, Scores], *, scale: int, published: Mapping[str, Published], colour: str
) -> None:
    for name, source in published.items():
        for other, scales in source.items():
            if (other in COLOUR_PROTOCOLS) != (colour == "rgb"):
                continue
            row = scales.get(f"x{scale}", {})
            # Papers have the whole set.
            whole = {key: row.get(key) for key, each in sets.items() if not {"excluded", "whole"} & set(each)}
            cells = [_published(whole.get(set_name)) for set_name in sets]
            if any(cell != "-" for cell in cells):
                table.add_row(f"[dim]{name}, published ({other})", *(f"[dim]{cell}" for cell in cells))


def _add_both_conditions(
    table: Table, sets: Mapping[str, Scores], *, label: str, degradation: str, trained_on: str | None
) -> None:
    """Add the network and bicubic on LR by a degradation and on the sets' own, and what the change costs."""
    networks: list[tuple[str, Callable[[Scores], Scores]]] = [(label, lambda scores: scores)]
    if label != "bicubic":
        networks.append(("bicubic", lambda scores: scores["bicubic"]))
    # From the condition that was trained on to the other; where it is neither, from the sets' own.
    from_degradation = trained_on == degradation and label != "bicubic"
    for name, of in networks:
        trained = name != "bicubic"
        rows = ((degradation, sets), (None, {key: scores["standard"] for key, scores in sets.items()}))
        for condition, found in rows:
            where = f"LR by {condition}" if condition else STANDARD_LR
            mark = ", as trained" if trained and condition == trained_on else ""
            style = "[bold]" if trained or len(networks) == 1 else ""
            table.add_row(f"{style}{name}, {where}{mark}", *(style + _cell(of(each)) for each in found.values()))
        changes = [of(scores)["psnr"] - of(scores["standard"])["psnr"] for scores in sets.values()]
        if from_degradation:
            changes = [-change for change in changes]
        mismatched = trained and trained_on in (degradation, None)
        what = "penalty of the mismatch" if mismatched else f"change of {name}"
        table.add_row(what, *map(_difference, changes))


def _add_further(table: Table, sets: Mapping[str, Scores], *, label: str) -> None:
    """Add a row for each metric other than PSNR and SSIM, then for each region; bicubic's numbers in brackets."""
    compares = label != "bicubic"
    for name in METRICS:
        if name in ALWAYS or not any(name in scores for scores in sets.values()):
            continue
        digits = METRICS[name].digits
        cells = [_beside(scores, scores["bicubic"], name, digits, compares=compares) for scores in sets.values()]
        table.add_row(with_arrow(name) + (" (bicubic)" if compares else ""), *cells)
    for region in dict.fromkeys(region for scores in sets.values() for region in scores.get("regions", {})):
        found = [scores.get("regions", {}) for scores in sets.values()]
        table.add_row(
            f"PSNR on {region}" + (" (bicubic)" if compares else ""),
            *(_region(each, region, compares=compares) for each in found),
        )


def _region(regions: Scores, region: str, *, compares: bool) -> str:
    """Return PSNR within a region, and the share of the pixels that it has."""
    if region not in regions:
        return "-"
    share = regions[region]["pixels"] / sum(each["pixels"] for each in regions.values())
    return f"{_beside(regions[region], regions[region]['bicubic'], 'psnr', 2, compares=compares)}, {share:.0%}"


def _beside(scores: Scores, bicubic: Scores, name: str, digits: int, *, compares: bool) -> str:
    if name not in scores:
        return "-"
    value = _value(scores[name], digits)
    return value + (f" ({_value(bicubic[name], digits)})" if compares and name in bicubic else "")


def _cell(scores: Scores) -> str:
    return f"{_value(scores['psnr'], 2)} / {scores['ssim']:.4f}"


def _value(value: float, digits: int) -> str:
    return "infinite" if math.isinf(value) else f"{value:.{digits}f}"


def _difference(decibels: float) -> str:
    return f"{decibels:+.2f}" if math.isfinite(decibels) else "-"


def _published(pair: Sequence[float] | None) -> str:
    return "-" if not pair else f"{pair[0]:.2f} / {pair[1]:.4f}"
