"""Bidirectional around each cell, in each merge mode."""

from functools import partial

from scripts.test_data.catalogue import (
    BOTH,
    KERAS,
    KERAS3,
    KERAS3_AND_215,
    Keras,
    Model,
    add,
    architecture,
    chain,
)
from scripts.test_data.recurrent import CELLS, cell

# For each file a cell, and its merge modes: True where it gives its sequence. concat is in all
# the other files.
MERGES: dict[str, tuple[str, dict[str | None, bool]]] = {
    "lstm_merges": ("lstm", {"sum": True, "mul": False, "ave": True, None: True}),
    "lstm_merges_last": ("lstm", {"sum": False, "mul": True, "ave": False, None: False}),
    "gru_merges": ("gru", {"sum": True, "ave": False, None: True}),
    "gru_before_merges": ("gru_before", {"mul": True, None: False}),
    "rnn_merges": ("rnn", {"ave": True, "sum": False}),
}


def single(keras: Keras, kind: str) -> Model:
    """Both directions, joined by concat, step by step."""
    return chain(
        keras, (None, 3), keras.layers.Bidirectional(cell(keras, kind, 4, return_sequences=True))
    )


def merged(keras: Keras, kind: str, modes: dict[str | None, bool]) -> Model:
    """Several merge modes side by side."""
    x = keras.Input((None, 2))
    outputs: list[object] = []
    for mode, sequences in modes.items():
        layer = cell(keras, kind, 2, return_sequences=sequences)
        y = keras.layers.Bidirectional(layer, merge_mode=mode)(x)
        outputs += y if isinstance(y, list | tuple) else [y]
    return keras.Model(x, outputs)


for _kind in CELLS:
    add(
        f"bidirectional_{_kind}",
        partial(single, kind=_kind),
        single.__doc__ or "",
        written_by=KERAS3_AND_215 if _kind == "lstm" else KERAS3,
        formats=BOTH if _kind == "lstm" else KERAS,
    )
for _file, (_kind, _modes) in MERGES.items():
    add(
        f"bidirectional_{_file}",
        partial(merged, kind=_kind, modes=_modes),
        merged.__doc__ or "",
        written_by=KERAS3_AND_215 if _file == "lstm_merges" else KERAS3,
    )


@architecture()
def bidirectional_last(keras: Keras) -> Model:
    """The last outputs of both directions: the backward one's is at the first step."""
    layers = keras.layers
    return chain(keras, (None, 3), layers.Bidirectional(layers.LSTM(4)), layers.Dense(2))


@architecture(written_by=KERAS3_AND_215)
def bidirectional_stacked(keras: Keras) -> Model:
    """Two Bidirectional layers of different cells, and a Dense."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.Bidirectional(layers.GRU(3, reset_after=False), merge_mode="sum"),
        layers.Dense(2),
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def bidirectional_explicit(keras: Keras) -> Model:
    """A backward layer of its own: other units, other activation, no bias."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Bidirectional(
            layers.LSTM(4, return_sequences=True),
            backward_layer=layers.LSTM(
                2, return_sequences=True, go_backwards=True, activation="relu", use_bias=False
            ),
        ),
    )


@architecture()
def bidirectional_two_cells(keras: Keras) -> Model:
    """An LSTM forward, a GRU backward, and the reverse with the last outputs multiplied."""
    layers = keras.layers
    x = keras.Input((None, 3))
    whole = layers.Bidirectional(
        layers.LSTM(2, return_sequences=True),
        backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True),
    )
    last = layers.Bidirectional(
        layers.GRU(2, reset_after=False),
        backward_layer=layers.SimpleRNN(2, go_backwards=True),
        merge_mode="mul",
    )
    return keras.Model(x, [whole(x), last(x)])


@architecture()
def bidirectional_states(keras: Keras) -> Model:
    """Output and the states of both directions, of an LSTM and of a GRU."""
    layers = keras.layers
    x = keras.Input((None, 3))
    lstm = layers.Bidirectional(layers.LSTM(2, return_sequences=True, return_state=True))
    gru = layers.Bidirectional(layers.GRU(2, return_state=True), merge_mode="ave")
    return keras.Model(x, [*lstm(x), *gru(x)])


@architecture()
def bidirectional_backwards(keras: Keras) -> Model:
    """The forward layer goes backwards, and its backward layer forwards."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Bidirectional(
            layers.LSTM(2, go_backwards=True, return_sequences=True),
            backward_layer=layers.LSTM(2, return_sequences=True),
        ),
        layers.Bidirectional(
            layers.GRU(2, go_backwards=True), backward_layer=layers.GRU(3, activation="elu")
        ),
    )


@architecture()
def bidirectional_options(keras: Keras) -> Model:
    """Dropout, no bias, hard_sigmoid and relu inside of Bidirectional."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.Bidirectional(
            layers.LSTM(
                3,
                return_sequences=True,
                recurrent_activation="hard_sigmoid",
                dropout=0.2,
                recurrent_dropout=0.1,
            ),
            name="both",
        ),
        layers.Bidirectional(layers.SimpleRNN(2, activation="relu", use_bias=False)),
    )
