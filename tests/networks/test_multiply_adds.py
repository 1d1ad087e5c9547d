"""Counts against published tables, and networks that cannot be counted."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.multiply_adds import multiply_adds
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srresnet import SRResNet


def edsr_baseline(scale: int) -> nn.Module:
    return EDSR(scale=scale, channels=3, width=64, depth=16, residual_scale=1.0, image_skip=False)


# G multiply-adds: CARN's table has SRCNN with 52.7 and EDSR-baseline with 316.3, 160.2 and 114.0; the second decimals,
# x3 from LR of 427x240 and ESPCN are those of later tables in the same convention.
@pytest.mark.parametrize(
    ("network", "scale", "expected"),
    [
        (edsr_baseline, 2, 316.25),
        (edsr_baseline, 3, 160.44),
        (edsr_baseline, 4, 114.23),
        (SRCNN, 2, 52.70),
        (SRCNN, 4, 52.70),
        (ESPCN, 2, 4.88),
        (ESPCN, 3, 2.32),
        (ESPCN, 4, 1.42),
        (lambda scale: SRCNN(scale=scale, mapping_kernel=1), 4, 7.40),
    ],
)
def test_as_in_published_tables(network: Callable[..., nn.Module], scale: int, expected: float) -> None:
    assert multiply_adds(network(scale=scale)) == pytest.approx(expected * 1e9, rel=1e-3, abs=5e6)


def test_a_large_network_is_counted_at_once_and_without_memory() -> None:
    with torch.device("meta"):
        edsr = EDSR(scale=4, channels=3, width=256, depth=32, residual_scale=0.1, image_skip=False)
    assert multiply_adds(edsr) == pytest.approx(2894.6e9, rel=1e-4)


def test_by_hand() -> None:
    """Each output pixel of a convolution takes kernel x kernel x inputs multiply-adds for each of its channels."""

    class Two(nn.Module):
        scale, channels = 5, 1

        def __init__(self) -> None:
            super().__init__()
            self.grown = nn.ConvTranspose2d(1, 4, 5, stride=5)
            self.last = nn.Conv2d(4, 1, 3, padding=1)

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return self.last(self.grown(lr))

    assert multiply_adds(Two()) == 256 * 144 * 25 * 4 + 1280 * 720 * 9 * 4
    assert multiply_adds(Bicubic(scale=4)) == 0


def test_a_network_is_left_as_it_was() -> None:
    network = SRResNet(scale=2, channels=3, width=8, depth=1)
    network.eval()
    next(network.children()).train()
    modes = [module.training for module in network.modules()]
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    numbers = torch.random.get_rng_state()
    assert multiply_adds(network)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), numbers)


def test_batch_norm_of_single_values_is_counted() -> None:
    class Attention(nn.Module):
        scale, channels = 2, 3

        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return F.interpolate(lr * self.weights(lr), scale_factor=2)

    assert multiply_adds(Attention()) == 9


def test_several_scales_are_counted_at_their_own() -> None:
    class Several(nn.Module):
        channels = 1

        def __init__(self, scale: int) -> None:
            super().__init__()
            self.scale = scale
            self.tails = nn.ModuleDict({str(each): nn.Conv2d(1, each**2, 3, padding=1) for each in (2, 4)})

        def forward(self, lr: torch.Tensor, scale: int | None = None) -> torch.Tensor:
            scale = scale or self.scale
            return F.pixel_shuffle(self.tails[str(scale)](lr), scale)

    # 9 for each output pixel, whatever the scale.
    assert multiply_adds(Several(2)) == multiply_adds(Several(4)) == 1280 * 720 * 9


def test_what_cannot_be_run_without_values_has_no_count() -> None:
    class Looks(nn.Module):
        scale, channels = 2, 3

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return lr * float(lr.mean())

    assert multiply_adds(Looks()) is None
