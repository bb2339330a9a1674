"""Where the marks of a plot stand: numbers become places in a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis.

    Attributes:
        least: The number at its beginning.
        most: The number at its end.
        begin: The place of its beginning.
        end: The place of its end.
    """

    least: float
    most: float
    begin: float
    end: float

    @classmethod
    def over(cls, numbers: Sequence[float], begin: float, end: float) -> Axis:
        """An axis of whole decades that holds these numbers, at least one decade.

        >>> axis = Axis.over([0.2, 30], 0, 300)
        >>> axis.least, axis.most, round(axis.place(1)), round(axis.place(10))
        (0.1, 100.0, 100, 200)
        """
        some = [one for one in numbers if one > 0] or [1.0]
        low, high = floor(log10(min(some))), ceil(log10(max(some)))
        return cls(10.0**low, 10.0 ** max(high, low + 1), begin, end)

    def place(self, number: float) -> float:
        """Where a number stands; below the axis, at its beginning."""
        if number <= self.least:
            return self.begin
        part = log10(number / self.least) / log10(self.most / self.least)
        return round(self.begin + min(part, 1.0) * (self.end - self.begin), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The decades: their places and numbers.

        >>> Axis(0.1, 100, 0, 300).ticks
        [(0, '0.1'), (100.0, '1'), (200.0, '10'), (300.0, '100')]
        """
        low, high = round(log10(self.least)), round(log10(self.most))
        step = max(1, ceil((high - low) / 6))
        return [(self.place(10.0**k), f"{10.0**k:g}") for k in range(low, high + 1, step)]


def spread_out(count: int, begin: float, end: float) -> list[float]:
    """Places for `count` columns between two ends, each in the middle of its own.

    >>> spread_out(2, 0, 100)
    [25.0, 75.0]
    """
    width = (end - begin) / max(count, 1)
    return [round(begin + (k + 0.5) * width, 1) for k in range(count)]
