"""Rounds: in each, every runtime is measured at every point, one after the other.

What changes with the hours (other processes, the heat of the machine) meets all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from converter.compare.process import WorkerFailure
from converter.compare.statistics import Spread
from converter.compare.timings import Measured, Point

SECONDS = 0.05
"""Of calls in one round at one point; at least one call."""

WARM_UP = 0.2
"""Seconds of calls at one point before the rounds, behind the first call."""

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A worker: the answer to a request."""

Calls = list[list[float]]


def measure(
    workers: Mapping[str, Ask],
    points: Mapping[Point, Path],
    *,
    rounds: int,
    seconds: float = SECONDS,
    warm_up: float = WARM_UP,
) -> dict[str, tuple[Measured, ...] | str]:
    """What each worker takes at each point; why not, for one that failed.

    Args:
        workers: By the name of the runtime.
        points: The file with the inputs of each.
        rounds: How many.
        seconds: As `SECONDS`.
        warm_up: As `WARM_UP`.
    """
    failed: dict[str, str] = {}
    first: dict[tuple[str, Point], float] = {}
    calls: dict[tuple[str, Point], Calls] = {}

    def ask(name: str, point: Point, limit: float) -> Calls:
        if name in failed:
            return []
        count = len(point.shapes)
        request = {"do": "time", "inputs": str(points[point]), "count": count, "seconds": limit}
        try:
            found: Calls = workers[name](request)["calls"]
        except WorkerFailure as error:
            failed[name] = f"batch {point.batch}, time {point.time}: {error}"
            return []
        return found

    for point in points:
        for name in workers:
            first[name, point] = sum(sum(call) for call in ask(name, point, 0))
            ask(name, point, warm_up)
    for number in range(rounds):
        for point in points:
            for name in _in_turn(list(workers), number):
                calls.setdefault((name, point), []).extend(ask(name, point, seconds))
    return {
        name: failed.get(name)
        or tuple(_measured(point, calls[name, point], first[name, point]) for point in points)
        for name in workers
    }


def _in_turn(names: Sequence[str], number: int) -> list[str]:
    """All of them, each round with another one in front."""
    start = number % len(names) if names else 0
    return [*names[start:], *names[:start]]


def _measured(point: Point, calls: Calls, first: float) -> Measured:
    return Measured(
        batch=point.batch,
        time=point.time,
        latency=Spread.of([1000 * sum(call) for call in calls]),
        copies=Spread.of([1000 * (call[0] + call[2]) for call in calls]).median,
        first=1000 * first,
    )
