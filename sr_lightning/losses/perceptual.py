"""Distance between the VGG features of two images (Johnson et al. 2016, arXiv 1603.08155)."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.features import Backbone, Convention, VGGFeatures
from sr_lightning.refusal import check_choice

_CRITERIA = {"l1": F.l1_loss, "mse": F.mse_loss}


def check_colours(channels: int) -> None:
    """Refuses images that networks for photographs cannot see.

    Raises:
        ValueError: Neither RGB nor Y.
    """
    if channels not in (1, 3):
        raise ValueError(f"features are of RGB images or Y, got {channels} channels: use loss=l1.")


class PerceptualLoss(nn.Module):
    """Weighted sum over VGG layers of the distance between the features of `sr` and of `hr`.

    SRGAN: `relu5_4`, mse, times 0.006. ESRGAN: `conv5_4` (before the activation), l1.

    The convolutions follow the surrounding autocast, as the network's do; differences are taken in float32.
    The features' weights are not part of the state dict (see `VGGFeatures`).

    Args:
        backbone: "vgg16" or "vgg19".
        layers: Weight of each layer, by its name.
        criterion: "l1" (mean absolute) or "mse" (mean squared difference).
        weights: "imagenet", "random", "auto" or the path of a file, see `VGGFeatures`.
        convention: What the weights expect as input, see `VGGFeatures`.
        random_fallback: Whether "auto" may fall back to random features.

    Raises:
        ValueError: An unknown backbone, layer or criterion.
        FileNotFoundError: The weights cannot be had.
    """

    def __init__(
        self,
        *,
        backbone: Backbone = "vgg19",
        layers: Mapping[str, float],
        criterion: Literal["l1", "mse"] = "l1",
        weights: str = "auto",
        convention: Convention = "auto",
        random_fallback: bool = False,
    ) -> None:
        super().__init__()
        check_choice("criterion", criterion, _CRITERIA)
        self._criterion = _CRITERIA[criterion]
        self._layers = dict(layers)
        self.features = VGGFeatures(
            backbone=backbone,
            layers=list(self._layers),
            weights=weights,
            convention=convention,
            random_fallback=random_fallback,
        )

    @property
    def source(self) -> str:
        """Where the features come from: "imagenet", "caffe", "random" or the path of the file."""
        return self.features.source

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Maps `sr`, `hr` `(N, C, H, W)` in [0, 1], RGB or Y, to a float32 scalar; no gradient for `hr`."""
        with torch.no_grad():
            targets = self.features(hr)
        found = self.features(sr)
        distances = [
            weight * self._criterion(self.compared(found[layer]), self.compared(targets[layer]))
            for layer, weight in self._layers.items()
        ]
        return torch.stack(distances).sum()

    def compared(self, features: Tensor) -> Tensor:
        """What of features `(N, C, H, W)` is compared: here all of them, in float32."""
        return features.float()

    def check_images(self, *, channels: int, height: int, width: int) -> None:
        """Refuses images that are gone before the deepest layer, or are neither RGB nor Y.

        Raises:
            ValueError: The images are too small, or of other bands.
        """
        check_colours(channels)
        self.features.check_size(height, width)
