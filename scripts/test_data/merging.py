"""Layers of several inputs."""

from scripts.test_data.catalogue import Keras, Model, architecture


@architecture()
def merging(keras: Keras) -> Model:
    """Each way to join sequences, in an order that shows."""
    layers = keras.layers
    a = keras.Input((None, 3), name="a")
    b = keras.Input((None, 3), name="b")
    c = keras.Input((None, 3), name="c")
    return keras.Model(
        [a, b, c],
        [
            layers.Concatenate()([a, b, c]),
            layers.Concatenate(axis=1)([b, a]),
            layers.Add()([a, b, c]),
            layers.Multiply()([a, b, c]),
            layers.Average()([a, b, c]),
            layers.Maximum()([a, b, c]),
            layers.Minimum()([a, b, c]),
            layers.Subtract()([c, a]),
        ],
    )


@architecture()
def concatenate_axes(keras: Keras) -> Model:
    """Every axis, counted from either end, with sizes that differ along it."""
    layers = keras.layers
    a = keras.Input((2, 3, 4))
    wide = keras.Input((2, 3, 1))
    high = keras.Input((2, 2, 4))
    deep = keras.Input((1, 3, 4))
    return keras.Model(
        [a, wide, high, deep],
        [
            layers.Concatenate()([a, wide, a]),
            layers.Concatenate(axis=2)([high, a]),
            layers.Concatenate(axis=-2)([a, high]),
            layers.Concatenate(axis=1)([a, deep]),
            layers.Concatenate(axis=-3)([deep, a]),
        ],
    )


@architecture()
def dot(keras: Keras) -> Model:
    """Dot along one axis, along two, normalized, of vectors and of sequences."""
    layers = keras.layers
    a = keras.Input((3, 4), name="a")
    b = keras.Input((5, 4), name="b")
    v = keras.Input((4,), name="v")
    w = keras.Input((4,), name="w")
    return keras.Model(
        [a, b, v, w],
        [
            layers.Dot(axes=1)([v, w]),
            layers.Dot(axes=-1, normalize=True)([v, w]),
            layers.Dot(axes=2)([a, b]),
            layers.Dot(axes=(2, 1))([a, v]),
            layers.Dot(axes=(2, 2), normalize=True)([b, a]),
            layers.Dot(axes=(1, 2))([v, b]),
        ],
    )


@architecture()
def merging_broadcast(keras: Keras) -> Model:
    """Sizes of one stretched, and vectors against sequences."""
    layers = keras.layers
    sequence = keras.Input((4, 3))
    step = keras.Input((1, 3))
    scalar = keras.Input((4, 1))
    vector = keras.Input((3,))
    return keras.Model(
        [sequence, step, scalar, vector],
        [
            layers.Add()([sequence, step]),
            layers.Multiply()([scalar, sequence]),
            layers.Maximum()([step, scalar]),
            layers.Subtract()([step, sequence]),
            layers.Average()([sequence, scalar, step]),
            layers.Add()([sequence, vector]),
            layers.Multiply()([vector, sequence]),
        ],
    )


@architecture()
def attention_by_hand(keras: Keras) -> Model:
    """A score a step, its softmax over time, and the weighted sum of an LSTM's outputs."""
    layers = keras.layers
    x = keras.Input((6, 3))
    sequence = layers.LSTM(4, return_sequences=True)(x)
    score = layers.Softmax(axis=1)(layers.Dense(1, activation="tanh")(sequence))
    pooled = layers.Dot(axes=1)([score, sequence])
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(pooled)))
