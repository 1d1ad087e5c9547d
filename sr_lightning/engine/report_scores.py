"""The `evaluate` command: sets x PSNR/SSIM as a table and as JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rich
from rich.progress import Progress
from torch import nn

from sr_lightning.data.benchmarks import EvaluationSet, find_sets
from sr_lightning.engine.build import build_network, expand
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.evaluate import Source, check_channels, evaluate_set, image_source, network_source
from sr_lightning.engine.precision import resolve_device
from sr_lightning.metrics.protocol import Protocol, get_protocol
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_json
from sr_lightning.report.tables import Published, score_table


@dataclass(frozen=True)
class Subject:
    """What is scored.

    Attributes:
        label: its name in tables.
        scale: the upscaling factor.
        network: None for a folder of images.
        ema: whether its weights are averaged ones.
        published: what its paper printed.
    """

    label: str
    scale: int
    network: nn.Module | None = None
    ema: bool = False
    published: Published | None = None


def report_scores(config: dict[str, Any], *, published_bicubic: Published) -> dict[str, Any]:
    """Score what the configuration of `conf/evaluate.yaml` names, print the table and write `output`.

    Args:
        config: the resolved configuration.
        published_bicubic: what papers print for bicubic.

    Returns:
        What the JSON holds: `model`, `checkpoint`, `images`, `scale`, `protocol` and `metrics` with per-image values.

    Raises:
        Refusal: the subject cannot be scored, or an image does not fit.
        DataError: a set cannot be used.
    """
    protocol = get_protocol(config["protocol"])
    subject = _subject(config, protocol)
    found = find_sets(expand(config["data"]["root"]), scale=subject.scale, names=config["eval"])
    source = _source(config, subject, protocol=protocol)
    save = expand(config["save"]) if config["save"] else None
    console = rich.get_console()
    metrics: dict[str, Any] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring", total=sum(len(evaluation_set.hr) for evaluation_set in found))
        for evaluation_set in found:
            metrics[evaluation_set.name] = evaluate_set(
                evaluation_set,
                source=source(evaluation_set),
                protocol=protocol,
                scale=subject.scale,
                save=save,
                progress=lambda name: bar.update(task, advance=1, description=name),
            )
    content = {
        "model": subject.label,
        "checkpoint": config["checkpoint"],
        "images": config["images"],
        "scale": subject.scale,
        "protocol": {**protocol.as_dict(subject.scale), "ema": subject.ema},
        "metrics": metrics,
    }
    published = {"bicubic": published_bicubic} | ({subject.label: subject.published} if subject.published else {})
    console.print(
        score_table(
            metrics, label=subject.label, scale=subject.scale, protocol=content["protocol"], published=published
        )
    )
    if config["output"]:
        write_json(expand(config["output"]), content)
        console.print(f"scores   {config['output']}", highlight=False, soft_wrap=True)
    if save is not None:
        console.print(f"images   {save}", highlight=False, soft_wrap=True)
    return content


def _subject(config: dict[str, Any], protocol: Protocol) -> Subject:
    if config["images"]:
        return Subject(label=str(config["images"]), scale=config["scale"])
    if not config["checkpoint"]:
        # A network without weights works alike on any channels.
        model = {**config["model"], "channels": protocol.channels}
        return Subject(label=config["names"]["model"], scale=config["scale"], network=build_network(model))
    loaded = load_network(expand(config["checkpoint"]))
    if config["scale"] not in (None, loaded.scale):
        raise Refusal(f"scale: the checkpoint was trained for x{loaded.scale}, got scale={config['scale']}.")
    check_channels(loaded.network, protocol.channels)
    return Subject(
        label=loaded.name,
        scale=loaded.scale,
        network=loaded.network,
        ema=loaded.ema,
        published=(loaded.model.get("spec") or {}).get("published"),
    )


def _source(config: dict[str, Any], subject: Subject, *, protocol: Protocol) -> Callable[[EvaluationSet], Source]:
    """Return what gives the source of SR images for a set."""
    if subject.network is None:
        folder = expand(config["images"])
        return lambda evaluation_set: image_source(folder, evaluation_set, protocol=protocol)
    network = network_source(subject.network, device=resolve_device(config["device"]))
    return lambda evaluation_set: network
