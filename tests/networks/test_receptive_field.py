"""Against what is known by hand: convolutions look (kernel - 1) / 2 further on each side."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.espcn import ESPCN
from sr_lightning.networks.rcan import RCAN
from sr_lightning.networks.receptive_field import receptive_field
from sr_lightning.networks.srcnn import SRCNN
from sr_lightning.networks.srresnet import SRResNet
from sr_lightning.networks.swinir import SwinIR


class Stack(nn.Sequential):
    scale, channels = 1, 1


def test_kernels_add_up():
    assert receptive_field(ESPCN(scale=4), length=33) == 5 + 2 + 2
    assert receptive_field(ESPCN(scale=2), length=33) == 5 + 2 + 2
    assert receptive_field(Stack(nn.Conv2d(1, 1, 3, padding=1)), length=5) == 3
    assert receptive_field(Stack(nn.Conv2d(1, 1, 3, padding=2, dilation=2)), length=9) == 5


def test_bicubic_before_the_network_is_part_of_it():
    # 9, 5 and 5 at x4 make 17 pixels for each of the four of an LR pixel, 20 in all; bicubic takes two more LR pixels
    # on each side of the 5 or 6 on which these lie.
    assert receptive_field(SRCNN(scale=4), length=65) in (9, 10)


def test_a_hundred_layers_do_not_fade():
    layers = [nn.Conv2d(1, 1, 3, padding=1) for _ in range(100)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e-3)

    assert receptive_field(Stack(*layers), length=301) == 201


def test_a_mean_of_the_image_sees_all_of_it():
    torch.manual_seed(0)
    assert receptive_field(RCAN(scale=2, width=16, groups=1, depth=2, reduction=4), length=101) is None
    # Batch normalisation in training is a mean of it too; the network is asked as it is used.
    # 9, then four of 3, then 9 on the finer grid.
    assert receptive_field(SRResNet(scale=2, width=8, depth=1).train(), length=101) == 9 + 4 * 2 + 4


def test_windows_need_a_strip_as_high_as_they_are():
    torch.manual_seed(0)
    network = SwinIR(scale=2, width=8, groups=1, depth=2, heads=2)

    seen = receptive_field(network, height=8, length=129)

    # Five convolutions see 11 pixels of the second block, whose shifted windows are 24 around them; the windows of the
    # first block around these are 32, and the first convolution adds 2.
    assert seen == 34


def test_the_network_stays_as_it_was():
    network = SRResNet(scale=2, width=8, depth=1).train()
    frozen = next(network.parameters()).requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    receptive_field(network, length=33)

    assert all(module.training for module in network.modules())
    assert [parameter for parameter in network.parameters() if not parameter.requires_grad] == [frozen]
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_in_place_operations_are_no_hindrance():
    class Partial(nn.Module):
        scale, channels = 1, 2

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(2, 2, 3, padding=1)
            self.large = nn.Conv2d(1, 1, 9, padding=4)

        def forward(self, lr: Tensor) -> Tensor:
            x = F.relu(self.first(lr) + 10, inplace=True)
            x[:, :1] = self.large(x[:, :1])
            return x

    assert receptive_field(Partial(), length=33) == 11


def test_a_strip_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="length: expected an odd number"):
        receptive_field(ESPCN(scale=2), length=32)
