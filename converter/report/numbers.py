"""The numbers of a recurrent layer, each gate's under its letter, as many side by side as fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from converter.report.console import gate_text, width_of
from converter.report.equations import gate_name
from converter.report.recurrent import DirectionRow, GateNumbers

INDENT = 2
GAP = 2


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the block: whose it is, and its cells, a gate after the other."""

    array: str
    row: str
    cells: list[list[str]]


def show_numbers(console: Console, row: DirectionRow) -> None:
    """Print kernel, recurrent kernel and bias; a column is one unit of one gate."""
    gates = [gate.numbers for gate in row.gates if gate.numbers is not None]
    lines = list(_lines(gates))
    names = [gate_name(row.cell, gate.gate) for gate in row.gates]
    heads = [
        [name] if row.units == 1 else [f"{name}[{unit}]" for unit in range(row.units)]
        for name in names
    ]
    texts = [head for one in heads for head in one]
    texts += [text for line in lines for one in line.cells for text in one]
    cell = max(map(len, texts)) + GAP
    title = f"numbers, {row.direction}" if row.direction else "numbers"
    first = max(len(title), *(len(line.array) for line in lines)) + GAP
    second = max(len(line.row) for line in lines)
    room = max(1, (width_of(console) - INDENT - first - second) // cell)
    for index, part in enumerate(_parts(len(heads), row.units, room)):
        if index:
            console.print()
        head = Text(" " * INDENT).append(f"{title:<{first + second}}", style="bold")
        for gate, unit in part:
            head.append(gate_text(f"{heads[gate][unit]:>{cell}}", gate))
        console.print(head, soft_wrap=True)
        # There may be a million of them, so they are written as they are.
        for line in lines:
            label = f"{'':{INDENT}}{line.array:<{first}}{line.row:<{second}}"
            cells = "".join(f"{line.cells[gate][unit]:>{cell}}" for gate, unit in part)
            console.out(label + cells, highlight=False)


def _parts(gates: int, units: int, room: int) -> Iterator[list[tuple[int, int]]]:
    """The columns, (gate, unit), that stand side by side; gates stay whole where they can."""
    if units <= room:
        step = room // units
        for first in range(0, gates, step):
            some = range(first, min(first + step, gates))
            yield [(gate, unit) for gate in some for unit in range(units)]
        return
    for gate in range(gates):
        for first in range(0, units, room):
            yield [(gate, unit) for unit in range(first, min(first + room, units))]


def _lines(gates: Sequence[GateNumbers]) -> Iterator[_Line]:
    form = _format(gates)

    def texts(numbers: Sequence[float]) -> list[str]:
        return [format(number, form) for number in numbers]

    for letter, name in (("x", "kernel"), ("h", "recurrent_kernel")):
        matrices: list[list[list[float]]] = [getattr(gate, name) for gate in gates]
        for index, rows in enumerate(zip(*matrices, strict=True)):
            yield _Line("" if index else name, f"{letter}[{index}]", [texts(one) for one in rows])
    for name in ("bias", "recurrent_bias"):
        vectors = [vector for gate in gates if (vector := getattr(gate, name)) is not None]
        if vectors:
            yield _Line(name, "", [texts(one) for one in vectors])


def _format(gates: Sequence[GateNumbers]) -> str:
    """Four decimals where that shows something of every number, else four digits."""
    flat = [
        abs(number)
        for gate in gates
        for matrix in (
            gate.kernel,
            gate.recurrent_kernel,
            [gate.bias or []],
            [gate.recurrent_bias or []],
        )
        for numbers in matrix
        for number in numbers
        if number
    ]
    return ".4f" if all(0.0005 <= number < 1000 for number in flat) else ".3e"
