"""CuDNNLSTM and CuDNNGRU of Keras 2: LSTM, and GRU that resets after the product.

They have no settings but tanh and sigmoid, and two biases in one row. Their weights are the
layer's own: no part of it is a cell.

Shape letters: I input features, H units, G gates.
"""

from __future__ import annotations

from converter.activations import SIGMOID, TANH
from converter.description import Direction, Shape, Weight
from converter.gates import GATES, Cell, bias_form, cudnn_kernel_form
from converter.readers.keras.config import MAX_UNITS, Config
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
    bias = weights.take("bias", (2 * gates * units,))
    form = cudnn_kernel_form(cell)
    return Direction(
        cell=cell,
        kernel=Weight((gates, units, features), (kernel,), form),
        recurrent_kernel=Weight((gates, units, units), (recurrent_kernel,), form),
        bias=Weight((2, gates, units), (bias,), bias_form(cell, "cudnn")),
        activation=TANH,
        recurrent_activation=SIGMOID,
        go_backwards=go_backwards,
    )
