"""The `evaluate` command: sets x metrics as a table and as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import rich
from rich.progress import Progress
from torch import nn

from sr_lightning.data.benchmarks import EvaluationSet, find_sets
from sr_lightning.data.catalogue import catalogue
from sr_lightning.degradations.base import Degradation
from sr_lightning.degradations.bicubic import Bicubic
from sr_lightning.engine import announce
from sr_lightning.engine.build import build_degradation, build_network, expand
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.evaluate import (
    Source,
    check_channels,
    evaluate_set,
    image_source,
    missing_of,
    network_source,
    rules_of,
)
from sr_lightning.engine.named_degradations import build_degradations
from sr_lightning.engine.precision import resolve_device
from sr_lightning.engine.pretrained import pretrained_network
from sr_lightning.metric_names import METRICS, wanted_metrics
from sr_lightning.metrics.protocol import Protocol, get_protocol
from sr_lightning.metrics.suite import available
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_json
from sr_lightning.report.tables import Published, mismatch_line, missing_lines, score_table


@dataclass(frozen=True)
class Subject:
    """What is scored.

    Attributes:
        label: its name in tables.
        scale: the upscaling factor.
        network: gives it for images of 1 or 3 channels; None for a folder of images.
        trained: whether it comes from a checkpoint.
        trained_on: the degradation that it was trained with, None for MATLAB's bicubic.
        ema: whether its weights are averaged ones.
        published: what its paper printed.
        pretrained: the file whose weights it has, and what of it was loaded; None of others.
    """

    label: str
    scale: int
    network: Callable[[int], nn.Module] | None = None
    trained: bool = False
    trained_on: str | None = None
    ema: bool = False
    published: Published | None = None
    pretrained: dict[str, Any] | None = None


def report_scores(config: dict[str, Any], *, published_bicubic: Published) -> dict[str, Any]:
    """Score what the configuration of `conf/evaluate.yaml` names, print the table and write `output`.

    Args:
        config: the resolved configuration.
        published_bicubic: what papers print for bicubic.

    Returns:
        What the JSON holds: `model`, `checkpoint`, `pretrained` (a file's name, hash, layout and counts), `images`,
        `scale`, `seed`, `protocol`, `trained_on`, `missing` (metrics that no number could be had of, and why) and
        `metrics` with per-image values; `<Set>/<name>` for the LR of a named degradation. With `degradation`, each set
        has `standard` too: its scores on its own LR.

    Raises:
        Refusal: the subject cannot be scored, or an image does not fit.
        DataError: a set cannot be used.
    """
    protocol = get_protocol(config["protocol"])
    subject = _subject(config, protocol)
    protocol = replace(protocol, ema=subject.ema, self_ensemble=config["self_ensemble"])
    degradation = _degradation(config, subject.scale)
    named = build_degradations(config["degradations"], scale=subject.scale)
    found = find_sets(
        expand(config["data"]["root"]),
        scale=subject.scale,
        names=config["eval"],
        exclude=config["eval_exclude"],
        entries=catalogue([expand(folder) for folder in config["paths"]["catalogue"]]),
    )
    scored_under = replace(protocol, degradation=degradation.name if degradation else None)
    metrics = _score_sets(config, subject, found, protocol=scored_under, degradation=degradation, named=named)
    content = {
        "model": subject.label,
        "checkpoint": config["checkpoint"],
        "pretrained": subject.pretrained,
        "images": config["images"],
        "scale": subject.scale,
        "seed": config["seed"],
        "protocol": scored_under.as_dict(subject.scale),
        "trained_on": subject.trained_on,
        "missing": missing_of(metrics),
        "metrics": metrics,
    }
    console = rich.get_console()
    published = {"bicubic": published_bicubic} | ({subject.label: subject.published} if subject.published else {})
    console.print(
        score_table(
            metrics,
            label=subject.label,
            scale=subject.scale,
            protocol=content["protocol"],
            published=published,
            trained_on=subject.trained_on,
        )
    )
    for line in missing_lines(content["missing"]):
        console.print(line, highlight=False, soft_wrap=True, markup=False, style="dim")
    scored_on = _other_than_bicubic(scored_under.degradation, subject.scale)
    mismatch = mismatch_line(trained_on=subject.trained_on, scored_on=scored_on)
    if mismatch and subject.trained:
        console.print(mismatch, highlight=False, soft_wrap=True)
    if config["output"]:
        write_json(expand(config["output"]), content)
        console.print(f"scores   {config['output']}", highlight=False, soft_wrap=True)
    if config["save"]:
        console.print(f"images   {expand(config['save'])}", highlight=False, soft_wrap=True)
    return content


def _score_sets(
    config: dict[str, Any],
    subject: Subject,
    sets: Sequence[EvaluationSet],
    *,
    protocol: Protocol,
    degradation: Degradation | None,
    named: Mapping[str, Degradation],
) -> dict[str, Any]:
    """Score each set, with a degradation on its LR and, as `standard`, on the set's own; then on that of named ones."""
    console = rich.get_console()
    metrics: dict[str, Any] = {}
    suite = available(wanted_metrics(config["metrics"]), device=resolve_device(config["device"]))
    save = expand(config["save"]) if config["save"] else None
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        rounds = (1 if degradation is None else 2) + len(named)
        task = bar.add_task("scoring", total=rounds * sum(len(evaluation_set.hr) for evaluation_set in sets))
        for evaluation_set in sets:
            scores = partial(
                evaluate_set,
                source=_source(config, subject, evaluation_set, protocol=protocol),
                scale=subject.scale,
                seed=config["seed"],
                suite=suite,
                regions=config["regions"],
                progress=lambda name: bar.update(task, advance=1, description=name),
            )
            result = scores(evaluation_set, protocol=protocol, degradation=degradation, save=save)
            if degradation is not None:
                standard = scores(evaluation_set, protocol=replace(protocol, degradation=None))
                result["standard"] = {key: standard[key] for key in (*METRICS, "bicubic", "missing") if key in standard}
            metrics[evaluation_set.name] = result
            for name, other in named.items():
                again = replace(evaluation_set, name=f"{evaluation_set.name}/{name}")
                metrics[again.name] = scores(again, protocol=protocol, degradation=other, save=save)
    return metrics


def _subject(config: dict[str, Any], protocol: Protocol) -> Subject:
    if config["images"]:
        return Subject(label=str(config["images"]), scale=config["scale"])
    if not config["checkpoint"]:
        model = config["model"]
        if model["pretrained"]:
            return _pretrained(config, protocol)
        return Subject(
            label=config["names"]["model"],
            scale=config["scale"],
            # A network without weights works alike on any channels.
            network=lambda channels: build_network({**model, "channels": channels}),
        )
    loaded = load_network(expand(config["checkpoint"]))
    if config["scale"] not in (None, loaded.scale):
        raise Refusal(f"scale: the checkpoint was trained for x{loaded.scale}, got scale={config['scale']}.")
    check_channels(loaded.network, protocol.channels)
    return Subject(
        label=loaded.name,
        scale=loaded.scale,
        network=lambda channels: loaded.network,
        trained=True,
        trained_on=_other_than_bicubic(loaded.degradation, loaded.scale),
        ema=loaded.ema,
        published=(loaded.model.get("spec") or {}).get("published"),
    )


def _pretrained(config: dict[str, Any], protocol: Protocol) -> Subject:
    name = config["names"]["model"]
    began = pretrained_network(config["model"], name=name)
    check_channels(began.network, protocol.channels)
    announce.pretrained(began.lines())
    return Subject(
        label=name,
        scale=config["scale"],
        network=lambda channels: began.network,
        ema=began.found.averaged,
        published=(began.model.get("spec") or {}).get("published"),
        pretrained=began.facts,
    )


def _other_than_bicubic(degradation: str | None, scale: int) -> str | None:
    """Return the name of a degradation, None for MATLAB's bicubic, which the LR files of the sets are made by."""
    return None if degradation == Bicubic(scale=scale).name else degradation


def _degradation(config: dict[str, Any], scale: int) -> Degradation | None:
    """Return what is to make LR, None for the LR of the sets."""
    node = config.get("degradation")
    if not node:
        return None
    # A yaml takes the scale from the command line, where a checkpoint's is not known yet.
    if node["scale"] not in (None, scale):
        raise Refusal(f"degradation.scale: expected the scale of what is scored, {scale}, got {node['scale']}.")
    return build_degradation({**node, "scale": scale})


def _source(config: dict[str, Any], subject: Subject, evaluation_set: EvaluationSet, *, protocol: Protocol) -> Source:
    """Return the source of SR images for a set."""
    rules = rules_of(evaluation_set, otherwise=protocol)
    if subject.network is None:
        return image_source(expand(config["images"]), evaluation_set, protocol=rules)
    return network_source(
        subject.network(rules.channels),
        device=resolve_device(config["device"]),
        self_ensemble=config["self_ensemble"],
    )
