"""Fronts against a plain definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_lightning.comparison.pareto import pareto_fronts

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=25)
DIRECTIONS = ("max", "min", "max")


def plain_fronts(points):
    """Peel off what nothing left dominates."""
    fronts, left, number = {}, set(range(len(points))), 0
    signed = [(a, -b, c) for a, b, c in points]

    def dominates(i, j):
        return signed[i] != signed[j] and all(x >= y for x, y in zip(signed[i], signed[j], strict=True))

    while left:
        number += 1
        first = {j for j in left if not any(dominates(i, j) for i in left)}
        fronts |= dict.fromkeys(first, number)
        left -= first
    return [fronts[k] for k in range(len(points))]


@given(POINTS)
def test_fronts(points):
    assert pareto_fronts(points, DIRECTIONS) == plain_fronts(points)


def test_equal_points_share_a_front_and_directions_count():
    points = [(30.0, 0.2), (30.0, 0.2), (29.0, 0.2), (28.0, 0.1)]
    assert pareto_fronts(points, ("max", "min")) == [1, 1, 2, 1]
    assert pareto_fronts(points, ("max", "max")) == [1, 1, 2, 3]
    assert pareto_fronts(points, ("min", "min")) == [3, 3, 2, 1]


@pytest.mark.parametrize("points", [[(1.0,)], [(1.0, float("nan"))], [1.0, 2.0]])
def test_what_cannot_be_sorted(points):
    with pytest.raises(ValueError, match="expected points of 2 finite values"):
        pareto_fronts(points, ("max", "min"))
