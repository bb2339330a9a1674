"""Flatten, Reshape, Permute, RepeatVector."""

from scripts.test_data.catalogue import Keras, Model, architecture, chain


@architecture()
def shaping(keras: Keras) -> Model:
    """Each of them on inputs of every rank, free and fixed."""
    layers = keras.layers
    vector = keras.Input((6,))
    free = keras.Input((None, 4))
    fixed = keras.Input((3, 4))
    image = keras.Input((2, 3, 2))
    return keras.Model(
        [vector, free, fixed, image],
        [
            layers.Reshape((2, 3))(vector),
            layers.Reshape((-1, 2))(vector),
            layers.RepeatVector(3)(vector),
            layers.Reshape((-1, 2))(free),
            layers.Permute((2, 1))(fixed),
            layers.Flatten()(fixed),
            layers.Reshape((2, -1, 3))(fixed),
            layers.Permute((3, 1, 2))(image),
            layers.Flatten()(image),
            layers.Flatten()(vector),
        ],
    )


@architecture()
def flatten_channels_first(keras: Keras) -> Model:
    """A Flatten that was told that channels come first, and so moves them to the end."""
    layers = keras.layers
    return chain(keras, (2, 3, 4), layers.Flatten(data_format="channels_first"), layers.Dense(2))


@architecture()
def autoencoder(keras: Keras) -> Model:
    """An LSTM to one vector, RepeatVector, an LSTM back to a sequence, a Dense at each step."""
    layers = keras.layers
    return chain(
        keras,
        (5, 3),
        layers.LSTM(4),
        layers.RepeatVector(5),
        layers.LSTM(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(3)),
    )


@architecture()
def dense_to_sequence(keras: Keras) -> Model:
    """A Dense reshaped into steps, permuted, and read by a Bidirectional."""
    layers = keras.layers
    return chain(
        keras,
        (3,),
        layers.Dense(8),
        layers.Reshape((4, 2)),
        layers.Permute((2, 1)),
        layers.Bidirectional(layers.GRU(2, return_sequences=True)),
        layers.Flatten(),
        layers.Dense(2),
    )
