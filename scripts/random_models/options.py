"""What a recurrent layer of Keras can be asked for, and which of it goes together."""

from __future__ import annotations

from typing import Any

from scripts.random_models.covering import Row

CONVOLUTIONAL = ("ConvLSTM1D", "ConvLSTM2D")

OPTIONS: dict[str, tuple[Any, ...]] = {
    "cell": (
        "LSTM", "GRU", "GRU reset before", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell",
        "cells", *CONVOLUTIONAL,
    ),
    "activation": ("tanh", "relu", "hard_sigmoid", "linear", "softsign", "elu", "softmax"),
    "recurrent_activation": ("sigmoid", "hard_sigmoid", "tanh", "softplus"),
    "use_bias": (True, False),
    "return_sequences": (True, False),
    "return_state": (True, False),
    "go_backwards": (True, False),
    "merge": ("one direction", "concat", "sum", "mul", "ave", None),
    "state": ("zeros", "inputs", "encoder", "stateful"),
    "mask": (None, "Masking", "Embedding", "given"),
    "zero_output_for_mask": (True, False),
    "time": ("free", "fixed", "unrolled"),
    "structure": ("Sequential", "Functional", "nested", "shared"),
    "keras": ("keras", "tf_keras"),
}  # fmt: skip
"""gelu and leaky_relu are not among the activations: Keras 3 has a float32 constant in both, so
that it has no answer in float64. tests/judge holds them."""

BOTH = ("concat", "sum", "mul", "ave", None)

IMPOSSIBLE: tuple[Row, ...] = (
    # Keras's Sequential is a chain of layers with one input and one output.
    {"structure": "Sequential", "state": ("inputs", "encoder")},
    {"structure": "Sequential", "return_state": True},
    {"structure": "Sequential", "merge": None},
    {"structure": "Sequential", "mask": "given"},
    # A model inside and a layer called twice are drawn with one input and one output.
    {"structure": ("nested", "shared"), "state": ("inputs", "encoder", "stateful")},
    {"structure": ("nested", "shared"), "return_state": True},
    {"structure": ("nested", "shared"), "merge": None},
    {"structure": ("nested", "shared"), "mask": "given"},
    # Without a mask the flag means nothing.
    {"mask": None, "zero_output_for_mask": True},
    {"cell": CONVOLUTIONAL, "zero_output_for_mask": True},
    # An Embedding has no axes in space, and a ConvLSTM cannot be unrolled.
    {"cell": CONVOLUTIONAL, "mask": "Embedding"},
    {"cell": CONVOLUTIONAL, "time": "unrolled"},
    # Keras 3 takes no layer that goes backwards as the forward one of a Bidirectional.
    {"keras": "keras", "go_backwards": True, "merge": BOTH},
    # Bidirectional.compute_mask of Keras 3.15 fails on the states of a stateful layer.
    {"keras": "keras", "state": "stateful", "return_state": True, "merge": BOTH},
    # A SimpleRNN has no gates.
    {"cell": ("SimpleRNN", "SimpleRNNCell"), "recurrent_activation": ("tanh", "softplus")},
)


def allowed(row: Row) -> bool:
    """Whether there is such a layer, as far as the row goes."""
    return not any(
        all(
            name in row and row[name] in (values if isinstance(values, tuple) else (values,))
            for name, values in impossible.items()
        )
        for impossible in IMPOSSIBLE
    )
