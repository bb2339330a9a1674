"""Made-up numbers, and what may be said of them."""

from __future__ import annotations

import numpy as np
import pytest

from converter.compare.statistics import Spread, from_where_on, least


def spread(*numbers: float) -> Spread:
    return Spread.of(numbers)


def test_the_spread_is_in_the_unit_of_the_numbers() -> None:
    numbers = list(range(1, 102))
    np.random.default_rng(0).shuffle(numbers)
    found = Spread.of(numbers)
    assert found == Spread(median=51, lower=26, upper=76, p99=100, count=101)


def test_one_slow_call_moves_the_p99_and_not_the_median() -> None:
    quiet, disturbed = spread(*[1] * 50), spread(*[1] * 49, 1000)
    assert (disturbed.median, disturbed.upper) == (quiet.median, quiet.upper)
    assert disturbed.p99 > 100 * quiet.p99


def test_intervals_that_overlap_are_not_distinguished() -> None:
    fast, near, slow = spread(1, 2, 3, 4, 5), spread(3, 4, 5, 6, 7), spread(10, 11, 12, 13, 14)
    assert not fast.differs_from(near)
    assert not fast.is_below(near)
    assert fast.differs_from(slow)
    assert slow.differs_from(fast)
    assert fast.is_below(slow)
    assert not slow.is_below(fast)


def test_an_interval_that_touches_overlaps() -> None:
    assert not spread(1, 1, 2, 2, 2).differs_from(spread(2, 2, 2, 3, 3))


def test_the_fastest_comes_with_all_that_cannot_be_told_from_it() -> None:
    spreads = {
        "slow": spread(10, 11, 12, 13, 14),
        "near": spread(3, 4, 5, 6, 7),
        "fast": spread(1, 2, 3, 4, 5),
    }
    assert least(spreads) == ("fast", "near")
    assert least({"slow": spreads["slow"], "near": spreads["near"]}) == ("near",)
    assert least({}) == ()


GRID = [(batch, time) for batch in (1, 8, 32) for time in (1, 20, 100)]


@pytest.mark.parametrize(
    ("won", "expected"),
    [
        (GRID, [(1, 1)]),
        ([(32, 100)], [(32, 100)]),
        ([(8, 100), (32, 100), (32, 20)], [(8, 100), (32, 20)]),
        ([one for one in GRID if one != (32, 100)], []),  # lost where it is largest
        ([(1, 1), (32, 100)], [(32, 100)]),  # a win before a loss is no "from here on"
        ([], []),
    ],
)
def test_from_where_on_is_the_least_place_behind_which_all_is_won(
    won: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert list(from_where_on(won, GRID)) == expected
