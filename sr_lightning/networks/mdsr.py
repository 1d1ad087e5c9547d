"""MDSR, the network for several scales of EDSR's paper (Lim et al. 2017, arXiv 1707.02921)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from sr_lightning.networks.blocks import SubpixelUpsampler, div2k_mean, in_full_precision, scale_name
from sr_lightning.networks.edsr import MEAN_SHIFTS, ResidualBlock, mean_shifts, on_255
from sr_lightning.networks.layout import Layout, Tensors, count


def _settings(tensors: Tensors) -> dict[str, Any]:
    width, channels = tensors["head.0.weight"].shape[:2]
    upsamplers = count(tensors, r"upsample\.(\d+)\.0\.weight")
    if not upsamplers:
        # EDSR's and RCAN's files have the same head and body.
        return {}
    return {
        "scales": [_scale(tensors, place, width) for place in range(upsamplers)],
        "width": width,
        "channels": channels,
        "depth": count(tensors, r"body\.(\d+)\.body\.0\.weight"),
    }


def _scale(tensors: Tensors, place: int, width: int) -> int:
    """The factor of the upsampler at a place: a stage of three, or as many of two as there are convolutions."""
    if tensors[f"upsample.{place}.0.weight"].shape[0] == 9 * width:
        return 3
    return int(2 ** count(tensors, rf"upsample\.{place}\.(\d+)\.weight"))


class MDSR(nn.Module):
    """EDSR's body for all scales; two residual blocks of 5x5 before it and an upsampler behind it for each.

    Like EDSR it works on 0..255 minus DIV2K's mean inside.

    Args:
        scale: The factor of a `forward` that is not told another; one of `scales`.
        scales: The factors that it has parts for (the paper's: 2, 3 and 4); None has `scale` alone.
        channels: 3 for RGB (as in the paper), 1 for Y, or the number of bands.
        width: Channels of the features.
        depth: Residual blocks of the body: 16 for the baseline, 80 for the full model.

    Raises:
        ValueError: `scale`, here or in `forward`, is not one of `scales`.
    """

    mean: Tensor

    def __init__(
        self, *, scale: int, scales: Sequence[int] | None = None, channels: int = 3, width: int = 64, depth: int = 80
    ) -> None:
        super().__init__()
        self.scale = scale
        self.scales = tuple(scales or (scale,))
        scale_name(scale, self.scales)
        self.channels = channels
        self.register_buffer("mean", div2k_mean(channels), persistent=False)
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.preprocess = nn.ModuleDict({f"x{each}": _preprocess(width) for each in self.scales})
        self.body = nn.Sequential(
            *(ResidualBlock(width=width) for _ in range(depth)), nn.Conv2d(width, width, 3, padding=1)
        )
        self.upsample = nn.ModuleDict({f"x{each}": SubpixelUpsampler(width=width, scale=each) for each in self.scales})
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The authors' names, which number the parts of a scale by its place among the network's scales."""
        parts = list(enumerate(self.scales))
        return (
            Layout(
                "EDSR-PyTorch",
                rename=(
                    (r"head\.(\w+)", r"head.0.\1"),
                    *(
                        (rf"preprocess\.x{each}\.(\d+)\.conv{ours}\.(\w+)", rf"pre_process.{place}.\1.body.{theirs}.\2")
                        for place, each in parts
                        for ours, theirs in ((1, 0), (2, 2))
                    ),
                    (r"body\.(\d+)\.conv1\.(\w+)", r"body.\1.body.0.\2"),
                    (r"body\.(\d+)\.conv2\.(\w+)", r"body.\1.body.2.\2"),
                    *((rf"upsample\.x{each}\.(.+)", rf"upsample.{place}.\1") for place, each in parts),
                    (r"tail\.(\w+)", r"tail.0.\1"),
                ),
                constants=(MEAN_SHIFTS,),
                settings=_settings,
                make_constants=mean_shifts,
                convert=partial(on_255, tail="tail.0"),
            ),
        )

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        """Maps `lr` `(N, C, H, W)` in [0, 1] to `sr` `(N, C, scale*H, scale*W)`, not clamped.

        Args:
            lr: Images.
            scale: One of `scales`; None takes the network's `scale`.
        """
        name = scale_name(self.scale if scale is None else scale, self.scales)
        shallow = self.preprocess[name](self.head((lr - self.mean) * 255))
        deep = self.body(shallow) + shallow
        return in_full_precision(self.tail, self.upsample[name](deep)) / 255 + self.mean


def _preprocess(width: int) -> nn.Sequential:
    """What brings the features of one scale to what the shared body expects."""
    return nn.Sequential(ResidualBlock(width=width, kernel=5), ResidualBlock(width=width, kernel=5))
