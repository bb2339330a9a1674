"""What the HTML report shows: a result, with everything placed and worded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from converter.compare.timings import Part, Row, Timings
from converter.report.plot import Axis, spread_out
from converter.report.timings import (
    conclusions,
    counts,
    figures,
    headline,
    interval,
    latencies,
    machine_words,
    milliseconds,
    place_words,
    reason_of,
)
from converter.report.words import arrays_words, deviation_words, printable
from converter.verify.verdict import Comparison, Verdict

MANY = 60
"""Nodes and layers that are shown; of more, the JSON has the rest."""

COLOURS = 8
"""Different ones for runtimes, in report.css."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A measurement in a plot.

    Attributes:
        x: The place of its middle.
        y: Of the median.
        lower: Of the lower quartile.
        upper: Of the upper quartile.
        words: What it says.
    """

    x: float
    y: float
    lower: float
    upper: float
    words: str


@dataclass(frozen=True, slots=True)
class Series:
    """A runtime in a plot."""

    name: str
    colour: int
    marks: tuple[Mark, ...]

    @property
    def line(self) -> str:
        """Through the medians, as SVG's points."""
        return " ".join(f"{one.x},{one.y}" for one in self.marks)


@dataclass(frozen=True, slots=True)
class Panel:
    """The latencies of one batch over time."""

    batch: int
    ticks: Sequence[tuple[float, str]]
    columns: Sequence[tuple[float, int]]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """How near one runtime is to the judge.

    Attributes:
        dots: For each comparison its place, and what it says.
        limits: The places of the tolerances.
    """

    name: str
    colour: int
    status: str
    words: str
    dots: Sequence[tuple[float, str]]
    limits: Sequence[float]


@dataclass(frozen=True, slots=True)
class Placed:
    """A row of the table of placement."""

    runtime: str
    name: str
    kind: str
    forecast: str
    provider: str
    reason: str
    fell_back: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A layer in the drawing.

    Attributes:
        y: Of its upper edge.
        sources: The upper edges of those further above that it takes.
        straight: Whether it takes the one just above.
    """

    y: int
    name: str
    words: str
    shape: str
    recurrent: bool
    sources: tuple[int, ...]
    straight: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the template says."""

    title: str
    status: str
    headline: str
    conclusions: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    machine: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    missing: Sequence[tuple[str, str, str]] = ()
    panels: Sequence[Panel] = ()
    points: Sequence[tuple[str, Sequence[tuple[str, Sequence[str], bool]]]] = ()
    strips: Sequence[Strip] = ()
    strip_ticks: Sequence[tuple[float, str]] = ()
    placed: Sequence[Placed] = ()
    more_placed: int = 0
    counts: Sequence[tuple[str, str]] = ()
    boxes: Sequence[Box] = ()
    more_boxes: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)


def page_of_timings(found: Timings) -> Page:
    """A comparison of runtimes."""
    colours = {row.name: k % COLOURS for k, row in enumerate(found.ran)}
    judged = [(row.name, row.verdict) for row in found.rows if row.verdict is not None]
    strips, ticks = strips_of(judged, colours)
    placed = [one for row in found.ran for one in _placed(row)]
    boxes = boxes_of(found.drawing)
    return Page(
        title=found.model,
        status=found.status.value,
        headline=headline(found),
        conclusions=list(conclusions(found)),
        facts=[
            ("model", f"{found.model}, {found.form}" if found.form else found.model),
            ("sha256", found.sha256),
            ("parameters", f"{found.parameters:,}"),
        ],
        machine=machine_words(found),
        rows=[_row(row, colours[row.name]) for row in found.ran],
        missing=[(row.name, row.failure, row.help) for row in found.rows if row.failure],
        panels=panels_of(found, colours),
        points=[
            (
                place_words(point.place),
                [(row.name, latencies(row, point.place), row.name in fastest) for row in found.ran],
            )
            for point in found.grid
            for fastest in (found.fastest(point.place),)
        ],
        strips=strips,
        strip_ticks=ticks,
        placed=placed[:MANY],
        more_placed=max(0, len(placed) - MANY),
        counts=[(row.name, counts(row)) for row in found.ran if row.nodes],
        boxes=boxes[:MANY],
        more_boxes=max(0, len(boxes) - MANY),
        result=found.as_dict(),
    )


def page_of_verdict(verdict: Verdict) -> Page:
    """A verification."""
    strips, ticks = strips_of([(verdict.artefact, verdict)], {})
    return Page(
        title=verdict.original,
        status=verdict.status.value,
        headline=f"{verdict.original} and {verdict.artefact}",
        conclusions=[verdict.reason],
        facts=[
            (name, text)
            for name, text in (
                ("arrays", arrays_words(verdict)),
                ("compared", f"{len(verdict.comparisons)} outputs of all cases"),
                ("first layer that differs", verdict.layer),
                ("deviation", deviation_words(verdict.deviation) if verdict.deviation else ""),
            )
            if text
        ],
        strips=strips,
        strip_ticks=ticks,
        result=verdict.as_dict(),
    )


def _row(row: Row, colour: int) -> dict[str, Any]:
    error, importing, loading, memory = figures(row)
    return {
        "name": row.name,
        "version": row.version,
        "colour": colour,
        "status": row.verdict.status.value if row.verdict is not None else "",
        "error": error,
        "importing": importing,
        "loading": loading,
        "memory": memory,
    }


LEFT, RIGHT, TOP, BOTTOM = 46, 330, 12, 206
"""The edges of a panel, in the units of its drawing."""


def panels_of(found: Timings, colours: Mapping[str, int]) -> tuple[Panel, ...]:
    """A panel for each batch, all with the same axis."""
    every = [one for row in found.ran for one in row.measured]
    if not every:
        return ()
    numbers = [edge for one in every for edge in (one.latency.lower, one.latency.upper)]
    axis = Axis.over(numbers, BOTTOM, TOP)
    return tuple(
        _panel(batch, found, axis, colours)
        for batch in dict.fromkeys(point.batch for point in found.grid)
    )


def _panel(batch: int, found: Timings, axis: Axis, colours: Mapping[str, int]) -> Panel:
    times = sorted({point.time for point in found.grid if point.batch == batch})
    columns = dict(zip(times, spread_out(len(times), LEFT, RIGHT), strict=True))
    width = min(8.0, (RIGHT - LEFT) / len(times) / (len(found.ran) + 1))
    series = []
    for k, row in enumerate(found.ran):
        beside = (k - (len(found.ran) - 1) / 2) * width  # so that intervals do not hide each other
        marks = tuple(
            Mark(
                round(columns[one.time] + beside, 1),
                axis.place(one.latency.median),
                axis.place(one.latency.lower),
                axis.place(one.latency.upper),
                f"{row.name}, {place_words(one.place)}: {milliseconds(one.latency.median)}, "
                f"half of {one.latency.count} calls {interval(one.latency)}",
            )
            for one in sorted(row.measured, key=lambda one: one.time)
            if one.batch == batch
        )
        series.append(Series(row.name, colours[row.name], marks))
    return Panel(batch, axis.ticks, [(x, time) for time, x in columns.items()], tuple(series))


STRIP_LEFT, STRIP_RIGHT = 14, 386


def strips_of(
    judged: Sequence[tuple[str, Verdict]], colours: Mapping[str, int]
) -> tuple[list[Strip], list[tuple[float, str]]]:
    """A strip for each runtime, and the ticks of their common axis."""
    every = [one for _, verdict in judged for one in verdict.comparisons]
    numbers = [max(one.units, 0.01) for one in every] + [
        limit for one in every if (limit := limit_of(one))
    ]
    if not numbers:
        return [], []
    axis = Axis.over(numbers, STRIP_LEFT, STRIP_RIGHT)
    strips = [
        Strip(
            name,
            colours.get(name, 0),
            verdict.status.value,
            _nearness(verdict),
            [(axis.place(one.units), _comparison(one)) for one in verdict.comparisons],
            sorted({axis.place(limit) for one in verdict.comparisons if (limit := limit_of(one))}),
        )
        for name, verdict in judged
    ]
    return strips, axis.ticks


def limit_of(one: Comparison) -> float:
    """The tolerance in units in the last place; 0 where no error says how large a unit is.

    >>> limit_of(Comparison(case="", output="y", shape=(), error=1e-7, units=2, tolerance=4e-7))
    8.0
    """
    return one.tolerance * one.units / one.error if one.error else 0.0


def _nearness(verdict: Verdict) -> str:
    worst = verdict.worst
    if worst is None:
        return "nothing compared"
    return f"at most {worst.units:.3g} units in the last place, {worst.ratio:.3g} of the tolerance"


def _comparison(one: Comparison) -> str:
    said = f"output {printable(one.output)}, {printable(one.case)}: {one.units:.3g} units"
    return f"{said}; {one.reason}" if one.reason else said


def _placed(row: Row) -> list[Placed]:
    return [
        Placed(
            row.name,
            printable(node.name),
            node.kind,
            node.forecast.provider if node.forecast is not None else "not forecast",
            node.provider,
            reason_of(node),
            node in row.fallbacks,
        )
        for node in sorted(row.nodes, key=lambda node: not node.recurrent)
    ]


HEIGHT = 62
"""Of a layer and the way to the next."""

WORDS = 40
"""Characters of a layer that fit into its box."""


def boxes_of(drawing: Sequence[Part]) -> list[Box]:
    """The layers below each other."""
    places = {part.name: k for k, part in enumerate(drawing)}
    boxes = []
    for k, part in enumerate(drawing):
        sources = tuple(places[name] for name in part.inputs if name in places)
        far = tuple(HEIGHT * one for one in sources if one != k - 1)
        boxes.append(
            Box(
                HEIGHT * k,
                _short(part.name),
                _short(part.words),
                _short(part.shape),
                part.recurrent,
                far,
                k - 1 in sources,
            )
        )
    return boxes


def _short(text: str) -> str:
    plain = printable(text)
    return plain if len(plain) <= WORDS else f"{plain[: WORDS - 1]}…"
