from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.resize import imresize
from sr_lightning.losses.pixel import CharbonnierLoss, L1Loss
from sr_lightning.losses.weighted_sum import WeightedSum
from sr_lightning.modules.pyramid import PyramidModule
from sr_lightning.networks.lapsrn import LapSRN


@pytest.fixture
def make(pixel: Callable[..., Any]) -> Callable[..., PyramidModule]:
    """A pyramid module with the settings of the tests' pixel module."""

    def build(**changes: Any) -> PyramidModule:
        usual = pixel()
        settings = {
            name: getattr(usual, name)
            for name in ("optimizer", "schedule", "protocol", "max_steps", "log_every_steps", "description")
        }
        network = LapSRN(scale=4, channels=changes.pop("channels", 3), width=6, depth=1)
        loss = WeightedSum(terms={"charbonnier": CharbonnierLoss(eps=1e-3)}, weights={"charbonnier": 1.0})
        more = {"gradient_clip": None, "accumulate": 1, "compile_step": False}
        return PyramidModule(**{**settings, **more, "network": network, "loss": loss, **changes})

    return build


def batch(size: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "lr": torch.rand(2, 3, size, size, generator=generator),
        "hr": torch.rand(2, 3, 4 * size, 4 * size, generator=generator),
    }


def charbonnier(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ((a - b).square() + 1e-6).sqrt().mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_step_descends_on_the_sum_over_all_levels(make: Any, fit: Any, channels: int) -> None:
    module, given = make(channels=channels), batch()
    reference = LapSRN(scale=4, channels=channels, width=6, depth=1)
    reference.load_state_dict(module.network.state_dict())
    records = fit(module, [given])

    lr, hr = (rgb_to_y(each) if channels == 1 else each for each in (given["lr"], given["hr"]))
    once, twice = reference.pyramid(lr)
    expected = charbonnier(once, imresize(hr, Fraction(1, 2))) + charbonnier(twice, hr)
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-3)
    expected.backward()
    optimizer.step()

    for mine, theirs in zip(module.network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert records.rows[1]["train/loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert records.rows[1]["train/charbonnier"] == pytest.approx(expected.item(), rel=1e-5)


def test_terms_are_summed_over_the_levels_each_by_itself(make: Any, fit: Any) -> None:
    loss = WeightedSum(
        terms={"l1": L1Loss(), "charbonnier": CharbonnierLoss()}, weights={"l1": 2.0, "charbonnier": 1.0}
    )
    row = fit(make(loss=loss), [batch()]).rows[1]

    assert row["train/loss"] == pytest.approx(2 * row["train/l1"] + row["train/charbonnier"], rel=1e-5)


def test_every_level_learns_from_its_own_loss(make: Any, fit: Any) -> None:
    module = make()
    before = {name: value.clone() for name, value in module.network.named_parameters()}
    fit(module, [batch(), batch()])

    assert all(not torch.equal(value, before[name]) for name, value in module.network.named_parameters())


def test_a_network_without_levels_is_refused(make: Any, tiny_net: Any) -> None:
    with pytest.raises(
        ValueError, match=r"module=pyramid .* \(a method `pyramid`\), which TinyNet does not; use module=p"
    ):
        make(network=tiny_net())


@pytest.mark.slow
def test_levels_are_compiled_where_that_is_asked_for(make: Any, fit: Any) -> None:
    plain, compiled = make(), make(compile_step=True)
    compiled.network.load_state_dict(plain.network.state_dict())
    fit(plain, [batch()])
    fit(compiled, [batch()])

    assert list(compiled.state_dict()) == list(plain.state_dict())
    for mine, theirs in zip(compiled.network.parameters(), plain.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
