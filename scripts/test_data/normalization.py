"""BatchNormalization and LayerNormalization with their axes and parts."""

from scripts.test_data.catalogue import (
    BOTH,
    KERAS2,
    KERAS3_AND_215,
    Keras,
    Model,
    architecture,
    chain,
    fan,
)


@architecture(written_by=KERAS3_AND_215)
def batch_normalization(keras: Keras) -> Model:
    """After an LSTM, and after a Dense."""
    layers = keras.layers
    return chain(
        keras,
        (None, 3),
        layers.LSTM(4, return_sequences=True),
        layers.BatchNormalization(),
        layers.GRU(2),
        layers.Dense(3, activation="relu"),
        layers.BatchNormalization(epsilon=0.1),
    )


@architecture(formats=BOTH)
def batch_normalization_parts(keras: Keras) -> Model:
    """Without center, without scale, without both: the order of what is left."""
    layers = keras.layers
    return fan(
        keras,
        (None, 3),
        layers.BatchNormalization(center=False),
        layers.BatchNormalization(scale=False),
        layers.BatchNormalization(center=False, scale=False),
    )


@architecture()
def batch_normalization_axes(keras: Keras) -> Model:
    """Along another axis than the last, on vectors, sequences and images."""
    layers = keras.layers
    vector = keras.Input((4,))
    sequence = keras.Input((5, 3))
    image = keras.Input((2, 3, 4))
    return keras.Model(
        [vector, sequence, image],
        [
            layers.BatchNormalization()(vector),
            layers.BatchNormalization(axis=1)(sequence),
            layers.BatchNormalization(axis=2)(image),
            layers.BatchNormalization()(image),
        ],
    )


@architecture(written_by=KERAS2)
def batch_normalization_several(keras: Keras) -> Model:
    """Along several axes at once, which Keras 2 alone has."""
    layers = keras.layers
    sequence = keras.Input((5, 3))
    image = keras.Input((2, 3, 4))
    steps = keras.Input((None, 2, 3))
    return keras.Model(
        [sequence, image, steps],
        [
            layers.BatchNormalization(axis=[1, 2])(sequence),
            layers.BatchNormalization(axis=[1, 3])(image),
            layers.BatchNormalization(axis=[-1, 1], scale=False)(image),
            layers.BatchNormalization(axis=[2, 3], center=False, epsilon=0.1)(steps),
        ],
    )


@architecture()
def layer_normalization(keras: Keras) -> Model:
    """Between recurrent layers, and without its parts."""
    layers = keras.layers
    x = keras.Input((None, 3))
    y = layers.LayerNormalization()(layers.LSTM(4, return_sequences=True)(x))
    return keras.Model(
        x,
        [
            y,
            layers.LayerNormalization(scale=False)(y),
            layers.LayerNormalization(center=False)(y),
            layers.LayerNormalization(center=False, scale=False, epsilon=0.5)(x),
        ],
    )


@architecture(formats=BOTH)
def layer_normalization_axes(keras: Keras) -> Model:
    """Over two axes, over the first of two, over the first of three."""
    layers = keras.layers
    sequence = keras.Input((5, 3))
    image = keras.Input((2, 3, 4))
    return keras.Model(
        [sequence, image],
        [
            layers.LayerNormalization(axis=[1, 2])(sequence),
            layers.LayerNormalization(axis=1)(sequence),
            layers.LayerNormalization(axis=[-2, -1])(image),
            layers.LayerNormalization(axis=[1, 3])(image),
        ],
    )


@architecture()
def layer_normalization_deviation(keras: Keras) -> Model:
    """Divided by the deviation, the mean left in: rms_scaling, with and without scale."""
    layers = keras.layers
    x = keras.Input((4, 3))
    y = layers.LayerNormalization(rms_scaling=True)(layers.LSTM(3, return_sequences=True)(x))
    return keras.Model(
        x,
        [
            y,
            layers.LayerNormalization(rms_scaling=True, axis=[1, 2], epsilon=0.1)(x),
            layers.LayerNormalization(rms_scaling=True, axis=1, scale=False)(x),
        ],
    )


@architecture(written_by=KERAS3_AND_215, formats=BOTH)
def group_normalization(keras: Keras) -> Model:
    """In groups, one each, all in one, along axis 1, without its parts."""
    layers = keras.layers
    return fan(
        keras,
        (4, 6),
        layers.GroupNormalization(3),
        layers.GroupNormalization(-1, epsilon=0.1),
        layers.GroupNormalization(1, scale=False),
        layers.GroupNormalization(2, axis=1, center=False),
        layers.GroupNormalization(2, center=False, scale=False),
    )


@architecture(written_by=KERAS3_AND_215)
def unit_normalization(keras: Keras) -> Model:
    """Vectors of length 1, before an LSTM and over several axes."""
    layers = keras.layers
    x = keras.Input((4, 3))
    unit = layers.UnitNormalization()(x)
    return keras.Model(x, [layers.LSTM(2)(unit), layers.UnitNormalization(axis=[1, 2])(x)])


@architecture()
def rms_normalization(keras: Keras) -> Model:
    """Only Keras 3 has it."""
    layers = keras.layers
    x = keras.Input((4, 3))
    y = layers.RMSNormalization()(layers.LSTM(3, return_sequences=True)(x))
    return keras.Model(x, [y, layers.RMSNormalization(axis=[1, 2], epsilon=0.1)(x)])
