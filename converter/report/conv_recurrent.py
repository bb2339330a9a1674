"""A convolutional LSTM taken apart, in the terms of `converter.report.recurrent`.

Shape letters: C channels of the input, F filters, G gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from converter.description import ConvDirection, ConvLSTM
from converter.gates import GATES, Cell, layout
from converter.report.recurrent import (
    MEANINGS,
    ArrayRow,
    DirectionRow,
    GateRow,
    Side,
    Term,
)
from converter.report.words import activation_words

NOTE = "torch.nn has no convolutional LSTM: convert writes a class."


def directions_of(layer: ConvLSTM) -> Iterator[DirectionRow]:
    """Each direction of the layer; its numbers are too many to be shown."""
    names = ("",) if layer.backward is None else ("forward", "backward")
    for name, direction in zip(names, layer.directions, strict=True):
        yield DirectionRow(
            layer=layer.name,
            direction=name,
            cell=Cell.LSTM.value,
            features=direction.channels,
            units=direction.filters,
            activation=activation_words(direction.activation),
            recurrent_activation=activation_words(direction.recurrent_activation),
            keras=_keras_side(direction, f"{name}_layer/" if name else ""),
            torch=_torch_side(direction),
            gates=_gates(direction),
            window=direction.size,
        )


def _terms(direction: ConvDirection) -> tuple[Term, ...]:
    """G·S·C·F + G·S·F·F + G·F, with the size of the window in the place of S."""
    gates, filters, window = len(GATES[Cell.LSTM]), direction.filters, prod(direction.size)
    size = "·".join(map(str, direction.size))
    terms = [
        Term(text=f"{gates}·{size}·C·F", size=gates * window * direction.channels * filters),
        Term(text=f"{gates}·{size}·F·F", size=gates * window * filters * filters),
    ]
    if direction.bias is not None:
        terms.append(Term(text=f"{gates}·F", size=gates * filters))
    return tuple(terms)


def _side(
    direction: ConvDirection, kind: str, framework: str, arrays: list[ArrayRow], note: str = ""
) -> Side:
    terms = _terms(direction)
    return Side(
        kind=kind,
        gates=tuple(layout(Cell.LSTM, framework).gates),
        arrays=tuple(arrays if direction.bias is not None else arrays[:2]),
        terms=terms,
        parameters=sum(term.size for term in terms),
        note=note,
    )


def _keras_side(direction: ConvDirection, prefix: str) -> Side:
    stacked = len(GATES[Cell.LSTM]) * direction.filters
    shapes = {
        "kernel": (*direction.size, direction.channels, stacked),
        "recurrent_kernel": (*direction.size, direction.filters, stacked),
        "bias": (stacked,),
    }
    arrays = [
        ArrayRow(role=role, name=prefix + role, shape=shape) for role, shape in shapes.items()
    ]
    return _side(direction, f"ConvLSTM{direction.rank}D", "keras", arrays)


def _torch_side(direction: ConvDirection) -> Side:
    stacked = len(GATES[Cell.LSTM]) * direction.filters
    parts = {
        "kernel": ("input.weight", (stacked, direction.channels, *direction.size)),
        "recurrent_kernel": ("recurrent.weight", (stacked, direction.filters, *direction.size)),
        "bias": ("input.bias", (stacked,)),
    }
    arrays = [ArrayRow(role=role, name=name, shape=shape) for role, (name, shape) in parts.items()]
    return _side(direction, "ConvLSTM", "cells", arrays, NOTE)


def _gates(direction: ConvDirection) -> tuple[GateRow, ...]:
    filters = direction.filters
    keras, torch = layout(Cell.LSTM, "keras").gates, layout(Cell.LSTM, "cells").gates

    def block(order: str, gate: str) -> tuple[int, int]:
        return order.index(gate) * filters, (order.index(gate) + 1) * filters

    return tuple(
        GateRow(
            gate=gate,
            torch_gate=gate,
            meaning=MEANINGS[Cell.LSTM][gate],
            activation=activation_words(
                direction.activation if gate == "c" else direction.recurrent_activation
            ),
            columns=block(keras, gate),
            rows=block(torch, gate),
            kernel_shape=(*direction.size, direction.channels, filters),
            recurrent_kernel_shape=(*direction.size, filters, filters),
            bias_shape=None if direction.bias is None else (filters,),
            numbers=None,
        )
        for gate in GATES[Cell.LSTM]
    )
