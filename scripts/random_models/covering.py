"""Rows that hold every combination of values of any three options at least once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

STRENGTH = 3

Row = dict[str, Any]
Allowed = Callable[[Row], bool]
"""Whether some options, not all of them yet, go together."""


def triples(row: Row) -> Iterator[tuple[tuple[str, Any], ...]]:
    """Every combination of three options in a row, in the order of its options."""
    return combinations(row.items(), STRENGTH)


def wanted(options: Mapping[str, Sequence[Any]], allowed: Allowed) -> dict[tuple[Any, ...], None]:
    """Every combination of values of three options that go together."""
    return {
        tuple(zip(names, values, strict=True)): None
        for names in combinations(options, STRENGTH)
        for values in product(*(options[name] for name in names))
        if allowed(dict(zip(names, values, strict=True)))
    }


def covering(
    options: Mapping[str, Sequence[Any]], allowed: Allowed, seed: int = 0
) -> Iterator[Row]:
    """Rows until every triple that can be had is in one.

    Each begins with a triple that is missing, and takes, option by option, the value that brings
    the most missing ones (as in Cohen, Dalal, Fredman and Patton, "The AETG system", 1997).
    A triple for which nine tries found no whole row is left out.
    """
    generator = random.Random(seed)
    missing = wanted(options, allowed)
    while missing:
        first = next(iter(missing))
        row = next(
            filter(
                None, (_completed(options, allowed, missing, first, generator) for _ in range(9))
            ),
            None,
        )
        del missing[first]
        if row is not None:
            for triple in triples({name: row[name] for name in options}):
                missing.pop(triple, None)
            yield row


def _completed(
    options: Mapping[str, Sequence[Any]],
    allowed: Allowed,
    missing: Mapping[tuple[Any, ...], None],
    first: tuple[Any, ...],
    generator: random.Random,
) -> Row | None:
    """A row with the triple; None where an option has no value left that is allowed."""
    row: Row = dict(first)
    order = {name: k for k, name in enumerate(options)}
    rest = [name for name in options if name not in row]
    generator.shuffle(rest)
    for name in rest:
        possible = [value for value in options[name] if allowed({**row, name: value})]
        if not possible:
            return None
        generator.shuffle(possible)
        pairs = list(combinations(sorted(row, key=order.__getitem__), STRENGTH - 1))

        def brings(value: Any, name: str = name, pairs: list[Any] = pairs) -> int:
            return sum(
                tuple(
                    (one, {**row, name: value}[one])
                    for one in sorted((*pair, name), key=order.__getitem__)
                )
                in missing
                for pair in pairs
            )

        row[name] = max(possible, key=brings)
    return row
