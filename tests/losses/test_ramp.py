import math

import pytest

from sr_lightning.losses.ramp import RampedWeight


def test_from_the_first_step_on():
    assert [RampedWeight(0.3).at(step) for step in range(3)] == [0.3, 0.3, 0.3]


def test_start_and_ramp():
    weight = RampedWeight(2.0, start=2, ramp=4)
    assert [weight.at(step) for step in range(8)] == [0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": -1.0}, "weight: expected zero or more, got -1.0"),
        ({"weight": math.nan}, "weight: expected zero or more, got nan"),
        ({"weight": math.inf}, "weight: expected zero or more, got inf"),
        ({"weight": 1.0, "start": -1}, "start: expected zero or more, got -1"),
        ({"weight": 1.0, "ramp": -3}, "ramp: expected zero or more, got -3"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(ValueError, match=message):
        RampedWeight(**settings)
