"""The numbers of a recurrent layer, each gate's under its letter, as many side by side as fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from converter.report.console import columns, gate_text, show, width_of
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
    cell = max(len(text) for line in lines for one in line.cells for text in one)
    cell = max(cell, *(len(head) for one in heads for head in one)) + GAP
    labels = INDENT + max(len(line.array) for line in lines) + max(len(line.row) for line in lines)
    room = max(1, (width_of(console) - labels - 2 * GAP) // cell)
    title = f"numbers, {row.direction}" if row.direction else "numbers"
    for index, part in enumerate(_parts(len(heads), row.units, room)):
        if index:
            show(console, "")
        wanted = [gate_text(heads[gate][unit], gate) for gate, unit in part]
        table = columns(title, "", *wanted, right=tuple(range(2, 2 + len(part))))
        for line in lines:
            table.add_row(line.array, line.row, *(line.cells[gate][unit] for gate, unit in part))
        show(console, table, indent=INDENT)


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
