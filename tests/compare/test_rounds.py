"""The order of measurements, with made-up runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converter.compare.process import WorkerFailure
from converter.compare.rounds import Ask, measure
from converter.compare.statistics import Spread
from converter.compare.timings import Measured, Point

POINTS = {
    Point(batch=1, time=2, shapes=((1, 2, 3),)): Path("a.npz"),
    Point(batch=8, time=2, shapes=((8, 2, 3),)): Path("b.npz"),
}


class Fake:
    """A runtime whose calls take so many seconds; it keeps a diary."""

    def __init__(self, name: str, diary: list[tuple[str, str]], seconds: float) -> None:
        self.name = name
        self.diary = diary
        self.seconds = seconds
        self.breaks = ""

    def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request["inputs"] == self.breaks:
            raise WorkerFailure("it burns")
        self.diary.append((self.name, request["inputs"]))
        first = 10 if request["seconds"] == 0 else 1  # the first call is slow
        return {"calls": [[self.seconds / 4, first * self.seconds / 2, self.seconds / 4]] * 2}


def test_every_round_has_every_runtime_at_every_point_and_another_one_begins() -> None:
    diary: list[tuple[str, str]] = []
    workers: dict[str, Ask] = {name: Fake(name, diary, 1) for name in ("a", "b")}
    measure(workers, POINTS, rounds=2)
    warm, first, second = diary[:8], diary[8:12], diary[12:]
    assert warm == [(n, p) for p in ("a.npz", "b.npz") for n in ("a", "a", "b", "b")]
    assert first == [(n, p) for p in ("a.npz", "b.npz") for n in ("a", "b")]
    assert second == [(n, p) for p in ("a.npz", "b.npz") for n in ("b", "a")]


def test_times_are_milliseconds_without_the_first_call_and_with_the_copies() -> None:
    found = measure({"a": Fake("a", [], 2**-8)}, POINTS, rounds=3)
    ms = 1000 / 2**8
    always = Spread(median=ms, lower=ms, upper=ms, p99=ms, count=6)
    assert found["a"] == (
        Measured(batch=1, time=2, latency=always, copies=ms / 2, first=11 * ms),
        Measured(batch=8, time=2, latency=always, copies=ms / 2, first=11 * ms),
    )
    assert [one.throughput for one in found["a"] if isinstance(one, Measured)] == [256, 2048]


def test_a_runtime_that_fails_leaves_the_others_alone() -> None:
    good, bad = Fake("good", [], 1), Fake("bad", [], 1)
    bad.breaks = "b.npz"
    found = measure({"good": good, "bad": bad}, POINTS, rounds=2)
    assert found["bad"] == "batch 8, time 2: it burns"
    assert len(found["good"]) == 2
    assert ("bad", "a.npz") not in bad.diary[2:]
