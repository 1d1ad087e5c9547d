"""What the wrapper of other libraries' networks adds, on small networks that show each thing by itself."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.networks.padded import Padded


class Windows(nn.Module):
    """x2 by repeating pixels; only takes sides that are multiples of 4, and works on its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.full((1, 3, 1, 1), 0.25)
        self.register_buffer("index", torch.arange(3))
        self.norm = nn.BatchNorm2d(3)
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Conv2d(3, 3, 1)
        self.merged = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        assert all(side % 4 == 0 for side in x.shape[-2:])
        self.mean = self.mean.type_as(x)
        x -= self.mean
        if not self.training:
            # As SPAN does.
            self.merged.data = self.last.weight.data.sum().clone().view(1)
        x = self.last(self.first(self.norm(x)))
        return F.interpolate(x + self.mean, scale_factor=2)


def make(**arguments) -> Padded:
    torch.manual_seed(0)
    return Padded(Windows(), scale=2, channels=3, multiple=4, **arguments)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 8), (5, 4), (17, 30)])
def test_any_size_and_the_input_stays_as_it_was(size):
    network = make().eval()
    lr = torch.rand(2, 3, *size)
    before = lr.clone()

    sr = network(lr)

    assert sr.shape == (2, 3, 2 * size[0], 2 * size[1])
    assert sr.dtype == torch.float32
    assert torch.equal(lr, before)


def test_the_image_is_mirrored_at_the_right_and_at_the_bottom():
    network = make().eval()
    lr = torch.rand(1, 3, 6, 7)

    expected = network.network(F.pad(lr, (0, 1, 0, 2), mode="reflect"))[..., :12, :14]

    torch.testing.assert_close(network(lr), expected, rtol=0, atol=0)


def test_what_is_too_small_inside_is_enlarged():
    network = make(smallest=16)
    seen = []
    network.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-2:]))

    network(torch.rand(2, 3, 5, 18))

    assert seen == [(16, 20)]


def test_constants_are_none_of_the_state_but_move_with_it():
    network = make()

    assert {name.removeprefix("network.") for name in network.state_dict()} == {
        "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
        "first.weight", "first.bias", "last.weight", "last.bias", "merged",
    }  # fmt: skip
    assert network.double().network.mean.dtype == torch.float64
    assert network.to("meta").network.mean.device.type == "meta"


def test_files_have_the_librarys_names_and_constants():
    network = make()
    (layout,) = network.layouts

    file = layout.to_file(network.state_dict())

    # The mean is a plain tensor of the library's, which its files do not hold.
    assert set(file) == {name.removeprefix("network.") for name in network.state_dict()} | {"index"}
    assert set(file) == set(Windows().state_dict())
    assert torch.equal(file["index"], torch.arange(3))
    assert layout.is_constant("index")
    assert not layout.is_constant("first.weight")
    ours = layout.to_ours(list(network.state_dict()), file)
    assert network.load_state_dict(ours)


def test_the_last_convolution_is_in_float32_under_autocast():
    network = make().eval()
    seen = {}
    for name in ("first", "last"):
        module = getattr(network.network, name)
        module.register_forward_hook(lambda module, inputs, output, name=name: seen.update({name: output.dtype}))

    with torch.autocast("cpu", torch.bfloat16):
        sr = network(torch.rand(1, 3, 8, 8))

    assert seen == {"first": torch.bfloat16, "last": torch.float32}
    assert sr.dtype == torch.float32
    assert not torch.equal(sr, sr.bfloat16().float())


def test_half_precision_comes_out_as_float32():
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.bfloat16()

    assert Padded(Half(), scale=1, channels=3)(torch.rand(1, 3, 2, 2)).dtype == torch.float32
    assert Padded(nn.Identity(), scale=1, channels=3)(torch.rand(1, 3, 2, 2).double()).dtype == torch.float64


def test_what_training_does_not_reach_is_taken_out_of_it():
    network = make(no_gradient={"merged": "computed from the others"})

    assert [name for name, parameter in network.named_parameters() if not parameter.requires_grad] == ["network.merged"]
    with pytest.raises(ValueError, match=r"^no_gradient: Windows has no parameter 'mergd'\.$"):
        make(no_gradient={"mergd": "misspelt"})


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_training_goes_on_after_a_validation(mode):
    """What the network keeps of a validation is averaged and trained afterwards."""
    network = make(no_gradient={"merged": "computed from the others"})
    with mode():
        network.eval()(torch.rand(1, 3, 4, 4))
    assert network.network.merged != 0

    with torch.no_grad():
        network.network.merged.lerp_(torch.ones(1), 0.5)  # as an average of weights does
    network.train()(torch.rand(2, 3, 4, 4)).square().mean().backward()

    assert network.network.first.weight.grad is not None


def test_a_copy_is_a_network_of_its_own():
    network = make().eval()
    lr = torch.rand(1, 3, 4, 4)
    twin = copy.deepcopy(network)
    torch.testing.assert_close(twin(lr), network(lr))

    with torch.no_grad():
        network.network.last.weight.add_(1)

    assert not torch.equal(twin(lr), network(lr))
