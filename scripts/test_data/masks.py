"""Masks and initial states: what is skipped, and where a layer begins.

The inputs are drawn as for all others: an index is 0 now and then, and after a ReLU all features
of a step may be.
"""

from scripts.test_data.catalogue import (
    ALL_KERAS,
    BOTH,
    HDF5,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
    chain,
)


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def masked_steps(keras: Keras) -> Model:
    """Masking before a stack: sequences, their zeros, and the last output."""
    layers = keras.layers
    return chain(
        keras,
        (None, 2),
        layers.ReLU(),
        layers.Masking(),
        layers.GRU(3, return_sequences=True),
        layers.LSTM(3, return_sequences=True, zero_output_for_mask=True),
        layers.Dropout(0.5),
        layers.LSTM(2, activation="softsign"),
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH, vocabulary=4)
def masked_words(keras: Keras) -> Model:
    """An Embedding with mask_zero before both directions."""
    layers = keras.layers
    return chain(
        keras,
        (None,),
        layers.Embedding(4, 3, mask_zero=True),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.Bidirectional(layers.GRU(2)),
        layers.Dense(2),
        dtype="int32",
    )


@architecture(formats=HDF5)
def masked_outside_layers(keras: Keras) -> Model:
    """A mask that Keras 3 writes as operations, which it does not find in its own `.h5`."""
    x = keras.Input((None, 2))
    return keras.Model(x, keras.layers.LSTM(2)(keras.layers.Masking(name="some")(x)))


@architecture(written_by=ALL_KERAS, vocabulary=3)
def masks_joined(keras: Keras) -> Model:
    """Two masks, of a sum and of one sequence behind another."""
    layers = keras.layers
    x, y = (keras.Input((4,), dtype="int32", name=name) for name in ("x", "y"))
    words = layers.Embedding(3, 2, mask_zero=True)
    both = [words(x), words(y)]
    added, behind = layers.Add()(both), layers.Concatenate(axis=1)(both)
    return keras.Model([x, y], [layers.GRU(2)(added), layers.LSTM(2)(behind)])


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def encoder_decoder(keras: Keras) -> Model:
    """An LSTM in both directions that begins with the states of another one."""
    layers = keras.layers
    x, y = (keras.Input((None, 2), name=name) for name in ("before", "after"))
    encoder = layers.Bidirectional(layers.LSTM(3, return_state=True))
    _, *states = encoder(x)
    decoder = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    return keras.Model([x, y], layers.Dense(2)(decoder(y, initial_state=states)))
