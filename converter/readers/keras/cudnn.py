"""CuDNNLSTM and CuDNNGRU of Keras 2: LSTM, and GRU that resets after the product.

They have no settings but tanh and sigmoid, and two biases in one row. Their weights are the
layer's own: no part of it is a cell.

Shape letters: I input features, H units, G gates.
"""

from __future__ import annotations

from converter.activations import SIGMOID, TANH
from converter.description import Direction, Era, Shape, Stored, Weight
from converter.gates import GATES, Cell, bias_form, cudnn_kernel_form, kernel_form, layout
from converter.readers.keras.config import MAX_UNITS, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.layers import known_size
from converter.readers.keras.weights import Weights

CUDNN = {"CuDNNLSTM": Cell.LSTM, "CuDNNGRU": Cell.GRU}


def read_cudnn(config: Config, x: Shape, weights: Weights, *, go_backwards: bool) -> Direction:
    """One direction, its biases apart.

    Args:
        config: Of the layer.
        x: The shape of the sequence.
        weights: Of the layer.
        go_backwards: The sequence is read from its end.
    """
    cell = CUDNN[config.kind]
    gates = len(GATES[cell])
    features, units = known_size(config, x, -1), config.integer("units", most=MAX_UNITS)
    kernel = weights.take("kernel", (features, gates * units))
    recurrent_kernel = weights.take("recurrent_kernel", (units, gates * units))
    ordinary = (gates * units,) if cell is Cell.LSTM else (2, gates * units)
    bias = weights.take("bias", (2 * gates * units,), ordinary)
    if bias.shape == ordinary:  # of an LSTM or a GRU: Keras loads those too
        form, biases = kernel_form(cell, "keras"), layout(cell, "keras").biases
        three = (
            Weight((gates, units, features), (kernel,), form),
            Weight((gates, units, units), (recurrent_kernel,), form),
            Weight((biases, gates, units), (bias,), bias_form(cell, "keras")),
        )
    else:
        three = cudnn_weights(cell, kernel, recurrent_kernel, bias)
    return Direction(
        cell=cell,
        kernel=three[0],
        recurrent_kernel=three[1],
        bias=three[2],
        activation=TANH,
        recurrent_activation=SIGMOID,
        go_backwards=go_backwards,
    )


def cudnn_weights(
    cell: Cell, kernel: Stored, recurrent_kernel: Stored, bias: Stored
) -> tuple[Weight, Weight, Weight]:
    """Three arrays of CuDNN as those of the description."""
    gates, (features, stacked) = len(GATES[cell]), kernel.shape
    units = stacked // gates
    form = cudnn_kernel_form(cell)
    return (
        Weight((gates, units, features), (kernel,), form),
        Weight((gates, units, units), (recurrent_kernel,), form),
        Weight((2, gates, units), (bias,), bias_form(cell, "cudnn")),
    )


def converted_from_cudnn(cell: Cell, units: int, writer: Writer) -> tuple[tuple[int, ...], ...]:
    """The shape of a bias by which Keras 2 knows weights of CuDNN that an LSTM or a GRU loads."""
    if cell not in CUDNN.values() or writer.era not in (Era.KERAS_2, Era.TF_KERAS):
        return ()
    return ((2 * len(GATES[cell]) * units,),)
