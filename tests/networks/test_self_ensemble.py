"""The mean over eight views."""

import pytest
import torch
from torch import Tensor

from sr_lightning.networks.edsr import EDSR
from sr_lightning.networks.self_ensemble import self_ensembled


def written_out(network: torch.nn.Module, lr: Tensor) -> Tensor:
    """Each of four quarter turns, mirrored and not, turned back by hand."""
    views = []
    for turns in range(4):
        turned = torch.rot90(lr, turns, (2, 3))
        views.append(torch.rot90(network(turned), -turns, (2, 3)))
        views.append(torch.rot90(network(turned.flip(3)).flip(3), -turns, (2, 3)))
    return torch.stack(views).mean(0)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_is_the_mean_over_turns_and_mirrors(scale: int) -> None:
    torch.manual_seed(0)
    network = EDSR(scale=2, channels=3, width=8, depth=1).double() if scale == 2 else torch.nn.Sequential(
        torch.nn.Conv2d(3, 3 * scale**2, 3, padding=1), torch.nn.PixelShuffle(scale)
    ).double()  # fmt: skip
    lr = torch.rand(2, 3, 7, 11, dtype=torch.float64)
    with torch.no_grad():
        found = self_ensembled(network, lr)
        assert found.shape == (2, 3, 7 * scale, 11 * scale)
        assert torch.allclose(found, written_out(network, lr), rtol=0, atol=1e-14)
        # Eight views are not one.
        assert (found - network(lr)).abs().max() > 1e-4


def test_changes_nothing_of_what_is_the_same_from_all_sides() -> None:
    lr = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    kept = lr.clone()
    found = self_ensembled(lambda image: image.repeat_interleave(2, 2).repeat_interleave(2, 3), lr)
    assert torch.allclose(found, lr.repeat_interleave(2, 2).repeat_interleave(2, 3), rtol=0, atol=1e-15)
    assert torch.equal(lr, kept)
