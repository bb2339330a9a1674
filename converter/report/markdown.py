"""A comparison of runtimes as Markdown, for a summary of CI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converter.compare.timings import Timings
from converter.report.timings import (
    conclusions,
    counts,
    figures,
    headline,
    latencies,
    machine_words,
    place_words,
    reason_of,
)
from converter.report.words import printable


def as_markdown(found: Timings) -> str:
    """The verdict, what follows from the numbers, and the numbers as tables."""
    return "\n".join(_lines(found))


def _lines(found: Timings) -> Iterator[str]:
    yield f"**{found.status.value}**: {plain(headline(found))}"
    yield ""
    yield from (f"- {plain(line)}" for line in conclusions(found))
    yield ""
    heads = ("runtime", "version", "verdict", "largest error", "import", "load", "memory")
    yield from _table(
        heads,
        [
            (row.name, row.version, row.verdict.status.value if row.verdict else "", *figures(row))
            for row in found.ran
        ],
    )
    for row in found.rows:
        if row.failure:
            yield f"- {row.name} did not run: {plain(row.failure)} ({plain(row.help)})"
    for row in found.ran:
        if row.nodes:
            yield f"- {row.name}: {counts(row)}"
        for node in row.fallbacks:
            reason = f": {reason_of(node)}" if reason_of(node) else ""
            yield f"  - **{plain(node.name)}** ({node.kind}) ran on {node.provider}{plain(reason)}"
    for point in found.grid:
        yield ""
        yield f"{place_words(point.place)}:"
        yield ""
        heads = ("runtime", "median", "quartiles", "p99", "copies", "sequences/s", "calls")
        yield from _table(heads, [(row.name, *latencies(row, point.place)) for row in found.ran])
    yield ""
    yield plain(machine_words(found))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    yield from (f"| {' | '.join(map(plain, row))} |" for row in rows)


def plain(text: str) -> str:
    r"""Text that Markdown takes for nothing but text.

    >>> plain("a|b <i> *c*")
    'a\\|b \\<i\\> \\*c\\*'
    """
    return "".join(f"\\{one}" if one in "\\|<>*`[]" else one for one in printable(text))
