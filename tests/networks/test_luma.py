import pytest
import torch

from sr_lightning.functional.color import rgb_to_ycbcr
from sr_lightning.functional.resize import imresize
from sr_lightning.networks.bicubic import Bicubic
from sr_lightning.networks.luma import forward_rgb


class Bright(torch.nn.Module):
    """A Y network that anybody can check: each pixel repeated, plus a constant."""

    scale, channels = 2, 1

    def forward(self, lr):
        assert lr.shape[1] == 1
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2) + 0.1


def test_y_network_sees_y_and_chroma_goes_up_bicubically():
    lr = torch.rand(2, 3, 6, 5)
    ycbcr = rgb_to_ycbcr(lr)

    sr = forward_rgb(Bright(), lr)

    found = rgb_to_ycbcr(sr)
    torch.testing.assert_close(found[:, :1], Bright()(ycbcr[:, :1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:, 1:], imresize(ycbcr[:, 1:], 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_network_for_the_channels_of_the_image_is_called_as_it_is(channels):
    lr = torch.rand(1, channels, 4, 4)

    assert torch.equal(forward_rgb(Bicubic(scale=3, channels=channels), lr), imresize(lr, 3))


def test_both_ways_agree_for_a_linear_network():
    lr = torch.rand(1, 3, 7, 6)

    torch.testing.assert_close(
        forward_rgb(Bicubic(scale=4, channels=1), lr), forward_rgb(Bicubic(scale=4), lr), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("network", "image"), [(4, 3), (1, 4), (3, 1)])
def test_other_channels_are_refused(network, image):
    with pytest.raises(
        ValueError, match=f"images of {image} channels need a network of as many; this one has {network}"
    ):
        forward_rgb(Bicubic(scale=2, channels=network), torch.rand(1, image, 4, 4))
