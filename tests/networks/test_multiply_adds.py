"""Counts against published tables, and networks that cannot be counted."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.networks.carn import CARN
from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.fsrcnn import FSRCNN
from sr_lightning.networks.imdn import IMDN
from sr_lightning.networks.mdsr import MDSR
from sr_lightning.networks.multiply_adds import Cost, count_cost, multiply_adds
from sr_lightning.networks.padded import Padded
from sr_lightning.networks.rcan import RCAN
from sr_lightning.networks.rlfn import RLFN
from sr_lightning.networks.rrdb import RRDBNet
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srresnet import SRResNet
from sr_lightning.networks.srvgg import SRVGGNetCompact
from sr_lightning.networks.swinir import SwinIR
from sr_lightning.networks.vdsr import VDSR


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
        (FSRCNN, 2, 2.87),
        (FSRCNN, 3, 1.28),
        (FSRCNN, 4, 0.72),
        (VDSR, 2, 612.6),
        (IMDN, 2, 158.77),
        (IMDN, 3, 71.50),
        (IMDN, 4, 40.89),
        (RRDBNet, 4, 1032.6),
        (SRVGGNetCompact, 4, 69.6),
        (lambda scale: SRVGGNetCompact(scale=scale, depth=16), 4, 35.7),
        (RCAN, 2, 3526.8),
        (RCAN, 3, 1588.5),
        (RCAN, 4, 916.9),
        # Multi-scale ones at one of theirs.
        (lambda scale: MDSR(scale=scale, scales=[2, 3, 4]), 2, 1497.8),
        (lambda scale: CARN(scale=scale, scales=[2, 3, 4], groups=1, recursive=False), 2, 222.83),
        (lambda scale: CARN(scale=scale, scales=[2, 3, 4], groups=1, recursive=False), 3, 118.89),
        (lambda scale: CARN(scale=scale, scales=[2, 3, 4], groups=1, recursive=False), 4, 90.88),
    ],
)
def test_as_in_published_tables(network: Callable[..., nn.Module], scale: int, expected: float) -> None:
    with torch.device("meta"):
        counted = multiply_adds(network(scale=scale))
    assert counted == pytest.approx(expected * 1e9, rel=1e-3, abs=5e6)


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


# Published counts for 256x256 at x4: NTIRE 2024 to 2026 on RLFN (317K, 19.67 G) and SPAN (151K, 9.83 G, 41.7 M, 22).
def test_the_challenges_count_of_span() -> None:
    span = pytest.importorskip("spandrel").architectures.SPAN.SPAN
    network = Padded(span(num_in_ch=3, num_out_ch=3, feature_channels=28, upscale=4), scale=4, channels=3)

    cost = count_cost(network, width=256, height=256)

    # As it is used, of one convolution where it is trained with three and a skip.
    assert cost is not None
    assert cost.parameters == 150_688
    assert (round(cost.multiply_adds / 1e9, 2), round(cost.activations / 1e6, 1), cost.convolutions) == (9.83, 41.7, 22)


def test_the_challenges_count_of_rlfn() -> None:
    network = RLFN(scale=4, width=46, depth=4)
    for block in network.body.values():
        block.step1, block.step2, block.step3 = (
            nn.Conv2d(before, after, 3, padding=1) for before, after in ((46, 48), (48, 48), (48, 46))
        )

    cost = count_cost(network, width=256, height=256)

    assert cost is not None
    assert round(cost.parameters / 1e6, 3) == 0.317
    assert cost.multiply_adds == pytest.approx(19.67e9, rel=1e-3)


# As others count it (ESC's table); the paper has 195.6, 87.2 and 49.6, without part of what is around the products.
@pytest.mark.parametrize(("scale", "expected"), [(2, 244.4), (3, 110.8), (4, 63.6)])
def test_attention_is_counted(scale: int, expected: float) -> None:
    network = SwinIR(scale=scale, width=60, groups=4, upsampler="pixelshuffledirect")
    assert multiply_adds(network) == pytest.approx(expected * 1e9, rel=0.02)


def test_what_does_not_depend_on_the_image_is_not_counted() -> None:
    class Merging(nn.Module):
        scale, channels = 1, 1

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 7, 1, bias=False), nn.Conv2d(7, 1, 1, bias=False)
            self.merged = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            self.merged.weight.data = F.conv2d(self.first.weight.data.transpose(0, 1), self.second.weight.data)
            return self.merged(lr)

    network = Merging()
    weight = network.merged.weight.clone()

    cost = count_cost(network, width=10, height=20)

    assert cost == Cost(multiply_adds=200, activations=200, convolutions=1, parameters=1)
    assert torch.equal(network.merged.weight, weight)
    assert not any(module._forward_hooks for module in network.modules())


def test_parts_that_no_image_passes_are_told_apart() -> None:
    class Spare(nn.Module):
        scale, channels = 1, 3

        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            # Without a call of the module, as Swin2SR does.
            return F.linear(lr.movedim(1, -1), self.used.weight, self.used.bias).movedim(-1, 1)

    cost = count_cost(Spare(), width=4, height=4)

    assert cost is not None
    assert (cost.parameters, cost.multiply_adds) == (12, 16 * 9)
