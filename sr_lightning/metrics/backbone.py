"""What metrics that rest on learnt parameters share: where these lie, and which images they compare."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


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
                f"{self.metric} needs {self.content}: put {self.name} into {self.expected.parent} ({self.url})."
            )
        return self.path


def check_pictures(metric: str, sr: Tensor, hr: Tensor, *, smallest: int) -> None:
    """Refuses what is no pair of RGB images, or too small for a network's poolings.

    Raises:
        ValueError: The shapes differ or are not `(N, 3, H, W)`, or a side is shorter than `smallest`.
    """
    if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3 or min(sr.shape[-2:]) < smallest:
        raise ValueError(
            f"{metric} compares RGB images of one shape with sides of at least {smallest} pixels,"
            f" got sr {tuple(sr.shape)} and hr {tuple(hr.shape)}."
        )
