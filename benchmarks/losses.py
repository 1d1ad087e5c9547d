"""What each loss costs: forward and backward, against L1 and against a whole step of EDSR-baseline without a loss.

    python benchmarks/losses.py [batch=4] [side=192] [rounds=5] [device=cpu]

The losses of conf/loss, at our precision, timed in turn, so that a busy machine hurts all alike; medians over rounds.
Features are random, which takes the same time. `ldl` includes the forward of the averaged network.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import rich
import torch
from rich.table import Table
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model  # type: ignore[import-untyped]

from sr_lightning.cli.compose import Composer
from sr_lightning.engine.build import build_loss, build_network
from sr_lightning.engine.pace import wait
from sr_lightning.engine.precision import resolve_precision
from sr_lightning.losses.weighted_sum import Given, WeightedSum
from sr_lightning.modules.base import channels_last

SCALE = 4

Step = Callable[[], None]


def main() -> None:
    options = {"batch": "4", "side": "192", "rounds": "5", "device": "cpu"}
    options |= dict(argument.split("=", 1) for argument in sys.argv[1:])
    device = torch.device(options["device"])
    composer = Composer("train")
    network = channels_last(build_network(composer.compose(["model=edsr_baseline"]).tree["model"])).to(device)
    images = Images(batch=int(options["batch"]), side=int(options["side"]), network=network, device=device)
    enabled = resolve_precision("auto", device.type) == "bf16-mixed"
    autocast = partial(torch.autocast, device.type, torch.bfloat16, enabled=enabled)
    steps: dict[str, Step] = {"EDSR-baseline": partial(network_step, network, images, autocast)}
    for name in composer.groups["loss"]:
        loss = build_with_random_features(composer.compose([f"loss={name}"]).tree["loss"]).to(device)
        steps[name] = partial(loss_step, loss, images, autocast)
    seconds = timed(steps, rounds=int(options["rounds"]), device=device)
    rich.print(table(seconds, title=f"{', '.join(f'{key}={value}' for key, value in options.items())}, bf16={enabled}"))


class Images:
    """What all steps work on: `lr`, `hr`, and a leaf `sr` near `hr`."""

    def __init__(self, *, batch: int, side: int, network: nn.Module, device: torch.device) -> None:
        torch.manual_seed(0)
        small = torch.rand(batch, 3, side // SCALE, side // SCALE, device=device)
        self.lr = small.contiguous(memory_format=torch.channels_last)
        hr = torch.nn.functional.interpolate(self.lr, size=(side, side), mode="bicubic").clamp(0, 1)
        self.hr = hr.contiguous(memory_format=torch.channels_last)
        self.sr = (self.hr + 0.02 * torch.randn_like(self.hr)).requires_grad_()
        self.given = Given(lr=self.lr, averaged_sr=partial(self._averaged, network))

    @torch.no_grad()
    def _averaged(self, network: nn.Module) -> Tensor:
        averaged: Tensor = network(self.lr)
        return averaged


def build_with_random_features(terms: dict[str, Any]) -> WeightedSum:
    for term in terms.values():
        term.update({"weights": "random"} if "weights" in term else {})
    # LPIPS and DISTS ask torchvision for ImageNet's weights: here for an untrained network of the same name.
    with (
        patch("sr_lightning.networks.feature_weights.imagenet_weights"),
        patch.object(WeightsEnum, "get_state_dict", lambda self, **_: untrained(type(self).__name__)),
    ):
        return build_loss(terms)


def untrained(weights: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = get_model(weights.removesuffix("_Weights").lower(), weights=None).state_dict()
    return state


def network_step(network: nn.Module, images: Images, autocast: Callable[[], Any]) -> None:
    network.zero_grad()
    with autocast():
        sr = network(images.lr)
    sr.backward(torch.full_like(sr, 1e-3))


def loss_step(loss: WeightedSum, images: Images, autocast: Callable[[], Any]) -> None:
    images.sr.grad = None
    with autocast():
        total, _ = loss(images.sr, images.hr, given=images.given)
    total.backward()


def timed(steps: dict[str, Step], *, rounds: int, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each step over rounds; the first round warms all of them up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            wait(device)
            started = time.perf_counter()
            step()
            wait(device)
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(each[1:]) for name, each in times.items()}


def table(seconds: dict[str, float], *, title: str) -> Table:
    drawn = Table("loss", title=title, box=None)
    for heading in ("ms", "x l1", "of EDSR-baseline's step"):
        drawn.add_column(heading, justify="right")
    for name, value in sorted(seconds.items(), key=lambda item: item[1]):
        drawn.add_row(
            name, f"{value * 1000:.2f}", f"{value / seconds['l1']:.1f}", f"{value / seconds['EDSR-baseline']:.1%}"
        )
    return drawn


if __name__ == "__main__":
    main()
