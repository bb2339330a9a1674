"""A comparison of runtimes, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from converter.compare.machine import Machine
from converter.compare.statistics import Place, Spread
from converter.compare.timings import Node, Row, Timings
from converter.report.console import columns, show
from converter.report.text import STYLES
from converter.report.words import printable
from converter.verify.verdict import Status

SHORT = "ExecutionProvider"


def show_timings(console: Console, found: Timings) -> None:
    """Print the verdict, then the runtimes, where the nodes ran, and the latencies."""
    status = Text(found.status.value, STYLES[found.status])
    console.print(Text.assemble(status, f": {printable(headline(found))}"), soft_wrap=True)
    for said in conclusions(found):
        console.print(Text(f"  {printable(said)}"), soft_wrap=True)
    show(console, "")
    table = columns("runtime", "verdict", "error", "import", "load", "memory", right=(2, 3, 4, 5))
    for row in found.ran:
        table.add_row(row.name, _word(row), *figures(row))
    if table.row_count:
        show(console, table)
    for row in found.rows:
        if row.failure:
            console.print(Text(f"{row.name}: {printable(row.failure)}"), soft_wrap=True)
            console.print(Text(f"  help:  {printable(row.help)}"), soft_wrap=True)
    for row in found.ran:
        for line, wrong in placement(row):
            console.print(Text(line, "bold red" if wrong else ""), soft_wrap=True)
    for point in found.grid:
        show(console, "")
        show(console, Text(place_words(point.place), style="bold"))
        heads = ("", "median", "quartiles", "p99", "copies", "sequences/s", "calls", "")
        table = columns(*heads, right=(1, 2, 3, 4, 5, 6))
        fastest = found.fastest(point.place)
        for row in found.ran:
            table.add_row(row.name, *latencies(row, point.place), _rank(row.name, fastest))
        show(console, table, indent=2)
    show(console, "")
    show(console, machine_words(found))


def headline(found: Timings) -> str:
    """What the verdicts say, in a sentence."""
    ran = [row for row in found.rows if row.verdict is not None]
    if not ran:
        return f"{found.model} ran in no runtime"
    worst = [row.name for row in ran if row.verdict and row.verdict.status is not Status.EQUAL]
    names = ", ".join(row.name for row in ran)
    if not worst:
        return f"{found.model} is the same model in {names}"
    return f"{found.model} in {', '.join(worst)}"


def conclusions(found: Timings) -> Iterator[str]:
    """Who is fastest, from where on one wins, and what ran elsewhere than it was asked to."""
    for row in found.ran:
        if row.verdict is not None and row.verdict.status is not Status.EQUAL:
            yield f"{row.name}: {row.verdict.reason}"
    for row in found.ran:
        if row.fallbacks:
            names = ", ".join(node.name for node in row.fallbacks)
            yield f"{row.name}: recurrent layers fell back to the CPU: {names}"
    if len(found.ran) > 1:
        yield from _fastest(found)
    for name, other, places in found.crossovers:
        where = " and ".join(place_words(place) for place in places)
        yield f"{name} is faster than {other} from {where} on"


def _fastest(found: Timings) -> Iterator[str]:
    """The fastest, and for which points."""
    won: dict[tuple[str, ...], list[str]] = {}
    for point in found.grid:
        won.setdefault(found.fastest(point.place), []).append(place_words(point.place))
    for (best, *near), places in won.items():
        beside = f", not distinguished from {', '.join(near)}" if near else ""
        where = "everywhere" if len(won) == 1 else f"at {'; '.join(places)}"
        yield f"{best} is fastest {where}{beside}"


def placement(row: Row) -> Iterator[tuple[str, bool]]:
    """Where the nodes of a graph ran, in lines, and whether a line is bad."""
    for node in row.fallbacks:
        yield f"{row.name}: {printable(node.name)} ({node.kind}) ran on {node.provider}", True
        if reason := reason_of(node):
            yield f"  {reason}", False
    for node in row.surprises:
        assert node.forecast is not None
        where = f"forecast on {node.forecast.provider}, ran on {node.provider}"
        yield f"{row.name}: {printable(node.name)} ({node.kind}) was {where}", True
    if row.nodes:
        yield f"{row.name}: {counts(row)}", False


def counts(row: Row) -> str:
    """How many nodes ran where: "5 nodes on CPU"."""
    found: dict[str, int] = {}
    for node in row.nodes:
        found[node.provider] = found.get(node.provider, 0) + 1
    parts = (f"{count} on {name.removesuffix(SHORT)}" for name, count in found.items())
    return f"nodes: {', '.join(parts)}"


def reason_of(node: Node) -> str:
    """Why a node was forecast elsewhere; "" if it was not."""
    return node.forecast.reason if node.forecast is not None else ""


def figures(row: Row) -> tuple[str, str, str, str]:
    """Largest error, import, load and memory."""
    worst = row.verdict.worst if row.verdict is not None else None
    return (
        "" if worst is None else f"{worst.units:.3g} ulp",
        milliseconds(row.importing),
        milliseconds(row.loading),
        "" if row.memory is None else f"{digits(row.memory)} MB",
    )


def latencies(row: Row, place: Place) -> tuple[str, ...]:
    """Median, quartiles, p99, copies, throughput and count at a point."""
    for one in row.measured:
        if one.place == place:
            spread = one.latency
            return (
                milliseconds(spread.median),
                interval(spread),
                milliseconds(spread.p99),
                milliseconds(one.copies),
                f"{one.throughput:,.0f}" if one.throughput >= 100 else f"{one.throughput:.3g}",
                str(spread.count),
            )
    return ("",) * 6


def interval(spread: Spread) -> str:
    """The quartiles: "0.12 to 0.15 ms"."""
    return f"{digits(spread.lower)} to {milliseconds(spread.upper)}"


def milliseconds(number: float) -> str:
    """Three significant digits, with a unit.

    >>> milliseconds(0.012345), milliseconds(12.345), milliseconds(3796.2)
    ('0.0123 ms', '12.3 ms', '3800 ms')
    """
    return f"{digits(number)} ms"


def digits(number: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{float(f'{number:.3g}'):g}"


def place_words(place: Place) -> str:
    """A point in words."""
    batch, time = place
    return f"batch {batch}, time {time}"


def machine_words(found: Timings) -> str:
    """The machine, and how it was measured."""
    one: Machine = found.machine
    memory = f", {one.memory:.3g} GB" if one.memory else ""
    threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
    return (
        f"{one.processor}, {one.cores} cores{memory}, {one.system}, Python {one.python}; "
        f"{threads} each, {found.rounds} rounds in turns, a process a runtime, copies included"
    )


def _word(row: Row) -> Text:
    if row.verdict is None:
        return Text("")
    return Text(row.verdict.status.value, STYLES[row.verdict.status])


def _rank(name: str, fastest: tuple[str, ...]) -> Text:
    if name not in fastest:
        return Text("")
    if len(fastest) == 1:
        return Text("fastest", "bold green")
    return Text("among the fastest", "green")
