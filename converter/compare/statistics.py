"""What many measurements say, and whether two runtimes can be told apart by them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Name = TypeVar("Name")

Place = tuple[int, int]
"""A place in the grid: batch and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Measurements in order of size. The interval from `lower` to `upper` holds half of them.

    Attributes:
        median: In the middle.
        lower: A quarter of them are below it.
        upper: A quarter of them are above it.
        p99: One in a hundred is above it.
        count: How many there are.
    """

    median: float
    lower: float
    upper: float
    p99: float
    count: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """What these numbers say.

        >>> Spread.of([4, 1, 2, 3, 5])
        Spread(median=3.0, lower=2.0, upper=4.0, p99=4.96, count=5)
        """
        lower, median, upper, p99 = np.quantile(numbers, (0.25, 0.5, 0.75, 0.99)).tolist()
        return cls(median=median, lower=lower, upper=upper, p99=p99, count=len(numbers))

    def differs_from(self, other: Spread) -> bool:
        """Whether the intervals do not overlap: only then is one of the two faster."""
        return self.upper < other.lower or other.upper < self.lower

    def is_below(self, other: Spread) -> bool:
        """Whether it is less, and can be told from the other."""
        return self.upper < other.lower


def least(spreads: Mapping[Name, Spread]) -> tuple[Name, ...]:
    """The one with the least median, and behind it all that cannot be told from it."""
    if not spreads:
        return ()
    best, *others = sorted(spreads, key=lambda name: spreads[name].median)
    near = (name for name in others if not spreads[name].differs_from(spreads[best]))
    return (best, *near)


def from_where_on(won: Collection[Place], grid: Collection[Place]) -> tuple[Place, ...]:
    """The least places of a grid from which on every place is won; none where there is no such.

    >>> grid = [(1, 1), (1, 100), (32, 1), (32, 100)]
    >>> from_where_on([(1, 100), (32, 100)], grid), from_where_on([(1, 1)], grid)
    (((1, 100),), ())
    """

    def behind(place: Place) -> set[Place]:
        return {one for one in grid if one[0] >= place[0] and one[1] >= place[1]}

    safe = [place for place in sorted(grid) if behind(place) <= set(won)]
    return tuple(
        place
        for place in safe
        if not any(other != place and place in behind(other) for other in safe)
    )
