"""The `evaluate` command: sets x PSNR/SSIM as a table and as JSON."""

import json
from pathlib import Path
from typing import Any

import rich
from rich.progress import Progress
from torch import nn

from sr_lightning.data.benchmarks import EvaluationSet, find_sets
from sr_lightning.engine.build import build_network, expand
from sr_lightning.engine.checkpoint import load_network
from sr_lightning.engine.evaluate import Source, evaluate_set, image_source, network_source
from sr_lightning.engine.precision import resolve_device
from sr_lightning.metrics.protocol import get_protocol
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_atomically
from sr_lightning.report.tables import Published, score_table


def report_scores(config: dict[str, Any], *, sets: list[str] | None, published_bicubic: Published) -> dict[str, Any]:
    """Score what the configuration of `conf/evaluate.yaml` names, print the table and write `output`.

    Args:
        config: the resolved configuration.
        sets: names of the sets, or None for all under `data.root`.
        published_bicubic: what papers print for bicubic.

    Returns:
        What the JSON holds: `model`, `checkpoint`, `scale`, `protocol` and `metrics` with per-image values.
    """
    label, network, scale, ema, published = _subject(config)
    protocol = get_protocol(config["protocol"])
    found = find_sets(expand(config["data"]["root"]), scale=scale, names=sets)
    device = resolve_device(config["device"])
    save = expand(config["save"]) if config["save"] else None
    console = rich.get_console()
    metrics: dict[str, Any] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring", total=sum(len(evaluation_set.hr) for evaluation_set in found))
        for evaluation_set in found:
            metrics[evaluation_set.name] = evaluate_set(
                evaluation_set,
                source=_source(config, network, evaluation_set, protocol=protocol, device=device),
                protocol=protocol,
                scale=scale,
                save=save,
                progress=lambda name: bar.update(task, advance=1, description=name),
            )
    described = {**protocol.as_dict(scale), "ema": ema}
    published_rows = {"bicubic": published_bicubic} | ({label: published} if published else {})
    console.print(score_table(metrics, label=label, scale=scale, protocol=described, published=published_rows))
    content = {
        "model": label,
        "checkpoint": config["checkpoint"],
        "images": config["images"],
        "scale": scale,
        "protocol": described,
        "metrics": metrics,
    }
    if config["output"]:
        write_atomically(Path(expand(config["output"])), json.dumps(content, indent=2) + "\n")
        console.print(f"scores   {config['output']}", highlight=False, soft_wrap=True)
    if save is not None:
        console.print(f"images   {save}", highlight=False, soft_wrap=True)
    return content


def _subject(config: dict[str, Any]) -> tuple[str, nn.Module | None, int, bool, Published]:
    """Return the label, the network (None for a folder of images), its scale, whether EMA, and the paper's rows."""
    if config["checkpoint"]:
        loaded = load_network(expand(config["checkpoint"]))
        if config["scale"] not in (None, loaded.scale):
            raise Refusal(f"scale: the checkpoint was trained for x{loaded.scale}, got scale={config['scale']}.")
        published = (loaded.model.get("spec") or {}).get("published") or {}
        return loaded.name, loaded.network, loaded.scale, loaded.ema, published
    if config["images"]:
        return str(config["images"]), None, config["scale"], False, {}
    return config["names"]["model"], build_network(config["model"]), config["scale"], False, {}


def _source(
    config: dict[str, Any],
    network: nn.Module | None,
    evaluation_set: EvaluationSet,
    *,
    protocol: Any,
    device: Any,
) -> Source:
    if network is None:
        return image_source(expand(config["images"]), evaluation_set, protocol=protocol)
    return network_source(network, device=device)
