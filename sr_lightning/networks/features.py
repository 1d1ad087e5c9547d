"""VGG's features of an image, the eyes of perceptual losses (Simonyan & Zisserman 2015, arXiv 1409.1556)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sr_lightning.networks.feature_weights import load_weights
from sr_lightning.networks.frozen import freeze
from sr_lightning.refusal import check_choice

Backbone = Literal["vgg16", "vgg19"]
Convention = Literal["auto", "torchvision", "caffe"]

# Width and number of convolutions of each block; a pooling ends the block.
_BLOCKS: dict[str, list[tuple[int, int]]] = {
    "vgg16": [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)],
    "vgg19": [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)],
}
# Mean and deviation of ImageNet for RGB in [0, 1]; caffe's mean for BGR on 0..255, brought to [0, 1].
_NORMALISATION = {
    "torchvision": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255)),
}


class VGGFeatures(nn.Module):
    """Named feature maps of VGG16 or VGG19, cut off after the deepest layer asked for.

    `conv5_4` is the fourth convolution of block five before its activation (ESRGAN), `relu5_4` the same after
    it (SRGAN), `pool5` the end of the block.

    The weights are frozen: no parameter requires a gradient, and the module stays in evaluation mode. It
    moves with its owner (`.to(...)`) but stays out of its owner's state dict (see `freeze`).

    Args:
        backbone: "vgg16" or "vgg19".
        layers: Names of the layers wanted.
        weights: "imagenet": torchvision's, from torch hub's cache or downloaded into it. "random": He's
            initialisation from a fixed seed; good enough to try things out. "auto": "imagenet", or "random"
            with a warning where that cannot be had and `random_fallback` allows it. Anything else: the path
            of a file with torchvision's key names (`features.0.weight`, ...), which may end early.
        convention: What the weights expect as input: "torchvision" (RGB, ImageNet's mean and deviation) or
            "caffe" (BGR, 0..255 minus the mean). "auto" is caffe for a file with "caffe" in its name.
        random_fallback: Whether "auto" may fall back to random features.

    Attributes:
        source: Where the weights came from: "imagenet", "random", "caffe" or the path of the file.
        layers: The layers that `forward` returns, in the order asked for.

    Raises:
        ValueError: An unknown backbone, convention or layer, or a file that does not hold the layer.
        FileNotFoundError: The weights cannot be had; says which file to put where.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        backbone: Backbone = "vgg19",
        layers: Sequence[str],
        weights: str = "auto",
        convention: Convention = "auto",
        random_fallback: bool = False,
    ) -> None:
        super().__init__()
        check_choice("backbone", backbone, list(_BLOCKS))
        check_choice("convention", convention, ["auto", "torchvision", "caffe"])
        names = _layer_names(backbone)
        if not layers:
            raise ValueError(f"VGGFeatures needs at least one layer of {backbone}: {', '.join(names)}.")
        for layer in layers:
            check_choice(f"a layer of {backbone}", layer, names)
        self.layers = tuple(layers)

        deepest = max(names.index(layer) for layer in layers)
        self.stages = _build(backbone, names[: deepest + 1], kept=self.layers)
        loaded = load_weights(
            backbone,
            shapes={key: value.shape for key, value in self.stages.state_dict().items()},
            numbers={name: number for number, name in enumerate(names)},
            asked=self.layers,
            weights=weights,
            convention=convention,
            random_fallback=random_fallback,
        )
        self.source = loaded.source
        self.stages.load_state_dict(loaded.values, assign=True)

        self._blue_first = loaded.convention == "caffe"
        mean, deviation = _NORMALISATION[loaded.convention]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)
        freeze(self)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the feature maps `(N, C_layer, H_layer, W_layer)` by layer name.

        Args:
            images: `(N, 3, H, W)` RGB or `(N, 1, H, W)` Y, which is replicated, in [0, 1].

        Raises:
            ValueError: The images are smaller than the poolings allow.
        """
        self.check_size(*images.shape[-2:])
        images = images.expand(-1, 3, -1, -1)
        if self._blue_first:
            images = images.flip(-3)
        values = (images - self.mean) / self.deviation
        found: dict[str, Tensor] = {}
        for name, stage in self.stages.named_children():
            values = stage(values)
            found[name] = values
        return {layer: found[layer] for layer in self.layers}

    def train(self, mode: bool = True) -> "VGGFeatures":
        """Stays in evaluation mode, whatever the owner does."""
        return super().train(False)

    def check_size(self, height: int, width: int) -> None:
        """Refuse images that are gone before the deepest layer.

        Raises:
            ValueError: the images are too small.
        """
        smallest = 2 ** sum(isinstance(stage, nn.MaxPool2d) for stage in self.stages)
        if min(height, width) < smallest:
            raise ValueError(
                f"VGG features at {', '.join(self.layers)} need images of at least {smallest}x{smallest}, "
                f"got {height}x{width}: use larger patches or an earlier layer."
            )


def _layer_names(backbone: str) -> list[str]:
    """All names in the order an image meets them: conv1_1, relu1_1, conv1_2, relu1_2, pool1, ..."""
    names: list[str] = []
    for block, (_, count) in enumerate(_BLOCKS[backbone], start=1):
        for index in range(1, count + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return names


def _build(backbone: str, names: Sequence[str], *, kept: Sequence[str]) -> nn.Sequential:
    """The layers `names`, without storage for their weights."""
    stages = nn.Sequential()
    channels = 3
    for name in names:
        if name.startswith("conv"):
            width, _ = _BLOCKS[backbone][int(name[4]) - 1]
            stages.add_module(name, nn.Conv2d(channels, width, 3, padding=1, device="meta"))
            channels = width
        elif name.startswith("relu"):
            # In place to save memory, but never on features that the caller gets.
            stages.add_module(name, nn.ReLU(inplace=name.replace("relu", "conv") not in kept))
        else:
            stages.add_module(name, nn.MaxPool2d(2))
    return stages
