"""The trainable networks, small enough to be quick where counts do not matter."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.networks.carn import CARN
from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.fsrcnn import FSRCNN
from sr_lightning.networks.imdn import IMDN
from sr_lightning.networks.lapsrn import LapSRN
from sr_lightning.networks.layout import Layout
from sr_lightning.networks.mdsr import MDSR
from sr_lightning.networks.rcan import RCAN
from sr_lightning.networks.rlfn import RLFN
from sr_lightning.networks.rrdb import RRDBNet
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srcnn_subpixel import SRCNNSubpixel
from sr_lightning.networks.srresnet import SRResNet
from sr_lightning.networks.srvgg import SRVGGNetCompact
from sr_lightning.networks.swinir import SwinIR
from sr_lightning.networks.unet import UNet
from sr_lightning.networks.vdsr import VDSR

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "srcnn": lambda **arguments: SRCNN(width=8, mapping_width=8, **arguments),
    "srcnn_915": lambda **arguments: SRCNN(width=8, mapping_width=8, mapping_kernel=1, **arguments),
    "srcnn_subpixel": lambda **arguments: SRCNNSubpixel(width=8, mapping_width=8, **arguments),
    "espcn": lambda **arguments: ESPCN(width=8, mapping_width=8, **arguments),
    "edsr": lambda **arguments: EDSR(width=8, depth=2, residual_scale=0.5, **arguments),
    "srresnet": lambda **arguments: SRResNet(width=8, depth=2, **arguments),
    "srcnn_normalised": lambda **arguments: SRCNN(width=8, mapping_width=8, mean=0.4, std=0.2, **arguments),
    "espcn_sigmoid": lambda **arguments: ESPCN(width=8, mapping_width=8, output="sigmoid", **arguments),
    "srresnet_norm_upsampling": lambda **arguments: SRResNet(width=8, depth=2, upsample_norm=True, **arguments),
    "srresnet_tanh": lambda **arguments: SRResNet(width=8, depth=2, after_trunk="prelu", output="tanh", **arguments),
    "fsrcnn": lambda **arguments: FSRCNN(width=8, mapping_width=6, depth=2, **arguments),
    "vdsr": lambda **arguments: VDSR(width=8, depth=4, **arguments),
    "vdsr_without_bias": lambda **arguments: VDSR(width=8, depth=4, bias=False, **arguments),
    "imdn": lambda **arguments: IMDN(width=8, depth=2, reduction=1, **arguments),
    "rlfn": lambda **arguments: RLFN(width=8, depth=2, attention_width=4, **arguments),
    "srvgg": lambda **arguments: SRVGGNetCompact(width=8, depth=2, **arguments),
    "rrdb": lambda **arguments: RRDBNet(width=8, depth=2, growth=4, **arguments),
    "rrdb_on_the_image": lambda **arguments: RRDBNet(width=8, depth=2, growth=4, unshuffle=False, **arguments),
    "rcan": lambda **arguments: RCAN(width=8, groups=2, depth=2, reduction=1, **arguments),
    "mdsr": lambda **arguments: MDSR(width=8, depth=2, **arguments),
    "carn": lambda **arguments: CARN(width=8, groups=1, recursive=False, **arguments),
    "carn_m": lambda **arguments: CARN(width=8, groups=2, **arguments),
    "lapsrn": lambda **arguments: LapSRN(width=8, depth=2, **arguments),
    "lapsrn_paper": lambda **arguments: LapSRN(width=8, depth=2, kernel=4, **arguments),
    "swinir": lambda **arguments: SwinIR(width=12, groups=2, depth=2, heads=2, **arguments),
    "swinir_light": lambda **arguments: SwinIR(
        width=12, groups=1, depth=2, heads=2, upsampler="pixelshuffledirect", **arguments
    ),
    "swinir_real": lambda **arguments: SwinIR(
        width=12, groups=1, depth=2, heads=2, convolutions=3, upsampler="nearest+conv", **arguments
    ),
    "unet": lambda **arguments: UNet(width=8, depth=2, **arguments),
}


@pytest.fixture(params=NETWORKS)
def build(request: pytest.FixtureRequest) -> Callable[..., nn.Module]:
    """Builds one of the networks from `scale` and `channels`."""

    def make(*, scale: int, channels: int) -> nn.Module:
        if scale == 3 and request.param.startswith("lapsrn"):
            pytest.skip("LapSRN doubles at each level: it has no scale 3")
        return NETWORKS[request.param](scale=scale, channels=channels)

    return make


@pytest.fixture
def check_layouts() -> Callable[..., list[set[str]]]:
    """Checks that each layout of a network reads what it writes and tells the arguments; returns the written names."""

    def check(
        network: nn.Module, arguments: dict[str, Any], *, layouts: Sequence[Layout] | None = None
    ) -> list[set[str]]:
        ours = network.state_dict()
        written = []
        for layout in network.layouts if layouts is None else layouts:
            published = layout.to_published(ours)
            assert len(published) == len(ours), f"{layout.name} gives two tensors one name"
            read = layout.to_ours(list(ours), published)
            assert all(read[name] is tensor for name, tensor in ours.items()), layout.name
            assert layout.settings(published) == arguments, layout.name
            written.append(set(published))
        return written

    return check


@pytest.fixture
def equals_spandrels() -> Callable[..., None]:
    """Compares a network in float64 with spandrel's of the same weights, which are handed over in a layout."""
    registry = pytest.importorskip("spandrel").MAIN_REGISTRY

    def compare(architecture: str, network: nn.Module, layout: Layout, lr: Tensor) -> None:
        randomise(network)
        loaded = registry.load(layout.to_file(network.state_dict()))
        assert loaded.architecture.id == architecture
        theirs = loaded.model.double().eval()
        # It may change its input in place.
        with torch.no_grad():
            expected, sr = theirs(lr.double().clone()), network.double().eval()(lr.double())
        assert expected.abs().max() > 0
        assert (sr - expected).abs().max() <= 1e-9 * expected.abs().max()

    return compare


def randomise(network: nn.Module) -> None:
    """Gives every parameter and statistic values of its own, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator)
            value.add_(0.1 * noise)
