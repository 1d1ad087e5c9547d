import numpy as np
import pytest
import torch

from sr_lightning.functional.draws import Draws, splitmix64


def test_a_sample_draws_the_same_alone_and_in_company() -> None:
    together = Draws(range(100), seed=3, purpose="a")
    first, second = together.uniform(), together.uniform()
    alone = Draws([41], seed=3, purpose="a")
    assert alone.uniform()[0] == first[41]
    assert alone.uniform()[0] == second[41]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(("seed", "purpose"), [(4, "a"), (3, "b"), (3 + (1 << 32), "a")])
def test_seed_and_purpose_change_everything(seed: int, purpose: str) -> None:
    assert not np.isin(
        Draws(range(1000), seed=seed, purpose=purpose).bits(), Draws(range(1000), seed=3, purpose="a").bits()
    ).any()


def test_values_are_spread_as_they_say() -> None:
    draws = Draws(range(20000), seed=0, purpose="spread")
    values = draws.uniform(2.0, 5.0)
    assert values.min() >= 2.0
    assert values.max() < 5.0
    assert np.histogram(values, 10, (2, 5))[0] == pytest.approx(2000, rel=0.1)
    assert np.bincount(draws.below(7)) == pytest.approx(20000 / 7, rel=0.1)
    assert draws.chance(0.3).mean() == pytest.approx(0.3, abs=0.015)
    assert np.bincount(draws.choice([1, 0, 3])) == pytest.approx([5000, 0, 15000], rel=0.1)
    assert np.corrcoef(draws.uniform(), draws.uniform())[0, 1] == pytest.approx(0, abs=0.03)
    assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(0, abs=0.03)


def test_bounds_may_differ_by_sample() -> None:
    values = Draws([1, 2], seed=0, purpose="x").uniform([0, 10], [1, 11])
    assert 0 <= values[0] < 1
    assert 10 <= values[1] < 11


def test_grouped_samples_share_their_numbers() -> None:
    values = Draws([4, 5, 6, 7, 8], seed=0, purpose="x").grouped(4).uniform()
    assert (values[:4] == values[0]).all()
    assert values[4] != values[0]
    assert values[0] != Draws([1], seed=0, purpose="x").uniform()[0]


def test_generators_belong_to_their_sample_and_to_their_turn() -> None:
    def noise(samples: list[int], n: int, turns: int = 0) -> torch.Tensor:
        draws = Draws(samples, seed=1, purpose="noise")
        for _ in range(turns):
            draws.bits()
        return torch.randn(8, generator=draws.generator(n))

    assert torch.equal(noise([9], 0), noise([4, 9], 1))
    assert not torch.equal(noise([9], 0), noise([4, 9], 0))
    assert not torch.equal(noise([9], 0), noise([9], 0, turns=1))


def test_splitmix64_takes_a_state_for_each_position() -> None:
    states = np.array([5, 6], np.uint64)
    both = splitmix64(states, np.array([3, 3], np.uint64))
    assert both[0] == splitmix64(5, np.array([3], np.uint64))[0]
    assert both[1] == splitmix64(6, np.array([3], np.uint64))[0]
