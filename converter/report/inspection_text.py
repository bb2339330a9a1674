"""An inspection as text: what is in the file, and what each recurrent layer does with a step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import prod

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from converter.report.console import columns, gate_text, show
from converter.report.equations import equations, parametrized
from converter.report.inspection import Inspection
from converter.report.numbers import show_numbers
from converter.report.recurrent import ArrayRow, DirectionRow, Side
from converter.report.words import printable, shape_words

INDENT = 2

LONGEST_WORD = 30
SHORTEST_NAME = 10
"""In the table of layers, words are not broken up to here, and names get at least this."""

REVERSED = "names as they are, and _reverse"

ROLES = {
    "kernel": "weights of x",
    "recurrent_kernel": "weights of h",
    "bias": "bias",
    "recurrent_bias": "second bias",
}


def show_inspection(console: Console, found: Inspection) -> None:
    """Print it: header, layers, and a section for each recurrent layer."""
    show(console, Text(printable(found.path or found.name), style="bold"))
    show(console, _header(found), indent=2)
    show(console, "")
    show(console, _layers(found, console), indent=INDENT)
    explained: set[tuple[str, bool]] = set()
    for _, group in groupby(found.recurrent, key=lambda row: row.layer):
        rows = list(group)
        alike = len(rows) == 2 and _settings(rows[0]) == _settings(rows[1])
        for section in [rows] if alike else [[row] for row in rows]:
            show(console, "")
            kind = section[0].cell, bool(section[0].window)
            _section(console, section, explain=kind not in explained)
            explained.add(kind)


def _settings(row: DirectionRow) -> tuple[object, ...]:
    """What two directions have in common where one section is enough."""
    settings = row.cell, row.units, row.activation, row.recurrent_activation, row.keras.terms
    return *settings, row.window


def _header(found: Inspection) -> Table:
    table = columns("", "")
    table.add_row("model", printable(found.name))
    table.add_row("form", printable(found.form) or "in memory")
    version = printable(found.version)
    if found.form != "ONNX":
        version = f"Keras {version or 'of unknown version'}, read as {found.era}"
    table.add_row("written by", version or "nobody says")
    if found.sha256:
        table.add_row("sha256", printable(found.sha256[:12]))
    for word, values in (("input", found.inputs), ("output", found.outputs)):
        for value in values:
            name, shape = printable(value.name), shape_words(value.shape)
            table.add_row(word, f"{name} {shape} {printable(value.dtype)}")
    for left_out in found.dropped:
        table.add_row("beside it", printable(left_out))
    return table


def _layers(found: Inspection, console: Console) -> Table:
    table = columns("layer", "what it is", "output", "Keras", "PyTorch", right=(3, 4))
    for row in found.layers:
        table.add_row(
            printable(row.name),
            printable(row.what),
            ", ".join(shape_words(shape) for shape in row.outputs),
            f"{row.keras_parameters:,}",
            f"{row.torch_parameters:,}",
        )
    total = f"{found.keras_parameters:,}", f"{found.torch_parameters:,}"
    table.add_row("parameters", "", "", *total, style="bold")
    _share(table, found, console.width - INDENT)
    return table


def _share(table: Table, found: Inspection, width: int) -> None:
    """Where the table is too wide: shapes and numbers stay whole, then words, then names."""
    name, what, *whole = table.columns
    words = (word for row in found.layers for word in printable(row.what).split())
    longest = min(max(map(len, words), default=0), LONGEST_WORD)
    wide = sum(max(len(str(cell)) for cell in (one.header, *one.cells)) + 2 for one in whole)
    room = width - wide - 2 - longest
    if room < SHORTEST_NAME:
        return
    name.max_width, what.min_width = room, longest
    for column in whole:
        column.no_wrap = True


def _section(console: Console, rows: list[DirectionRow], *, explain: bool) -> None:
    """One recurrent layer, or one direction of it where the two are not alike."""
    row = rows[0]
    both = ", forward and backward" if len(rows) == 2 else ""
    direction = f" {row.direction}" if row.direction and not both else ""
    window = f", {'x'.join(map(str, row.window))}" if row.window else ""
    title = f"{printable(row.layer)}{direction}: {row.keras.kind}({row.units}{window}){both}, "
    show(console, Text(title + _count(row.features, _noun(row)) + " a step", style="bold"))
    if explain:
        show(console, Text(_meaning(row)), indent=2)
    show(console, "")
    show(console, _equations(row), indent=4)
    show(console, "")
    show(console, _arrays(row, both=bool(both)), indent=2)
    show(console, "")
    for line in _counts(rows):
        show(console, Text(line), indent=2)
    if len(row.gates) > 1:
        show(console, "")
        _gates(console, row)
    for each in rows:
        if each.gates[0].numbers is not None:
            show(console, "")
            show_numbers(console, each)


def _equations(row: DirectionRow) -> Text:
    """What each gate and each state is, a line each; gates in their colours."""
    order = [gate.gate for gate in row.gates]
    found = equations(row)
    wide = max(len(one.left) for one in found)
    lines = []
    for one in found:
        left = gate_text(one.left, order.index(one.gate)) if one.gate else Text(one.left)
        left.pad_right(wide - len(one.left))
        lines.append(Text.assemble(left, f" = {one.right}"))
    lines += [Text(f"with {activation}") for activation in parametrized(row)]
    return Text("\n").join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _noun(row: DirectionRow) -> str:
    """What a step has at each place."""
    return "channel" if row.window else "feature"


def _meaning(row: DirectionRow) -> str:
    """What the layer does with the features of a step."""
    features, gates = _count(row.features, _noun(row)), len(row.gates)
    if row.window:
        return (
            f"A step x has C = {features} at each place.\n"
            f"Each of the {gates} gates is a convolution of x and one of the previous output h "
            f"(F = {_count(row.units, 'filter')})."
        )
    loop = "" if row.features == 1 else "; there is no loop over features"
    what = "The layer" if gates == 1 else f"Each of the {gates} gates"
    return (
        f"A step x is one vector of F = {features}{loop}.\n"
        f"{what} is a dense layer on x and the previous output h (U = {row.units})."
    )


def _arrays(row: DirectionRow, *, both: bool) -> Table:
    """Each array under its name in Keras and in PyTorch, and the order of the gates."""
    table = columns("array", "Keras", f"PyTorch {row.torch.kind}")
    keras, torch = ({one.role: one for one in side.arrays} for side in (row.keras, row.torch))
    strip = "forward_layer/" if both else ""
    for role, words in ROLES.items():
        if role in keras or role in torch:
            table.add_row(words, _array(keras.get(role), strip), _array(torch.get(role)))
    if len(row.gates) > 1:
        axes = ("the last axis", "the first axis") if row.window else ("columns", "rows")
        table.add_row("gates", _order(row, row.keras, axes[0]), _order(row, row.torch, axes[1]))
    if both:
        names = "a module each, _forward and _backward" if row.window else REVERSED
        table.add_row("twice", "forward_layer, backward_layer", names)
    return table


def _array(array: ArrayRow | None, strip: str = "") -> str:
    if array is None:
        return "none"
    note = f", {array.note}" if array.note else ""
    return f"{array.name.removeprefix(strip)} {array.shape}{note}"


def _order(row: DirectionRow, side: Side, axis: str) -> Text:
    """The letters of the gates, each in its colour, in the order of one framework."""
    place = {gate.gate: index for index, gate in enumerate(row.gates)}
    place |= {gate.torch_gate: index for index, gate in enumerate(row.gates)}
    letters = [gate_text(gate, place[gate]) for gate in side.gates]
    return Text(" ").join(letters).append(f" in {axis}")


def _counts(rows: list[DirectionRow]) -> Iterator[str]:
    """The number of parameters as a sum, and what a feature more costs."""
    row, times = rows[0], len(rows)
    sides = (("Keras", row.keras), ("PyTorch", row.torch))
    wide = max(len(_formula(side)) for _, side in sides)
    for name, side in sides:
        sizes = " + ".join(f"{term.size:,}" for term in side.terms)
        twice = f", twice: {times * side.parameters:,}" if times > 1 else ""
        yield f"{name:<7}  {_formula(side):<{wide}} = {sizes} = {side.parameters:,}{twice}"
    factor = times * len(row.gates) * prod(row.window)
    more = factor * row.units
    letter = "F" if row.window else "U"
    sum_ = f"{factor}·{letter}" if factor > 1 else letter
    adds = f"each further one adds {sum_} = {more:,}"
    one = times * row.keras.parameters - (row.features - 1) * more
    two = f", so {one + more:,} with two" if row.features == 1 else ""
    yield f"With one {_noun(row)} a step Keras counts {one:,}; {adds}{two}."
    if row.torch.note:
        yield row.torch.note


def _formula(side: Side) -> str:
    return " + ".join(term.text for term in side.terms)


def _gates(console: Console, row: DirectionRow) -> None:
    """Which part of the arrays is whose; in two tables where one is too wide."""
    place = ("gate", "Keras columns", "PyTorch rows")
    part = ("its kernel", "its recurrent kernel", "its bias")
    whole, places, parts = columns(*place, *part), columns(*place), columns("gate", *part)
    for index, gate in enumerate(row.gates):
        letter = gate_text(gate.gate, index)
        renamed = f" ({gate.torch_gate})" if gate.torch_gate != gate.gate else ""
        where = (
            "{}:{}".format(*gate.columns),
            "{}:{}".format(*gate.rows) + renamed,
        )
        what = (
            f"kernel_{gate.gate} {gate.kernel_shape}",
            f"recurrent_kernel_{gate.gate} {gate.recurrent_kernel_shape}",
            f"bias_{gate.gate} {gate.bias_shape}" if gate.bias_shape else "none",
        )
        named = Text.assemble(letter, f"  {gate.meaning}")
        whole.add_row(named, *where, *what)
        places.add_row(named, *where)
        parts.add_row(letter, *what)
    if Measurement.get(console, console.options, whole).maximum + 2 <= console.width:
        show(console, whole, indent=2)
        return
    show(console, places, indent=2)
    show(console, "")
    show(console, parts, indent=2)
