"""What each network costs and how far it looks, measured on the network that its yaml describes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from statistics import median
from typing import cast

import torch
from rich.console import Console
from torch import nn

from sr_lightning.engine.build import Node, build_network
from sr_lightning.networks.luma import Network
from sr_lightning.networks.multiply_adds import NTIRE_INPUT, OUTPUT, Cost, count_cost
from sr_lightning.networks.receptive_field import LENGTH, receptive_field
from sr_lightning.report.models_table import Model, models_page, models_table

# The scale at which the challenges count, and up to which the rest is measured.
SCALE = 4
# Timing: threads, LR pixels a side, runs, and the seconds after which no further run begins.
THREADS, SIDE, RUNS, SECONDS = 1, 48, 5, 4.0
# How far a network looks does not depend on its channels and heads: with few of them it is known sooner. By the
# constructors' names.
NARROW = {
    "width": 24, "growth": 8, "embed_dim": 48, "dim": 16, "num_feat": 16, "feature_channels": 16, "num_tokens": 16,
    "heads": 2, "num_heads": 2,
}  # fmt: skip


# Characters of a line where nobody's terminal says how many; more than the table has.
PIPE = 200


def print_models(nodes: Mapping[str, Node], *, times: bool) -> None:
    """Print the table of the networks.

    Args:
        nodes: the content of their yamls, by name.
        times: whether to time them too.
    """
    console = Console()
    if not console.is_terminal:
        # A terminal that is narrow folds the cells, a pipe gets whole lines.
        console = Console(width=PIPE)
    models = _measured(nodes, console, times=times)
    console.print(models_table(models, threads=THREADS, side=SIDE, length=LENGTH))


def write_page(nodes: Mapping[str, Node], path: Path) -> None:
    """Write the page of the networks in Markdown.

    Args:
        nodes: the content of their yamls, by name.
        path: the file, replaced if it is there.
    """
    console = Console()
    path.write_text(models_page(_measured(nodes, console, times=False), length=LENGTH), encoding="utf-8")
    console.print(f"written    {path}", highlight=False)


def _measured(nodes: Mapping[str, Node], console: Console, *, times: bool) -> list[Model]:
    models = []
    with console.status("measuring") as status:
        for number, (name, node) in enumerate(nodes.items(), start=1):
            status.update(f"measuring {name}, {number} of {len(nodes)}")
            models.append(measure_model(name, node, times=times))
    return models


def measure_model(name: str, node: Node, *, times: bool) -> Model:
    """Measure one network.

    Args:
        name: of the model.
        node: the content of its yaml, at any scale.
        times: whether to time it.
    """
    spec = node["spec"]
    built = {scale: _on_meta({**node, "scale": scale}) for scale in spec["scales"]}
    costs = [_hd_cost(network, scale) for scale, network in built.items()]
    challenge = count_cost(built[SCALE], width=NTIRE_INPUT[0], height=NTIRE_INPUT[1]) if SCALE in built else None
    measured = {**node, "scale": max((scale for scale in built if scale <= SCALE), default=min(built))}
    return Model(
        name=name,
        spec=spec,
        parameters=tuple(map(_trained, built.values())),
        in_use=tuple(None if cost is None else cost.parameters for cost in costs),
        multiply_adds=tuple(None if cost is None else cost.multiply_adds for cost in costs),
        challenge=None if challenge is None else astuple(challenge)[:3],
        sees=look(measured),
        milliseconds=_milliseconds(build_network(measured)) if times else None,
    )


def look(node: Node) -> int | None:
    """Return how many LR pixels in a row a network sees, None for all of them.

    Args:
        node: the content of its yaml.
    """
    narrow = {key: _at_most(node[key], most) for key, most in NARROW.items() if key in node}
    with _seeded():
        return receptive_field(build_network({**node, **narrow}), height=node["spec"]["min_size"])


def _at_most(value: int | list[int], most: int) -> int | list[int]:
    return [min(each, most) for each in value] if isinstance(value, list) else min(value, most)


def _on_meta(node: Node) -> nn.Module:
    with torch.device("meta"):
        return build_network(node)


def _hd_cost(network: nn.Module, scale: int) -> Cost | None:
    width, height = (-(-side // scale) for side in OUTPUT)
    return count_cost(network, width=width, height=height)


def _trained(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _milliseconds(network: nn.Module) -> float:
    """Return the median time for a megapixel of output."""
    scale = cast(Network, network).scale
    lr = torch.rand(1, cast(Network, network).channels, SIDE, SIDE)
    network.eval()
    times: list[float] = []
    with _threads(THREADS), torch.inference_mode():
        network(lr)
        while len(times) < RUNS and sum(times) < SECONDS:
            start = time.perf_counter()
            network(lr)
            times.append(time.perf_counter() - start)
    return 1e3 * median(times) / ((scale * SIDE) ** 2 / 1e6)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw the same weights every time, and leave the caller's random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
