"""The trainable networks, small enough to be quick where counts do not matter."""

from collections.abc import Callable

import pytest
from torch import nn

from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srcnn_subpixel import SRCNNSubpixel
from sr_lightning.networks.srresnet import SRResNet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "srcnn": lambda **arguments: SRCNN(width=8, mapping_width=8, **arguments),
    "srcnn_915": lambda **arguments: SRCNN(width=8, mapping_width=8, mapping_kernel=1, **arguments),
    "srcnn_subpixel": lambda **arguments: SRCNNSubpixel(width=8, mapping_width=8, **arguments),
    "espcn": lambda **arguments: ESPCN(width=8, mapping_width=8, **arguments),
    "edsr": lambda **arguments: EDSR(width=8, depth=2, residual_scale=0.5, **arguments),
    "srresnet": lambda **arguments: SRResNet(width=8, depth=2, **arguments),
}


@pytest.fixture(params=NETWORKS)
def build(request: pytest.FixtureRequest) -> Callable[..., nn.Module]:
    """Builds one of the networks from `scale` and `channels`."""
    return NETWORKS[request.param]
