"""What metrics that rest on learnt parameters share: where these lie, and how pictures come to them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sr_lightning.metric_names import ABSENT_FILE


@dataclass(frozen=True)
class HubFile:
    """A file of parameters in torch hub's cache, `$TORCH_HOME/hub/checkpoints`.

    It is looked for and never fetched: a validation step is no moment to wait for a network. `prepare` fetches it.

    Attributes:
        metric: What needs it, as tables call it.
        content: What it holds, in words.
        url: Where it can be had; ends in the file's name.
        sha256: Its checksum in hex; empty where only the file's name tells.
    """

    metric: str
    content: str
    url: str
    sha256: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]

    @property
    def expected(self) -> Path:
        """Where it belongs."""
        return Path(torch.hub.get_dir(), "checkpoints", self.name)

    @property
    def path(self) -> Path | None:
        """Where it lies; None where it was never put there."""
        return self.expected if self.expected.is_file() else None

    def require(self) -> Path:
        """Where it lies.

        Raises:
            FileNotFoundError: It is not there; says which file belongs where.
        """
        if self.path is None:
            raise FileNotFoundError(
                f"{self.metric} needs {self.content}{ABSENT_FILE}{self.name} into {self.expected.parent} ({self.url})."
            )
        return self.path


class PictureDistance:
    """A learnt distance between two pictures: what LPIPS and DISTS have in common.

    Args:
        file: What its network needs beside what torchmetrics carries.
        smallest: The shortest side in pixels that its poolings leave something of.
        device: Where it is computed; None for where the images are.

    Raises:
        FileNotFoundError: The file is not in torch hub's cache; says which belongs where.
    """

    def __init__(self, file: HubFile, *, smallest: int, device: torch.device | None) -> None:
        file.require()
        self._name = file.metric
        self._smallest = smallest
        self._device = device
        # Once: torchmetrics' functions build it anew for each image.
        self._network = self.build().eval()

    def build(self) -> nn.Module:
        """The network."""
        raise NotImplementedError

    def distances(self, network: nn.Module, sr: Tensor, hr: Tensor) -> Tensor:
        """The distances of N pairs `(N, 3, H, W)` in [0, 1], float32: one of each, or their mean."""
        distances: Tensor = network(sr, hr)
        return distances

    def __call__(self, sr: Tensor, hr: Tensor) -> float:
        """Mean distance over a batch of RGB images `(N, 3, H, W)` in [0, 1]; `sr` is clamped.

        Raises:
            ValueError: The shapes differ or are not RGB, or a side is shorter than the smallest.
        """
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3 or min(sr.shape[-2:]) < self._smallest:
            raise ValueError(
                f"{self._name} compares RGB images of one shape with sides of at least {self._smallest} pixels,"
                f" got sr {tuple(sr.shape)} and hr {tuple(hr.shape)}."
            )
        device = self._device or sr.device
        network = self._network.to(device)
        # PyTorch's default for convolutions on a GPU, TF32, has the ten bits of float16.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            pair = sr.to(device, torch.float32).clamp(0.0, 1.0), hr.to(device, torch.float32)
            return self.distances(network, *pair).mean().item()
