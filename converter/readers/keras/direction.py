"""One direction of a recurrent layer: its cell with its weights, and what it returns.

Shape letters: I input features, H units, G gates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from converter.activations import SIGMOID
from converter.description import Direction, Era, Shape, Weight
from converter.gates import (
    BIASES_APART,
    GATES,
    KERNELS_APART,
    Cell,
    bias_form,
    kernel_form,
    layout,
)
from converter.readers.keras.activation import read_activation
from converter.readers.keras.cells import RNN, one_cell
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.cudnn import (
    CUDNN,
    converted_from_cudnn,
    cudnn_weights,
    read_cudnn,
)
from converter.readers.keras.dropout import read_drops
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import keeps_states, known_size
from converter.readers.keras.weights import Weights

FORCED = (Era.TF_KERAS, Era.KERAS_3)
"""Where Bidirectional zeroes the masked steps of a sequence; Keras 2 before had no such flag."""

CELLS = {"LSTM": Cell.LSTM, "GRU": Cell.GRU, "SimpleRNN": Cell.RNN}


def read_sequence(config: Config, x: Shape, writer: Writer) -> dict[str, Any]:
    """What is the same for both directions.

    Args:
        config: Of the layer, or of one of its directions.
        x: The shape of the sequence.
        writer: Who wrote the file.
    """
    time_major = config.boolean("time_major", default=False)
    return {
        "return_sequences": config.boolean("return_sequences", default=False),
        "return_state": config.boolean("return_state", default=False),
        "stateful": keeps_states(config, x, 0 if time_major else 1),
        "time_major": time_major,
        "starts_from_state": writer.starts_from_state
        and not config.boolean("unroll", default=False),
    }


def zeroes(config: Config) -> bool:
    """Whether a masked step returns zeros."""
    return config.boolean("zero_output_for_mask", default=False)


def read_direction(
    config: Config, x: Shape, weights: Weights, writer: Writer, *, turned: bool = False
) -> Direction:
    """The cell of a layer: its own part in an archive, no part at all in HDF5."""
    config.boolean("unroll", default=False)
    backwards = config.boolean("go_backwards", default=False)
    if config.kind in CUDNN:
        return read_cudnn(config, x, weights, go_backwards=backwards is not turned)
    cell = one_cell(config) if config.kind == RNN else config
    direction = read_cell(
        cell, x, weights.part("cell"), writer, go_backwards=not backwards if turned else backwards
    )
    if cell is not config:
        cell.done()
    return direction


def read_cell(
    config: Config, x: Shape, inside: Weights, writer: Writer, *, go_backwards: bool
) -> Direction:
    """A cell that reads a sequence.

    Args:
        config: Of the cell, or of the layer that has its settings.
        x: The shape of the sequence.
        inside: The weights of the cell.
        writer: Who wrote the file.
        go_backwards: The sequence is read from its end.
    """
    cell = CELLS[config.kind.removesuffix("Cell")]
    features, units = (
        known_size(config, x, -1),
        config.integer("units", "output_dim", most=MAX_UNITS),
    )
    gated = cell is not Cell.RNN
    use_bias = config.boolean("use_bias", default=True)
    bias: Weight | None
    if writer.era is Era.KERAS_1 and gated and config.value("consume_less", default="cpu") != "gpu":
        if cell is Cell.GRU:
            cell = Cell.GRU_RESET_BEFORE
        kernel, recurrent_kernel, bias = _apart(cell, inside, features, units)
    else:
        cell, kernel, recurrent_kernel, bias = _stacked(
            config, cell, inside, features, units, use_bias, writer
        )
    direction = Direction(
        cell=cell,
        kernel=kernel,
        recurrent_kernel=recurrent_kernel,
        bias=bias,
        activation=read_activation(config, "activation", writer, default="tanh"),
        recurrent_activation=read_activation(
            config,
            "recurrent_activation",
            writer,
            "inner_activation",
            default=writer.recurrent_activation,
        )
        if gated
        else SIGMOID,
        go_backwards=go_backwards,
        dropout=config.number("dropout", "dropout_W", least=0, most=1, default=0.0),
        recurrent_dropout=config.number(
            "recurrent_dropout", "dropout_U", least=0, most=1, default=0.0
        ),
    )
    return replace(direction, drops=read_drops(config, direction, writer))


def _stacked(
    config: Config,
    cell: Cell,
    inside: Weights,
    features: int,
    units: int,
    use_bias: bool,
    writer: Writer,
) -> tuple[Cell, Weight, Weight, Weight | None]:
    """The cell, and its three arrays with the gates side by side."""
    config.value("consume_less", default=None)
    gates = len(GATES[cell])
    kernel = inside.take("kernel", (features, gates * units))
    recurrent_kernel = inside.take("recurrent_kernel", (units, gates * units))
    bias = None
    if cell is Cell.GRU:
        cells = _gru_cells(config, writer)
        cell = cells[0]
        if use_bias:
            shapes = {kind: _bias_shape(kind, units) for kind in cells}
            apart = converted_from_cudnn(Cell.GRU, units, writer) if Cell.GRU in cells else ()
            stored = inside.take("bias", *shapes.values(), *apart)
            found = [kind for kind, shape in shapes.items() if shape == stored.shape]
            cell = found[0] if found else Cell.GRU
    elif use_bias:
        apart = converted_from_cudnn(cell, units, writer)
        stored = inside.take("bias", (gates * units,), *apart)
    if use_bias and stored.shape in apart:
        return cell, *cudnn_weights(cell, kernel, recurrent_kernel, stored)
    if use_bias:
        shape = (layout(cell, "keras").biases, gates, units)
        bias = Weight(shape, (stored,), bias_form(cell, "keras"))
    form = kernel_form(cell, "keras")
    return (
        cell,
        Weight((gates, units, features), (kernel,), form),
        Weight((gates, units, units), (recurrent_kernel,), form),
        bias,
    )


def _apart(cell: Cell, inside: Weights, features: int, units: int) -> tuple[Weight, Weight, Weight]:
    """The arrays of Keras 1: three for each gate, by their names."""
    gates = GATES[cell]
    kernels = tuple(inside.take(f"W_{gate}", (features, units)) for gate in gates)
    recurrent_kernels = tuple(inside.take(f"U_{gate}", (units, units)) for gate in gates)
    biases = tuple(inside.take(f"b_{gate}", (units,)) for gate in gates)
    return (
        Weight((len(gates), units, features), kernels, KERNELS_APART),
        Weight((len(gates), units, units), recurrent_kernels, KERNELS_APART),
        Weight((1, len(gates), units), biases, BIASES_APART),
    )


def _gru_cells(config: Config, writer: Writer) -> tuple[Cell, ...]:
    """The one that the config says; else both, the likely one first: the bias decides."""
    after = config.boolean("reset_after", default=writer.reset_after)
    both = (Cell.GRU, Cell.GRU_RESET_BEFORE) if after else (Cell.GRU_RESET_BEFORE, Cell.GRU)
    return both[:1] if "reset_after" in config else both


def _bias_shape(cell: Cell, units: int) -> tuple[int, ...]:
    stacked = len(GATES[cell]) * units
    biases = layout(cell, "keras").biases
    return (stacked,) if biases == 1 else (biases, stacked)
