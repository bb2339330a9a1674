"""What a comparison of runtimes says. JSON is the result, every other form a view of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from converter.compare.machine import Machine
from converter.compare.providers import CPU, RECURRENT, Forecast
from converter.compare.statistics import Place, Spread, from_where_on, least
from converter.verify.verdict import Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place in the grid.

    Attributes:
        batch: Sequences at once.
        time: Steps of each; that of the model where it is fixed.
        shapes: Of the inputs.
    """

    batch: int
    time: int
    shapes: tuple[tuple[int, ...], ...]

    @property
    def place(self) -> Place:
        """Batch and time."""
        return self.batch, self.time


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One runtime at one point.

    Attributes:
        latency: In milliseconds, of a call with its copies in and out.
        copies: The median of those copies, in milliseconds.
        first: The first call, before the warm-up, in milliseconds.
    """

    batch: int
    time: int
    latency: Spread
    copies: float
    first: float

    @property
    def place(self) -> Place:
        """Batch and time."""
        return self.batch, self.time

    @property
    def throughput(self) -> float:
        """Sequences in a second."""
        return self.batch / self.latency.median * 1000 if self.latency.median else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the ONNX graph, and where it ran.

    Attributes:
        name: The layer's, with an ending where it has several nodes.
        kind: "LSTM".
        provider: Where the session put it.
        forecast: Where it was expected; None where nothing was known before.
    """

    name: str
    kind: str
    provider: str
    forecast: Forecast | None = None

    @property
    def recurrent(self) -> bool:
        """Whether it goes through the steps of a sequence."""
        return self.kind in RECURRENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One runtime on one device.

    Attributes:
        name: "onnxruntime:cuda".
        version: "onnxruntime 1.32.0"; "" where it did not start.
        device: What it ran on, as it calls it.
        failure: Why there are no measurements; "" if there are.
        help: What would bring them.
        verdict: Whether it computes the same model, by the judge.
        importing: Of the framework, in milliseconds.
        loading: Of the model, in milliseconds.
        memory: The most that the process had at once, in MB of 1e6 bytes; None where nothing says.
        nodes: Where the nodes of an ONNX graph ran.
        measured: At each point.
    """

    name: str
    version: str = ""
    device: str = ""
    failure: str = ""
    help: str = ""
    verdict: Verdict | None = None
    importing: float = 0.0
    loading: float = 0.0
    memory: float | None = None
    nodes: tuple[Node, ...] = ()
    measured: tuple[Measured, ...] = ()

    @property
    def fallbacks(self) -> tuple[Node, ...]:
        """Recurrent nodes that ran on the CPU, where another provider was asked for."""
        if self.device == CPU:
            return ()
        return tuple(node for node in self.nodes if node.recurrent and node.provider == CPU)

    @property
    def surprises(self) -> tuple[Node, ...]:
        """Nodes that ran elsewhere than it was forecast."""
        return tuple(
            node for node in self.nodes if node.forecast and node.forecast.provider != node.provider
        )

    @property
    def placed(self) -> bool:
        """Whether it ran, and every recurrent node where it was asked to."""
        return not self.failure and not self.fallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer in the drawing of the model.

    Attributes:
        words: As its constructor: "LSTM(32, return_sequences)".
        shape: Of its first output: "(batch, time, 32)".
        inputs: The names of those that it takes.
        recurrent: Whether it goes through the steps of a sequence.
    """

    name: str
    words: str
    shape: str
    inputs: tuple[str, ...] = ()
    recurrent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """One model in every runtime.

    Attributes:
        model: The file, or the model's name.
        sha256: Of the file.
        form: What it is: "Keras HDF5".
        parameters: Of the model.
        machine: Where this was measured.
        threads: That each runtime might use.
        rounds: In each of which every runtime was measured at every point.
        grid: The points.
        rows: The runtimes.
        drawing: The model's layers, in order.
    """

    model: str
    sha256: str
    form: str
    parameters: int
    machine: Machine
    threads: int
    rounds: int
    grid: tuple[Point, ...]
    rows: tuple[Row, ...]
    drawing: tuple[Part, ...] = ()

    @property
    def ran(self) -> tuple[Row, ...]:
        """The rows with measurements."""
        return tuple(row for row in self.rows if not row.failure)

    @property
    def placed(self) -> bool:
        """Whether every provider of onnxruntime is there, and left no recurrent node to the CPU."""
        return all(row.placed for row in self.rows if row.name.startswith("onnxruntime:"))

    @property
    def status(self) -> Status:
        """The worst of the verdicts; undecided where there is none."""
        found = [row.verdict.status for row in self.rows if row.verdict is not None]
        for status in (Status.DIFFERS, Status.UNDECIDED, Status.INCONCLUSIVE):
            if status in found:
                return status
        return Status.EQUAL if found else Status.UNDECIDED

    def fastest(self, place: Place) -> tuple[str, ...]:
        """The fastest at a point, and behind it those that cannot be told from it."""
        spreads = {
            row.name: one.latency for row in self.ran for one in row.measured if one.place == place
        }
        return least(spreads)

    @property
    def crossovers(self) -> tuple[tuple[str, str, tuple[Place, ...]], ...]:
        """For each pair of which each wins somewhere: from where on the first one wins.

        Winning is being faster by more than the intervals.
        """
        found = []
        for row in self.ran:
            own = {one.place: one.latency for one in row.measured}
            for other in self.ran:
                against = {one.place: one.latency for one in other.measured}
                grid = own.keys() & against.keys()
                won = {place for place in grid if own[place].is_below(against[place])}
                lost = {place for place in grid if against[place].is_below(own[place])}
                places = from_where_on(won, grid)
                if lost and places:
                    found.append((row.name, other.name, places))
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the schema has a version."""
        return {
            "schema": 1,
            "kind": "compare",
            "status": self.status.value,
            **{name: value for name, value in asdict(self).items() if name != "rows"},
            "rows": [_row(row) for row in self.rows],
            "fastest": [
                {"batch": one.batch, "time": one.time, "names": self.fastest(one.place)}
                for one in self.grid
            ],
            "crossovers": [
                {
                    "faster": name,
                    "than": other,
                    "from": [{"batch": batch, "time": time} for batch, time in places],
                }
                for name, other, places in self.crossovers
            ],
        }


def _row(row: Row) -> dict[str, Any]:
    measured = [{**asdict(one), "throughput": one.throughput} for one in row.measured]
    return {
        **asdict(row),
        "verdict": None if row.verdict is None else row.verdict.as_dict(),
        "measured": measured,
        "fallbacks": [node.name for node in row.fallbacks],
        "surprises": [node.name for node in row.surprises],
    }
