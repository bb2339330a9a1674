"""ConvLSTM1D, ConvLSTM2D and ConvLSTM3D, each option by itself and the usual stacks of them."""

from typing import Any

from scripts.test_data.catalogue import (
    ALL_KERAS,
    BOTH,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
    chain,
    fan,
)


@architecture(written_by=ALL_KERAS, formats=BOTH)
def conv_lstm(keras: Keras) -> Model:
    """Two ConvLSTM2D with what is Keras's default for their gates, and a Dense."""
    layers = keras.layers
    return chain(
        keras,
        (None, 5, 4, 2),
        layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True),
        layers.BatchNormalization(),
        layers.ConvLSTM2D(3, 2),
        layers.Flatten(),
        layers.Dense(2),
    )


@architecture()
def conv_lstm_options(keras: Keras) -> Model:
    """Each option of a ConvLSTM2D, side by side."""
    options = (
        {"padding": "same"},
        {"strides": 2, "padding": "same"},
        {"strides": (2, 1)},
        {"dilation_rate": 2},
        {"dilation_rate": (1, 2), "padding": "same", "return_sequences": True},
        {"use_bias": False, "go_backwards": True},
        {"go_backwards": True, "return_sequences": True},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    )
    layers = (keras.layers.ConvLSTM2D(2, (2, 3), **own) for own in options)
    return fan(keras, (None, 6, 7, 2), *layers)


@architecture()
def conv_lstm_ranks(keras: Keras) -> Model:
    """Over one axis in space, and over three."""
    layers = keras.layers
    line, room = keras.Input((None, 5, 2)), keras.Input((None, 3, 4, 2, 1))
    one = layers.ConvLSTM1D(3, 2, padding="same", return_sequences=True)(line)
    three = layers.ConvLSTM3D(2, 2, padding="same")(room)
    return keras.Model([line, room], [layers.ConvLSTM1D(2, 3, strides=2)(one), three])


@architecture(written_by=KERAS3_AND_215)
def conv_lstm_states(keras: Keras) -> Model:
    """Its sequence and last states, which another one starts from."""
    layers = keras.layers
    x, y = keras.Input((None, 4, 4, 1)), keras.Input((None, 4, 4, 2))
    whole, h, c = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True, return_state=True)(
        x
    )
    last = layers.ConvLSTM2D(2, 3, padding="same", return_state=True)(y, initial_state=[h, c])
    return keras.Model([x, y], [whole, h, c, *last])


@architecture(written_by=KERAS3_AND_215)
def conv_lstm_bidirectional(keras: Keras) -> Model:
    """Two directions, joined in each way."""
    layers = keras.layers
    x = keras.Input((None, 4, 3, 2))
    outputs: list[Any] = []
    for merge in ("concat", "sum", "mul", "ave", None):
        whole = layers.ConvLSTM2D(2, 2, return_sequences=True)
        last = layers.ConvLSTM2D(1, 2, padding="same")
        for layer in (whole, last) if merge in ("concat", None) else (whole,):
            found = layers.Bidirectional(layer, merge_mode=merge)(x)
            outputs += found if isinstance(found, list | tuple) else [found]
    return keras.Model(x, outputs)


@architecture()
def conv_lstm_of_images(keras: Keras) -> Model:
    """Convolutions of each image before, between and after."""
    layers = keras.layers
    return chain(
        keras,
        (None, 6, 6, 1),
        layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu")),
        layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True),
        layers.TimeDistributed(layers.MaxPooling2D(2)),
        layers.ConvLSTM2D(2, 2, return_sequences=True),
        layers.Conv3D(2, 1),
        layers.ConvLSTM2D(2, 1),
        layers.GlobalAveragePooling2D(),
    )
