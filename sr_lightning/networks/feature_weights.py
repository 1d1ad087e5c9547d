"""Where VGG's weights come from: torchvision's file, a file of one's own, or a random seed."""

import http.client
import socket
import threading
import urllib.request
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# A firewall that swallows packets must not hang a run: the server has to answer within this time, and later
# each read has to.
_SECONDS_TO_ANSWER = 12.0


@dataclass(frozen=True)
class LoadedWeights:
    """Values of the convolutions (`conv1_1.weight`, ...) and what is known of them."""

    values: dict[str, Tensor]
    source: str
    convention: str


def load_weights(
    backbone: str,
    *,
    shapes: Mapping[str, torch.Size],
    numbers: Mapping[str, int],
    asked: Sequence[str],
    weights: str,
    convention: str,
    random_fallback: bool,
) -> LoadedWeights:
    """Finds the values of VGG's convolutions as `VGGFeatures` describes.

    Args:
        backbone: "vgg16" or "vgg19".
        shapes: The values wanted, `{"conv1_1.weight": (64, 3, 3, 3), ...}`, from shallow to deep.
        numbers: Torchvision's number of each layer: its keys are `features.NUMBER.weight`.
        asked: The layers that the caller wants, for messages.
        weights: "imagenet", "random", "auto" or a path.
        convention: "torchvision", "caffe" or "auto".
        random_fallback: Whether "auto" may fall back to "random".
    """
    ours = "caffe" if convention == "caffe" else "torchvision"
    if weights == "random":
        return LoadedWeights(_random(shapes), "random", ours)
    if weights not in ("imagenet", "auto"):
        path = Path(weights).expanduser()
        if convention == "auto" and "caffe" in path.name.lower():
            ours = "caffe"
        values = _select(_read(path, backbone), shapes, numbers, asked=asked, origin=str(path))
        return LoadedWeights(values, "caffe" if ours == "caffe" else weights, ours)
    try:
        published = imagenet_weights(backbone)
    except FileNotFoundError as error:
        if weights == "imagenet" or not random_fallback:
            raise FileNotFoundError(f"{error} Or name a file of your own: weights=PATH.") from error
        warnings.warn(
            f"RANDOM {backbone.upper()} FEATURES: fine for a demonstration, not for results. {error}",
            stacklevel=2,
        )
        return LoadedWeights(_random(shapes), "random", ours)
    values = _select(published, shapes, numbers, asked=asked, origin=f"torchvision's {backbone}")
    return LoadedWeights(values, "imagenet", ours)


def _random(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """He's initialisation, as torchvision's own; a generator apart leaves the run's random numbers alone."""
    generator = torch.Generator().manual_seed(0)
    values = {key: torch.zeros(shape) for key, shape in shapes.items()}
    for key, value in values.items():
        if key.endswith("weight"):
            nn.init.kaiming_normal_(value, mode="fan_out", nonlinearity="relu", generator=generator)
    return values


def _read(path: Path, backbone: str) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(
            f"No file with {backbone}'s weights at {path}. "
            "Expected imagenet, random, auto or the path of a file with torchvision's key names."
        )
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle may raise anything
        raise ValueError(f"{path} is not a file of tensors that torch can load: {error}") from error
    if not isinstance(values, Mapping):
        raise ValueError(f"{path} holds a {type(values).__name__}; expected a state dict with torchvision's keys.")
    return values


def _select(
    values: Mapping[str, Tensor],
    shapes: Mapping[str, torch.Size],
    numbers: Mapping[str, int],
    *,
    asked: Sequence[str],
    origin: str,
) -> dict[str, Tensor]:
    """Picks the values that are wanted out of a file with torchvision's keys.

    Raises:
        ValueError: The file ends before a layer that is wanted, or is another network's.
    """
    selected: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        layer, kind = key.split(".")
        value = values.get(f"features.{numbers[layer]}.{kind}")
        if value is None or value.shape != shape:
            missing = [name for name in asked if numbers[name] >= numbers[layer]]
            held = [name for name in numbers if numbers[name] < numbers[layer]]
            raise ValueError(
                f"{origin} does not hold {', '.join(missing)}. Layers it holds: {', '.join(held) or 'none'}. "
                "Ask for one of these, or use another file with torchvision's key names (features.0.weight)."
            )
        selected[key] = value
    return selected


def ensure_imagenet(backbone: str) -> None:
    """Downloads torchvision's weights into torch hub's cache unless they are there, for those who load them themselves.

    Args:
        backbone: "vgg16", "alexnet" or another of torchvision's networks.

    Raises:
        FileNotFoundError: They are not there and cannot be downloaded.
    """
    if not _imagenet(backbone)[1].exists():
        imagenet_weights(backbone)


def _imagenet(backbone: str) -> tuple[Any, Path]:
    """What torchvision knows of its weights, and their place in torch hub's cache."""
    # Imported here because it takes seconds that no other way to get weights needs.
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]

    published = get_model_weights(backbone).IMAGENET1K_V1
    return published, Path(torch.hub.get_dir(), "checkpoints", published.url.rsplit("/", 1)[-1])


def imagenet_weights(backbone: str) -> Mapping[str, Tensor]:
    """Torchvision's weights, from torch hub's cache or downloaded into it.

    Raises:
        FileNotFoundError: They are not there and cannot be downloaded.
    """
    published, file = _imagenet(backbone)
    try:
        if not file.exists():
            _expect_answer(published.url)
        with _socket_timeout(_SECONDS_TO_ANSWER):
            values: Mapping[str, Tensor] = published.get_state_dict(
                progress=True, check_hash=True, map_location="cpu", weights_only=True
            )
    except Exception as error:  # no network, no such folder, a wrong hash; a broken pickle may raise anything
        raise FileNotFoundError(
            f"{backbone}'s ImageNet weights cannot be had ({type(error).__name__}: {error}). Put {file.name} "
            f"(from {published.url}) into {file.parent}."
        ) from error
    return values


def _expect_answer(url: str) -> None:
    """Asks a server for a file's header, within a fixed time for the name look-up and all addresses together.

    A socket's time-out starts anew with each address and does not hold for the look-up, hence the thread.
    """
    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "torch.hub"})
            with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER):
                outcome.append(None)
        except (OSError, http.client.HTTPException) as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_ANSWER)
    if not outcome:
        raise TimeoutError(f"no answer within {_SECONDS_TO_ANSWER:g} seconds")
    if outcome[0] is not None:
        raise outcome[0]


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
