"""Pooling in one and two dimensions, and global pooling."""

from scripts.test_data.catalogue import Keras, Model, architecture, chain, fan


@architecture(lengths=(4, 5, 9))
def pooling_1d(keras: Keras) -> Model:
    """Max and average, valid, with strides that differ from the window."""
    layers = keras.layers
    return fan(
        keras,
        (None, 3),
        layers.MaxPooling1D(2),
        layers.AveragePooling1D(2),
        layers.MaxPooling1D(3, strides=1),
        layers.AveragePooling1D(3, strides=2),
        layers.MaxPooling1D(2, strides=3),
    )


@architecture()
def pooling_1d_same(keras: Keras) -> Model:
    """padding="same": an average counts only what is there, a maximum of negatives stays so."""
    layers = keras.layers
    return fan(
        keras,
        (None, 3),
        layers.MaxPooling1D(2, padding="same"),
        layers.AveragePooling1D(2, padding="same"),
        layers.MaxPooling1D(3, strides=1, padding="same"),
        layers.AveragePooling1D(3, strides=1, padding="same"),
        layers.AveragePooling1D(4, strides=3, padding="same"),
    )


@architecture()
def pooling_2d(keras: Keras) -> Model:
    """Odd sizes, valid and same, windows that aren't square."""
    layers = keras.layers
    return fan(
        keras,
        (5, 7, 1),
        layers.MaxPooling2D(2),
        layers.AveragePooling2D((2, 3)),
        layers.MaxPooling2D((3, 2), strides=(1, 2), padding="same"),
        layers.AveragePooling2D((2, 3), strides=2, padding="same"),
        layers.AveragePooling2D(3, strides=1, padding="same"),
        layers.MaxPooling2D(2, padding="same"),
    )


@architecture()
def pooling_global(keras: Keras) -> Model:
    """Global maximum and average, with and without the pooled axes."""
    layers = keras.layers
    x = keras.Input((None, 3))
    image = keras.Input((3, 4, 2))
    return keras.Model(
        [x, image],
        [
            layers.GlobalMaxPooling1D()(x),
            layers.GlobalAveragePooling1D()(x),
            layers.GlobalMaxPooling1D(keepdims=True)(x),
            layers.GlobalAveragePooling1D(keepdims=True)(x),
            layers.GlobalMaxPooling2D()(image),
            layers.GlobalAveragePooling2D()(image),
            layers.GlobalMaxPooling2D(keepdims=True)(image),
            layers.GlobalAveragePooling2D(keepdims=True)(image),
        ],
    )


@architecture()
def pooling_between_cells(keras: Keras) -> Model:
    """An LSTM, the sequence halved, a GRU, the average over time."""
    layers = keras.layers
    return chain(
        keras,
        (6, 3),
        layers.LSTM(4, return_sequences=True),
        layers.MaxPooling1D(2),
        layers.GRU(2, return_sequences=True),
        layers.GlobalAveragePooling1D(),
    )


@architecture()
def pooling_adaptive(keras: Keras) -> Model:
    """Whatever the length, as many places; only Keras 3 has it."""
    layers = keras.layers
    sequence, image = keras.Input((7, 3)), keras.Input((5, 6, 2))
    return keras.Model(
        [sequence, image],
        [
            layers.AdaptiveAveragePooling1D(3)(sequence),
            layers.AdaptiveMaxPooling1D(4)(sequence),
            layers.AdaptiveAveragePooling2D((2, 4))(image),
            layers.AdaptiveMaxPooling2D(3)(image),
        ],
    )
