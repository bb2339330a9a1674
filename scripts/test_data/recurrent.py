"""LSTM, GRU and SimpleRNN, each option by itself and the usual stacks of them."""

from functools import partial
from typing import Any

from scripts.test_data.catalogue import (
    ALL_KERAS,
    BOTH,
    KERAS2,
    KERAS3,
    KERAS3_AND_215,
    Keras,
    Model,
    add,
    architecture,
    chain,
    fan,
)

# The cells as the tests call them, and what makes each of Keras's layers that cell.
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru_before": ("GRU", {"reset_after": False}),
    "rnn": ("SimpleRNN", {}),
}

# The options, by themselves for an LSTM, side by side for the others.
OPTIONS: dict[str, dict[str, Any]] = {
    "sequences": {"return_sequences": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "backwards_last": {"go_backwards": True},
    "no_bias": {"use_bias": False},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.2, "return_sequences": True},
}

# exponential is absent: in a cell it overflows within a few steps. So do relu and linear as the
# gates of a GRU. gelu and leaky_relu are in activations.py, with the others that TensorFlow
# computes with constants of float32.
ACTIVATIONS = {
    "lstm": ("relu", "softsign", "elu", "selu", "softplus", "silu", "linear"),
    "gru": ("relu", "softsign", "mish"),
    "gru_before": ("relu", "elu"),
    "rnn": ("relu", "softsign", "hard_sigmoid"),
}

RECURRENT_ACTIVATIONS = {
    "lstm": ("hard_sigmoid", "relu", "tanh", "softsign"),
    "gru": ("hard_sigmoid", "softsign"),
    "gru_before": ("hard_sigmoid", "tanh"),
}


def cell(keras: Keras, kind: str, units: int, **options: Any) -> Any:
    """The layer of `keras` that is this kind of cell."""
    layer, own = CELLS[kind]
    return getattr(keras.layers, layer)(units, **own, **options)


def single(keras: Keras, kind: str, **options: Any) -> Model:
    """One layer, three features, four units."""
    return chain(keras, (None, 3), cell(keras, kind, 4, **options))


def options(keras: Keras, kind: str) -> Model:
    """Each option of a layer, side by side."""
    return fan(keras, (None, 3), *(cell(keras, kind, 2, **own) for own in OPTIONS.values()))


def activations(keras: Keras, kind: str) -> Model:
    """A layer of two units for each activation, alternately whole and last."""
    layers = [
        cell(keras, kind, 2, activation=activation, return_sequences=i % 2 == 0)
        for i, activation in enumerate(ACTIVATIONS[kind])
    ]
    return fan(keras, (None, 3), *layers)


def recurrent_activations(keras: Keras, kind: str) -> Model:
    """A layer of two units for each activation of the gates."""
    layers = [
        cell(keras, kind, 2, recurrent_activation=activation, return_sequences=i % 2 == 1)
        for i, activation in enumerate(RECURRENT_ACTIVATIONS[kind])
    ]
    return fan(keras, (None, 3), *layers)


for _kind in CELLS:
    _written_by = KERAS3 if _kind == "rnn" else KERAS3_AND_215
    add(
        _kind,
        partial(single, kind=_kind),
        single.__doc__ or "",
        written_by=_written_by,
        formats=BOTH,
    )
    add(f"{_kind}_activations", partial(activations, kind=_kind), activations.__doc__ or "")
for _kind in ("gru", "gru_before", "rnn"):
    add(f"{_kind}_options", partial(options, kind=_kind), options.__doc__ or "")
for _option, _values in OPTIONS.items():
    add(f"lstm_{_option}", partial(single, kind="lstm", **_values), single.__doc__ or "")
for _kind in RECURRENT_ACTIVATIONS:
    add(
        f"{_kind}_recurrent_activations",
        partial(recurrent_activations, kind=_kind),
        recurrent_activations.__doc__ or "",
        written_by=ALL_KERAS if _kind == "lstm" else KERAS3,
    )


@architecture(formats=BOTH)
def lstm_stacked(keras: Keras) -> Model:
    """Three layers, the second with as many features as units, and a Dense."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.LSTM(4, return_sequences=True),
        layers.LSTM(4, return_sequences=True, go_backwards=True),
        layers.LSTM(2),
        layers.Dense(2),
    )


@architecture()
def unrolled(keras: Keras) -> Model:
    """Each kind of cell unrolled over five steps."""
    layers = (cell(keras, kind, 3, unroll=True) for kind in CELLS)
    return fan(keras, (5, 3), *layers)


@architecture()
def lstm_states(keras: Keras) -> Model:
    """Its sequence and states from one layer, its last output and states from another."""
    x = keras.Input((None, 3))
    whole = keras.layers.LSTM(4, return_sequences=True, return_state=True)(x)
    last = keras.layers.LSTM(2, return_state=True, go_backwards=True)(x)
    return keras.Model(x, [*whole, *last])


@architecture()
def states(keras: Keras) -> Model:
    """The state of each other kind of cell, beside its output."""
    x = keras.Input((None, 3))
    gru = cell(keras, "gru", 3, return_sequences=True, return_state=True)(x)
    gru_before = cell(keras, "gru_before", 2, return_state=True)(x)
    rnn = cell(keras, "rnn", 2, return_state=True, go_backwards=True)(x)
    return keras.Model(x, [*gru, *gru_before, *rnn])


@architecture()
def lstm_no_unit_forget_bias(keras: Keras) -> Model:
    """Initializers, regularizers and constraints that are not the defaults: none matters here."""
    return chain(
        keras,
        (None, 3),
        keras.layers.LSTM(
            4,
            unit_forget_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.1),
            recurrent_initializer="glorot_uniform",
            kernel_regularizer=keras.regularizers.L1L2(l1=0.01, l2=0.02),
            recurrent_regularizer="l2",
            bias_constraint=keras.constraints.MaxNorm(2.0),
            kernel_constraint="non_neg",
        ),
    )


@architecture(written_by=KERAS3_AND_215)
def mixed_cells(keras: Keras) -> Model:
    """Each kind of cell after the other, and hard_sigmoid in two of them."""
    return chain(
        keras,
        (None, 3),
        cell(keras, "lstm", 4, return_sequences=True, recurrent_activation="hard_sigmoid"),
        cell(keras, "gru", 3, return_sequences=True),
        cell(keras, "gru_before", 4, return_sequences=True, recurrent_activation="hard_sigmoid"),
        cell(keras, "rnn", 2, activation="relu"),
        keras.layers.Dense(1, activation="hard_sigmoid"),
    )


@architecture()
def one_unit_one_feature(keras: Keras) -> Model:
    """The smallest LSTM there is: four gates of one number each."""
    return chain(keras, (None, 1), keras.layers.LSTM(1))


@architecture()
def fixed_steps(keras: Keras) -> Model:
    """Five steps, no more and no fewer, and a Dense on each."""
    layers = keras.layers
    return chain(keras, (5, 2), layers.LSTM(3, return_sequences=True), layers.Dense(2))


@architecture(written_by=KERAS2)
def time_major(keras: Keras) -> Model:
    """Time before the batch: only Keras 2 has it."""
    x = keras.Input((None, 3))
    lstm = keras.layers.LSTM(4, time_major=True, return_sequences=True)(x)
    gru = keras.layers.GRU(2, time_major=True)(x)
    return keras.Model(x, [lstm, gru])
