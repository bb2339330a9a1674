"""A recurrent layer taken apart: its arrays, gates and counts, in Keras's and in PyTorch's terms.

Shape letters: F features a step, U units, G gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from converter.activations import SIGMOID, TANH, Activation
from converter.description import Direction, Gate, Layer, Recurrent, TimeDistributed
from converter.gates import GATES, Array, Cell, layout
from converter.report.words import KERAS_CLASSES, activation_words

SMALL = 6
"""Up to so many units and features the numbers are shown without being asked for."""

TORCH_LETTERS = {Cell.LSTM: {"c": "g"}, Cell.GRU: {"h": "n"}}
"""Where PyTorch's documentation has another letter for a gate."""

MEANINGS = {
    Cell.LSTM: {"i": "input", "f": "forget", "c": "candidate", "o": "output"},
    Cell.GRU: {"z": "update", "r": "reset", "h": "candidate"},
    Cell.GRU_RESET_BEFORE: {"z": "update", "r": "reset", "h": "candidate"},
    Cell.RNN: {"h": "output"},
}

MODULES = {
    Cell.LSTM: ("nn.LSTM", "ActivatedLSTM"),
    Cell.GRU: ("nn.GRU", "ActivatedGRU"),
    Cell.GRU_RESET_BEFORE: ("", "ResetBeforeGRU"),
    Cell.RNN: ("nn.RNN", "ActivatedRNN"),
}
"""torch.nn's module, and the class that `convert` writes where that cannot say the cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A part of the sum that counts parameters: `text` is "4·F·U", `size` its value."""

    text: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayRow:
    """An array as a framework has it.

    Attributes:
        role: "kernel", "recurrent_kernel", "bias" or "recurrent_bias".
        note: Which part of it, or what is in it; "" if nothing is special.
    """

    role: str
    name: str
    shape: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One direction of a recurrent layer in one framework's terms.

    Attributes:
        kind: The class: "LSTM", "nn.LSTM".
        gates: The letters in that framework's order.
        parameters: The sum of `terms`.
        note: A sentence on what differs from Keras; "" if nothing.
    """

    kind: str
    gates: tuple[str, ...]
    arrays: tuple[ArrayRow, ...]
    terms: tuple[Term, ...]
    parameters: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One gate's own part of the arrays.

    Attributes:
        gate: Keras's letter; `torch_gate` is PyTorch's.
        activation: As a person reads it.
        columns: Of Keras's arrays, first and last + 1; `rows` of PyTorch's likewise.
        kernel_shape: (F, U); `recurrent_kernel_shape` (U, U); `bias_shape` (U,) or None. Of a
            convolutional LSTM, the size of its window stands before both.
        numbers: The part itself, if it was asked for.
    """

    gate: str
    torch_gate: str
    meaning: str
    activation: str
    columns: tuple[int, int]
    rows: tuple[int, int]
    kernel_shape: tuple[int, ...]
    recurrent_kernel_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None
    numbers: GateNumbers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNumbers:
    """The numbers of one gate, as nested lists."""

    kernel: list[list[float]]
    recurrent_kernel: list[list[float]]
    bias: list[float] | None
    recurrent_bias: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionRow:
    """One direction of a recurrent layer.

    Attributes:
        direction: "" for a layer that has one, else "forward" or "backward".
        window: Of a convolutional LSTM, whose features are channels and units filters; ().
    """

    layer: str
    direction: str
    cell: str
    features: int
    units: int
    activation: str
    recurrent_activation: str
    keras: Side
    torch: Side
    gates: tuple[GateRow, ...]
    window: tuple[int, ...] = ()


def directions_of(layer: Layer, values: bool | None) -> Iterator[DirectionRow]:
    """Each direction of a recurrent layer; nothing for another layer.

    Args:
        layer: Any layer; inside TimeDistributed too.
        values: Whether the numbers are read; None for small layers only.
    """
    if isinstance(layer, TimeDistributed):
        yield from directions_of(layer.layer, values)
    if not isinstance(layer, Recurrent):
        return
    names = ("",) if layer.backward is None else ("forward", "backward")
    suffix = "_reverse" if one_module(layer) else ""
    for name, direction in zip(names, layer.directions, strict=True):
        small = max(direction.units, direction.inputs) <= SMALL
        keras = keras_side(direction, f"{name}_layer/" if name else "")
        torch = torch_side(direction, suffix if name == "backward" else "")
        yield DirectionRow(
            layer=layer.name,
            direction=name,
            cell=direction.cell.value,
            features=direction.inputs,
            units=direction.units,
            activation=activation_words(direction.activation),
            recurrent_activation=activation_words(direction.recurrent_activation),
            keras=keras,
            torch=torch,
            gates=_gates(direction, values if values is not None else small),
        )


def _biases(direction: Direction) -> int:
    """How many the source has."""
    return 0 if direction.bias is None else direction.bias.shape[0]


def _is_cudnn(direction: Direction) -> bool:
    """Whether it is a CuDNNLSTM, which keeps both biases in one row."""
    if direction.cell is not Cell.LSTM or direction.bias is None:
        return False
    return direction.bias.stored[0].shape == (8 * direction.units,)


def _terms(direction: Direction, biases: int) -> tuple[Term, ...]:
    """G·F·U + G·U·U, and G·U for each bias."""
    gates, features, units = len(GATES[direction.cell]), direction.inputs, direction.units

    def text(count: int, *letters: str) -> str:
        return "·".join((str(count), *letters) if count > 1 else letters)

    terms = (
        Term(text=text(gates, "F", "U"), size=gates * features * units),
        Term(text=text(gates, "U", "U"), size=gates * units * units),
    )
    if not biases:
        return terms
    return (*terms, Term(text=text(biases * gates, "U"), size=biases * gates * units))


def keras_side(direction: Direction, prefix: str = "") -> Side:
    """One direction as Keras has it; `prefix` stands before the names."""
    gates, features, units = len(GATES[direction.cell]), direction.inputs, direction.units
    count = _biases(direction)
    arrays = [
        ArrayRow(role="kernel", name=f"{prefix}kernel", shape=(features, gates * units)),
        ArrayRow(
            role="recurrent_kernel",
            name=f"{prefix}recurrent_kernel",
            shape=(units, gates * units),
        ),
    ]
    cudnn = _is_cudnn(direction)
    if count > layout(direction.cell, "keras").biases and not cudnn:
        count, note = 1, "the sum of both"
    else:
        note = ""
    if count == 1:
        shape: tuple[int, ...] = (gates * units,)
        arrays.append(ArrayRow(role="bias", name=f"{prefix}bias", shape=shape, note=note))
    elif count == 2:
        parts = ("first half", "second half") if cudnn else ("row 0", "row 1")
        shape = (2 * gates * units,) if cudnn else (2, gates * units)
        for role, part in zip(("bias", "recurrent_bias"), parts, strict=True):
            arrays.append(ArrayRow(role=role, name=f"{prefix}bias", shape=shape, note=part))
    terms = _terms(direction, count)
    return Side(
        kind="CuDNNLSTM" if cudnn else KERAS_CLASSES[direction.cell],
        gates=tuple(layout(direction.cell, "keras").gates),
        arrays=tuple(arrays),
        terms=terms,
        parameters=sum(term.size for term in terms),
    )


def one_module(layer: Recurrent) -> bool:
    """Whether one bidirectional module can hold both directions."""
    ahead, back = layer.forward, layer.backward
    return (
        back is not None
        and (ahead.cell, ahead.units, ahead.activation, ahead.recurrent_activation)
        == (back.cell, back.units, back.activation, back.recurrent_activation)
        and (ahead.bias is None) == (back.bias is None)
        and not ahead.go_backwards
        and back.go_backwards
    )


def torch_says(direction: Direction) -> bool:
    """Whether torch.nn has a module that computes this direction."""
    if direction.cell is Cell.GRU_RESET_BEFORE:
        return False
    if direction.cell is Cell.RNN:
        return direction.activation in (TANH, Activation.of("relu"))
    return (direction.activation, direction.recurrent_activation) == (TANH, SIGMOID)


def torch_side(direction: Direction, suffix: str = "") -> Side:
    """One direction as `convert` writes it; `suffix` stands behind the names."""
    cell, units, features = direction.cell, direction.units, direction.inputs
    own = torch_says(direction)
    row = layout(cell, "torch" if own else "cells")
    given = _biases(direction)
    biases = max(given, row.biases) if given else 0
    stacked = len(row.gates) * units
    arrays = [
        ArrayRow(role="kernel", name=f"weight_ih_l0{suffix}", shape=(stacked, features)),
        ArrayRow(role="recurrent_kernel", name=f"weight_hh_l0{suffix}", shape=(stacked, units)),
    ]
    if biases:
        arrays.append(ArrayRow(role="bias", name=f"bias_ih_l0{suffix}", shape=(stacked,)))
    if biases == 2:
        note = "zeros" if given == 1 else ""
        arrays.append(
            ArrayRow(role="recurrent_bias", name=f"bias_hh_l0{suffix}", shape=(stacked,), note=note)
        )
    letters = TORCH_LETTERS.get(cell, {}) if own else {}
    terms = _terms(direction, biases)
    return Side(
        kind=MODULES[cell][0 if own else 1],
        gates=tuple(letters.get(gate, gate) for gate in row.gates),
        arrays=tuple(arrays),
        terms=terms,
        parameters=sum(term.size for term in terms),
        note=_torch_note(direction, own, given, biases),
    )


def _torch_note(direction: Direction, own: bool, given: int, biases: int) -> str:
    """What is other in PyTorch than in Keras."""
    if direction.cell is Cell.GRU_RESET_BEFORE:
        return (
            "PyTorch's nn.GRU resets after the product: convert writes a class that resets before."
        )
    if not own:
        return (
            f"PyTorch's {MODULES[direction.cell][0]} has other activations: convert writes a class."
        )
    if biases > given:
        return "PyTorch adds a second bias; it is zeros, and kept out of training."
    if direction.cell is Cell.GRU and given:
        return "Both have two biases, because the reset gate multiplies the second."
    return ""


def _gates(direction: Direction, values: bool) -> tuple[GateRow, ...]:
    cell, units, features = direction.cell, direction.units, direction.inputs
    keras = layout(cell, "keras").gates
    torch = layout(cell, "torch" if torch_says(direction) else "cells").gates
    letters = TORCH_LETTERS.get(cell, {}) if torch_says(direction) else {}
    numbers = direction.gates if values else {}

    def block(order: str, gate: str) -> tuple[int, int]:
        place = order.index(gate)
        return place * units, (place + 1) * units

    rows = []
    for gate in GATES[cell]:
        candidate = MEANINGS[cell][gate] == "candidate" or cell is Cell.RNN
        rows.append(
            GateRow(
                gate=gate,
                torch_gate=letters.get(gate, gate),
                meaning=MEANINGS[cell][gate],
                activation=activation_words(
                    direction.activation if candidate else direction.recurrent_activation
                ),
                columns=block(keras, gate),
                rows=block(torch, gate),
                kernel_shape=(features, units),
                recurrent_kernel_shape=(units, units),
                bias_shape=_bias_shape(direction),
                numbers=_numbers(numbers[gate]) if values else None,
            )
        )
    return tuple(rows)


def _bias_shape(direction: Direction) -> tuple[int, ...] | None:
    match _biases(direction):
        case 0:
            return None
        case 1:
            return (direction.units,)
    return (2, direction.units)


def _numbers(gate: Gate) -> GateNumbers:
    def listed(array: Array | None) -> Any:
        return None if array is None else array.tolist()

    return GateNumbers(
        kernel=listed(gate.kernel),
        recurrent_kernel=listed(gate.recurrent_kernel),
        bias=listed(gate.bias),
        recurrent_bias=listed(gate.recurrent_bias),
    )
